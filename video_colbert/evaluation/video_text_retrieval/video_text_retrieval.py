"""Text-to-video and video-to-text retrieval metrics as a module of the `evaluate` library.

A thin wrapper over `video_colbert.evaluation.metrics`. `evaluate` copies this file elsewhere and checks its import
lines one by one, so each imports from one module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from video_colbert.evaluation.metrics import Ties, text_to_video_metrics, video_to_text_metrics

_DESCRIPTION = """\
R@1, R@5, R@10 (the percentage of queries with a positive among the first k), median and mean rank (MdR, MnR) and MRR
of text-to-video and video-to-text retrieval, from a matrix of scores. Tied scores are ranked by their expectation
over random tie-breaking."""

_KWARGS_DESCRIPTION = """
Args:
    predictions: for each text, its scores with all videos, higher is better.
    references: for each text, the place of its right video in the gallery, or a list of the places where there are
        several.
    direction: "text_to_video" or "video_to_text"; there a video with several texts counts by the best placed.
    ks: cut-offs of R@k.
    ties: "expected", "optimistic", "pessimistic", or "clip4clip" and "clip4clip_multi_sentence", which count as the
        two paths of CLIP4Clip's evaluation do.
Returns:
    R@k in percent, MdR and MnR in ranks from 1, MRR from 0 to 1.
Examples:
    >>> metric = evaluate.load("video_colbert/evaluation/video_text_retrieval")
    >>> metric.compute(predictions=[[0.9, 0.1], [0.8, 0.3]], references=[[0], [1]], ks=[1])
    {'R@1': 50.0, 'MdR': 1.5, 'MnR': 1.5, 'MRR': 0.75}
"""

_CITATION = """\
@inproceedings{reddy2025videocolbert,
  title={Video-ColBERT: Contextualized Late Interaction for Text-to-Video Retrieval},
  author={Reddy, Arun and Martin, Alexander and others},
  booktitle={CVPR},
  year={2025}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class VideoTextRetrieval(evaluate.Metric):
    """Retrieval metrics; what `compute` takes stands in `inputs_description`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=[
                datasets.Features({"predictions": datasets.List(datasets.Value("float64")), "references": positives})
                for positives in (datasets.List(datasets.Value("int64")), datasets.Value("int64"))
            ],
        )

    def _compute(
        self,
        predictions: Sequence[Sequence[float]],
        references: Sequence[Sequence[int] | int],
        direction: str = "text_to_video",
        ks: Sequence[int] = (1, 5, 10),
        ties: Ties = "expected",
    ) -> dict[str, Any]:
        directions = {"text_to_video": text_to_video_metrics, "video_to_text": video_to_text_metrics}
        if direction not in directions:
            raise ValueError(f"direction must be one of {', '.join(directions)}, got {direction!r}")
        if len({len(row) for row in predictions}) > 1:
            raise ValueError("every text must have a score with each video, but the rows have several lengths")
        scores = np.asarray(predictions, dtype=np.float64)
        positives = [[places] if isinstance(places, int) else places for places in references]
        return directions[direction](scores, positives, ks=ks, ties=ties).as_dict()
