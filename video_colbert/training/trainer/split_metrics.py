"""Retrieval metrics over a whole split, from the tokens that `transformers.Trainer` has collected of its batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from video_colbert.evaluation.metrics import metrics_from_counts
from video_colbert.evaluation.two_way_ranks import two_way_rank_counts
from video_colbert.modeling_video_colbert import QueryEmbeddings, VideoColBERTModel, VideoEmbeddings
from video_colbert.training.trainer.examples import NO_VIDEO

_KINDS = ("embeds", "mask", "weights")


def split_tokens(outputs: Any) -> dict[str, Tensor]:
    """Takes the tokens of a batch out of the model's outputs, as `Trainer` collects them over batches.

    Args:
        outputs: The values of a `VideoColBERTOutput`.

    Returns:
        Tensors by name, `[B, ...]`; masks as integers, so that padding to the longest batch is no token.

    Raises:
        ValueError: The outputs hold no tokens of queries and videos.
    """
    parts = [part for part in outputs if isinstance(part, QueryEmbeddings | VideoEmbeddings)]
    if len(parts) != 2:
        raise ValueError("the model's outputs hold no tokens of queries and videos to compute metrics of")
    return {
        name: value.long() if name.endswith("_mask") else value.float()
        for part in parts
        for name, value in part.items()
        if isinstance(value, Tensor) and name.rsplit("_", 1)[-1] in _KINDS
    }


@torch.inference_mode()
def split_metrics(model: VideoColBERTModel, tokens: Mapping[str, Any], labels: Any) -> dict[str, float]:
    """Ranks every caption of a split among all its videos, and every video among all its captions.

    Args:
        model: Scores the tokens.
        tokens: As [`split_tokens`] gave them, `[N, ...]` arrays over the pairs of the split; a video with several
            captions stands in several rows and is one video here.
        labels: `[N, 2]` or more, the first column a number for each video.

    Returns:
        R@1, R@5, R@10 in percent, MdR, MnR and MRR of both directions, named "text_to_video_R@1" and so on for the
        model's score, and "frame_text_to_video_R@1" for a level.

    Raises:
        ValueError: No video of the split could be decoded.
    """
    keys = np.asarray(labels)[:, 0]
    pairs = np.flatnonzero(keys != NO_VIDEO)
    if not len(pairs):
        raise ValueError("no video of the evaluation split could be decoded, so there is nothing to measure")
    _, first, positives = np.unique(keys[pairs], return_index=True, return_inverse=True)
    query = _embeddings(tokens, pairs, of_queries=True)
    video = _embeddings(tokens, pairs[first], of_queries=False)

    def scored(rows: Tensor, columns: slice) -> dict[str, Tensor]:
        scores = model.score(
            QueryEmbeddings(**{name: value[rows].to(model.device) for name, value in query.items()}),
            VideoEmbeddings(**{name: value[columns].to(model.device) for name, value in video.items()}),
        )
        # "frame_scores" are those of the level whose metrics begin with "frame_", "scores" those of the model.
        return {name.removesuffix("scores"): value for name, value in scores.items()}

    found: dict[str, float] = {}
    for level, counts in two_way_rank_counts(scored, positives.tolist(), len(first)).items():
        for direction, of_direction in (
            ("text_to_video", counts.text_to_video),
            ("video_to_text", counts.video_to_text),
        ):
            metrics = metrics_from_counts(of_direction).as_dict()
            found |= {f"{level}{direction}_{name}": value for name, value in metrics.items()}
    return found


def _embeddings(tokens: Mapping[str, Any], rows: Any, *, of_queries: bool) -> dict[str, Tensor]:
    chosen = {name: value for name, value in tokens.items() if name.startswith("query_") == of_queries}
    return {
        name: torch.from_numpy(np.asarray(value)[rows] == 1 if name.endswith("_mask") else np.asarray(value)[rows])
        for name, value in chosen.items()
    }


__all__ = ["split_metrics", "split_tokens"]
