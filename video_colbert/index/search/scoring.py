"""Two-level MeanMaxSim (arXiv 2503.19009) of queries with many stored videos: exact, and fast with a proven bound.

    score(Q, video) = sum over levels of weight * mean over query tokens i of max over tokens j of q_i . x_j

`score_bags` computes it in float32. `TwoLevelScorer` holds the tokens in the number format that the processor is
fastest at and bounds its error: for stored vectors q' and x' of q and x, by Cauchy and Schwarz,

    |q . x - q' . x'| <= |q - q'| |x| + |q'| |x - x'|

and a maximum over tokens and a mean over query tokens move by no more than their largest and mean term. So the rows
whose upper bound lies below the k-th best lower bound cannot be among the best k, whatever their exact score.

Where many rows are that close, or an answer is approximate anyway, the probable error is used. What rounding took from
a vector points in no particular direction, so its inner product with another vector has a standard deviation of the
bound divided by the square root of the dimensions; four of these, for a mean over tokens, are far above any error that
was seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.errors import IndexStoreError
from video_colbert.index.search.number_formats import fastest_format, number_format
from video_colbert.index.search.quantized_bags import PreparedQueries, StoredBags
from video_colbert.index.search.token_bags import TokenBags
from video_colbert.modeling_video_colbert import mean_max_sim

# Bytes of float32 tokens that are unpacked at once.
_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class LevelScores:
    """Scores of all queries with all stored videos, each float32 [Nq, N] on the CPU.

    Attributes:
        scores: weighted sum of the levels that the model scores by.
        frame_scores: MeanMaxSim over the frame tokens.
        video_scores: MeanMaxSim over the video tokens, or None.
    """

    scores: Tensor
    frame_scores: Tensor
    video_scores: Tensor | None


@dataclass(frozen=True)
class BoundedScores:
    """Fast scores and how far from the exact ones they may be, each float32 [Nq, N] on the CPU.

    Attributes:
        scores: fast scores.
        errors: largest possible distance to the exact score.
        probable_errors: a distance that hardly any score has.
    """

    scores: Tensor
    errors: Tensor
    probable_errors: Tensor

    def split(self) -> list[BoundedScores]:
        """The same for each query alone, [1, N]."""
        by_query = [torch.split(part, 1) for part in (self.scores, self.errors, self.probable_errors)]
        return [BoundedScores(*of_query) for of_query in zip(*by_query, strict=True)]

    def select(self, rows: Tensor) -> BoundedScores:
        """The same for some of the rows."""
        return BoundedScores(self.scores[:, rows], self.errors[:, rows], self.probable_errors[:, rows])

    @classmethod
    def concatenate(cls, parts: Sequence[BoundedScores]) -> BoundedScores:
        """The rows of several parts, one part after another."""
        return cls(
            torch.cat([part.scores for part in parts], dim=1),
            torch.cat([part.errors for part in parts], dim=1),
            torch.cat([part.probable_errors for part in parts], dim=1),
        )


def check_interaction(interaction: str) -> None:
    """Checks that an index can score as a model does.

    Args:
        interaction: `interaction` of the model's configuration.

    Raises:
        IndexStoreError: it is not "mean_max_sim".
    """
    if interaction != "mean_max_sim":
        raise IndexStoreError(
            f"the model's configuration has interaction={interaction!r}, but an index scores by 'mean_max_sim' only; "
            "`video-colbert evaluate` takes such a model"
        )


def weights_of_levels(queries: EncodedQueries, level_weights: Mapping[str, float] | None) -> dict[str, float]:
    """The weight of each level that the model scores by; 1 unless said otherwise.

    Raises:
        IndexStoreError: the queries are of a model that scores in a way that an index does not.
        ValueError: a level is named that the model does not score by, a weight is negative or not finite, or
            all are 0.
    """
    check_interaction(queries.interaction)
    weights = dict.fromkeys(queries.score_levels, 1.0)
    for level, weight in (level_weights or {}).items():
        if level not in weights:
            raise ValueError(f"level_weights names {level!r}; the model scores by {', '.join(weights)}")
        if not 0.0 <= weight < float("inf"):
            raise ValueError(f"the weight of level {level!r} must be finite and not negative, got {weight}")
        weights[level] = float(weight)
    if not any(weights.values()):
        raise ValueError(f"level_weights are all 0; at least one of {', '.join(weights)} must count")
    return weights


@torch.inference_mode()
def score_bags(
    queries: EncodedQueries,
    frames: TokenBags,
    videos: TokenBags | None,
    *,
    level_weights: Mapping[str, float] | None = None,
    dtype: torch.dtype = torch.float32,
) -> LevelScores:
    """Scores queries against every stored video, exactly, in blocks that bound memory.

    Args:
        queries: Nq encoded queries.
        frames: N bags of frame tokens.
        videos: N bags of video tokens; None for a model without the video level.
        level_weights: weight of each level; 1 where none is given.
        dtype: float32, or float64 for sums that do not depend on how they are arranged; rounded to float32.

    Returns:
        Scores; minus infinity for a video without tokens and 0 for a query without tokens.

    Raises:
        ValueError: `level_weights` does not fit the model.
    """
    weights = weights_of_levels(queries, level_weights)
    levels = {"frame": _score_level(queries, frames, dtype)}
    if videos is not None:
        levels["video"] = _score_level(queries, videos, dtype)
    total = torch.stack([weight * levels[level] for level, weight in weights.items() if weight]).sum(dim=0)
    rounded = {level: scores.float() for level, scores in levels.items()}
    return LevelScores(scores=total.float(), frame_scores=rounded["frame"], video_scores=rounded.get("video"))


class TwoLevelScorer:
    """Fast scores of all videos, or of some, with a bound of their error.

    Args:
        frames: N bags of frame tokens.
        videos: as many bags of video tokens; None for a model without the video level.
        device: where the tokens are held and compared.
        format_name: `int8`, `bfloat16`, `float16` or `float32`; by default the fastest on this device.

    Attributes:
        number_format: the format the tokens are held in.

    Raises:
        ValueError: the levels have different numbers of bags, or there is no such format.
    """

    def __init__(
        self,
        frames: TokenBags,
        videos: TokenBags | None,
        *,
        device: torch.device | str = "cpu",
        format_name: str | None = None,
    ) -> None:
        if videos is not None and len(videos) != len(frames):
            raise ValueError(f"there are {len(frames)} bags of frame tokens and {len(videos)} of video tokens")
        self.device = torch.device(device)
        self.number_format = fastest_format(self.device) if format_name is None else number_format(format_name)
        self._levels = {"frame": StoredBags.of(frames, self.number_format, self.device)}
        if videos is not None:
            self._levels["video"] = StoredBags.of(videos, self.number_format, self.device)

    @classmethod
    def concatenate(cls, scorers: Sequence[TwoLevelScorer]) -> TwoLevelScorer:
        """The videos of several scorers, at least one, of one format and device, one scorer after another."""
        joined = cls.__new__(cls)
        joined.device, joined.number_format = scorers[0].device, scorers[0].number_format
        levels = [scorer._levels for scorer in scorers]
        joined._levels = {name: StoredBags.concatenate([level[name] for level in levels]) for name in levels[0]}
        return joined

    def __len__(self) -> int:
        return len(self._levels["frame"])

    @property
    def num_bytes(self) -> int:
        """Memory that the tokens take."""
        return sum(level.num_bytes for level in self._levels.values())

    @torch.inference_mode()
    def scores(
        self,
        queries: EncodedQueries,
        *,
        rows: Tensor | None = None,
        level_weights: Mapping[str, float] | None = None,
    ) -> BoundedScores:
        """Fast scores.

        Args:
            queries: Nq encoded queries.
            rows: int64 positions to score, in this order; None for all N.
            level_weights: weight of each level; 1 where none is given.

        Raises:
            ValueError: `level_weights` does not fit the model.
        """
        prepared = PreparedQueries(queries, self.number_format, self.device)
        scores = errors = probable_errors = torch.zeros(())
        for level, weight in weights_of_levels(queries, level_weights).items():
            if weight:
                bags = self._levels[level] if rows is None else self._levels[level].select(rows.to(self.device))
                scores = scores + weight * prepared.scores(bags).cpu()
                largest, probable = prepared.errors(bags)
                errors = errors + weight * largest.cpu()
                probable_errors = probable_errors + weight * probable.cpu()
        return BoundedScores(scores, errors, probable_errors)


def _score_level(queries: EncodedQueries, bags: TokenBags, dtype: torch.dtype) -> Tensor:
    device = queries.query_embeds.device
    longest = max(1, int(bags.lengths.max()))
    block = max(1, _BLOCK_BYTES // (4 * longest * bags.tokens.shape[1]))
    columns = []
    for first in range(0, len(bags), block):
        tokens, mask = bags.padded(first, min(first + block, len(bags)))
        # Without a mask the product need not be masked.
        document_mask = None if mask.all() else mask.to(device)
        scores = mean_max_sim(queries.query_embeds, tokens.to(device, dtype), queries.query_mask, document_mask)
        columns.append(scores.cpu())
    return torch.cat(columns, dim=1)
