"""All that is known of an evaluation, as `report.json` has it, and its comparison with another one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from video_colbert.errors import DatasetError
from video_colbert.evaluation.encoded_split import EncodedSplit
from video_colbert.evaluation.query_metrics import query_metrics
from video_colbert.evaluation.rank_counts import RankCounts
from video_colbert.evaluation.reports.failures import Failure
from video_colbert.evaluation.result_text import results_table
from video_colbert.evaluation.retrieval import EvaluationResult
from video_colbert.evaluation.significance import PairedDifference, paired_difference
from video_colbert.evaluation.two_way_ranks import TwoWayCounts

REPORT_FILE = "report.json"
_FORMAT = 1
_COUNTS = ("better", "tied_negatives", "tied_positives", "tied_before")


@dataclass(frozen=True, repr=False)
class EvaluationReport:
    """All that is known of an evaluation; shown as a table of its metrics.

    Attributes:
        model: the model's name and revision.
        is_zero_shot: whether it is a plain CLIP, SigLIP or VideoPrism checkpoint.
        results: metrics of every level and direction.
        split: what was evaluated.
        ranks: rank counts by level.
        failures: the worst queries, if they were asked for.
        differences: in what the data set's split is not the one that published figures are of.
        num_cached: videos whose embeddings were read from a cache.
    """

    model: str
    is_zero_shot: bool
    results: Sequence[EvaluationResult]
    split: EncodedSplit
    ranks: Mapping[str, TwoWayCounts]
    failures: Sequence[Failure]
    differences: Sequence[str] = ()
    num_cached: int = 0

    def __repr__(self) -> str:
        zero_shot = ", zero-shot" if self.is_zero_shot else ""
        return f"model: {self.model}{zero_shot}\n{results_table(self.results, self.split.bad)}"

    def as_dict(self) -> dict[str, Any]:
        """The content of `report.json`.

        `queries` has for each query its text, its video and by level its video's expected rank; `videos` the same
        for finding texts. `rank_counts` holds what these ranks come from.
        """
        split = self.split
        of_texts = {level: query_metrics(counts.text_to_video).ranks for level, counts in self.ranks.items()}
        of_videos = {level: query_metrics(counts.video_to_text).ranks for level, counts in self.ranks.items()}
        asking = next(iter(self.ranks.values())).asking.tolist()
        return {
            "format": _FORMAT,
            "model": self.model,
            "zero_shot": self.is_zero_shot,
            "results": [result.as_dict() for result in self.results],
            "queries": [
                {
                    "text": text,
                    "video_id": split.video_ids[place],
                    "ranks": {level: float(ranks[query]) for level, ranks in of_texts.items()},
                }
                for query, (text, place) in enumerate(zip(split.queries.texts, split.positives, strict=True))
            ],
            "videos": [
                {
                    "video_id": split.video_ids[place],
                    "ranks": {level: float(ranks[query]) for level, ranks in of_videos.items()},
                }
                for query, place in enumerate(asking)
            ],
            "rank_counts": {
                level: {
                    "text_to_video": _counts_as_dict(counts.text_to_video),
                    "video_to_text": _counts_as_dict(counts.video_to_text),
                }
                for level, counts in self.ranks.items()
            },
            "failures": [failure.as_dict() for failure in self.failures],
            "bad": [asdict(bad) for bad in split.bad],
        }


def compare_with_report(
    path: Path, split: EncodedSplit, ranks: Mapping[str, TwoWayCounts]
) -> dict[str, dict[str, PairedDifference]]:
    """Compares an evaluation with another of the same queries, text to video.

    The captions of a video count as one piece of evidence.

    Args:
        path: the other's `report.json`, or its folder.
        split: what was evaluated now.
        ranks: its rank counts by level.

    Returns:
        By level that both have, by metric: R@1, R@5 and R@10 in percent, MnR and MRR; now minus then.

    Raises:
        DatasetError: there is no report, or it is of other queries or another gallery.
    """
    file = path / REPORT_FILE if path.is_dir() else path
    try:
        other = json.loads(file.read_text(encoding="utf-8"))
        queries = [(query["text"], query["video_id"]) for query in other["queries"]]
        then = {level: _counts_from_dict(of["text_to_video"]) for level, of in other["rank_counts"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetError(f"{file} is no {REPORT_FILE} of an evaluation ({type(error).__name__}: {error})") from error
    ours = [(text, split.video_ids[place]) for text, place in zip(split.queries.texts, split.positives, strict=True)]
    galleries = sorted({counts.gallery for counts in then.values()})
    if queries != ours or galleries != [len(split.video_ids)]:
        raise DatasetError(
            f"{file} is of {len(queries)} queries over {galleries} videos, this evaluation of {len(ours)} over "
            f"{len(split.video_ids)}; only evaluations of the same queries and videos compare"
        )
    compared: dict[str, dict[str, PairedDifference]] = {}
    for level in ranks:
        if level in then:
            values = [_values(counts) for counts in (ranks[level].text_to_video, then[level])]
            compared[level] = {
                name: paired_difference(values[0][name], values[1][name], clusters=split.positives)
                for name in values[0]
            }
    return compared


def _values(counts: RankCounts) -> dict[str, np.ndarray]:
    of_queries = query_metrics(counts)
    return {
        **{f"R@{k}": 100 * hits for k, hits in of_queries.hits.items()},
        "MnR": of_queries.ranks,
        "MRR": of_queries.reciprocal_ranks,
    }


def _counts_as_dict(counts: RankCounts) -> dict[str, Any]:
    return {"gallery": counts.gallery, **{name: getattr(counts, name).tolist() for name in _COUNTS}}


def _counts_from_dict(content: Mapping[str, Any]) -> RankCounts:
    columns = {name: np.asarray(content[name], dtype=np.int64) for name in _COUNTS}
    return RankCounts(**columns, gallery=int(content["gallery"]))
