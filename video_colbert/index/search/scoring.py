"""Late interaction over levels of queries with many stored videos: exact, and fast with a proven bound.

    score(Q, video) = sum over levels of weight * mean over query tokens i of max over tokens j of q_i . x_j

That is MeanMaxSim (arXiv 2503.19009); MaxSim has the sum over query tokens. `score_bags` computes it, or whichever
interaction the queries are scored by, in float32. `BoundedScorer` holds the tokens in the number format that the
processor is fastest at and bounds its error: for stored vectors q' and x' of q and x, by Cauchy and Schwarz,

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

from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.errors import ModelMismatchError
from video_colbert.index.search.interaction import has_bound, is_mean, weighs_tokens
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.number_formats import NumberFormat, fastest_format, number_format
from video_colbert.index.search.quantized_bags import PreparedQueries, StoredBags
from video_colbert.index.search.token_bags import TokenBags
from video_colbert.modeling_video_colbert import interaction_scores
from video_colbert.modeling_video_colbert.level_scoring import best_level, best_token

# Bytes of float32 tokens that are unpacked at once. A processor's memory for 64 MiB is asked of the system anew each
# time, and filling it took four times as long as the products; an accelerator starts few large products.
_BLOCK_BYTES = 4 * 2**20
_BLOCK_BYTES_ON_ACCELERATOR = 64 * 2**20


@dataclass(frozen=True)
class LevelScores:
    """Scores of all queries with all stored videos, each float32 [Nq, N] on the CPU.

    Attributes:
        scores: weighted sum of the levels, or the best of them where the queries' `level_scoring` says so.
        levels: by level, the interaction over its tokens; also of a level that has queries but no weight in the sum.
    """

    scores: Tensor
    levels: Mapping[str, Tensor]


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
    def sum(cls, parts: Sequence[BoundedScores]) -> BoundedScores:
        """Scores that are the sum of several, at least one; minus infinity counts only where all are so."""
        return cls(
            _weighted_sum([(1.0, part.scores) for part in parts]),
            _weighted_sum([(1.0, part.errors) for part in parts]),
            _weighted_sum([(1.0, part.probable_errors) for part in parts]),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[BoundedScores]) -> BoundedScores:
        """The rows of several parts, one part after another."""
        return cls(
            torch.cat([part.scores for part in parts], dim=1),
            torch.cat([part.errors for part in parts], dim=1),
            torch.cat([part.probable_errors for part in parts], dim=1),
        )


def check_queries(queries: EncodedQueries, dimensions: Mapping[str, int], holder: str) -> None:
    """Checks that stored tokens can be compared with queries.

    Args:
        queries: encoded queries.
        dimensions: numbers of a stored token by level.
        holder: what stores them, as an error names it.

    Raises:
        ModelMismatchError: the queries' score sums a level that is not stored, or whose tokens have another
            dimension.
    """
    for level in counted_levels(queries):
        if level not in dimensions:
            raise ModelMismatchError(
                f"{holder} holds vectors of {levels_text(dimensions)}, and none of the level {level} that the queries "
                "are scored by"
            )
        if (dimension := queries.bags_of(level).dimension) != dimensions[level]:
            raise ModelMismatchError(
                f"{holder} holds vectors of {levels_text(dimensions)}, not of {dimension} dimensions like the "
                f"queries of the level {level}"
            )


def levels_text(dimensions: Mapping[str, int]) -> str:
    """Levels with their dimensions, such as "8 dimensions, levels frame and video"."""
    if len(set(dimensions.values())) == 1:
        size = next(iter(dimensions.values()))
        return f"{size} dimensions, level{'s' if len(dimensions) > 1 else ''} {' and '.join(dimensions)}"
    return " and ".join(f"{size} dimensions on level {level}" for level, size in dimensions.items())


def counted_levels(queries: EncodedQueries) -> dict[str, float]:
    """The levels whose weight in the score is not 0, with the weight."""
    return {level: weight for level, weight in queries.level_weights.items() if weight}


@torch.inference_mode()
def score_bags(queries: EncodedQueries, bags: LevelBags, *, dtype: torch.dtype = torch.float32) -> LevelScores:
    """Scores queries against every stored video, exactly, in blocks that bound memory.

    Args:
        queries: Nq encoded queries.
        bags: of N videos, with all levels that count in the queries' score.
        dtype: float32, or float64 for sums that do not depend on how they are arranged; rounded to float32. An
            interaction whose error has no bound, and the best of levels, are computed in float64 always.

    Returns:
        Scores. A level's score is minus infinity for a video without tokens on it, and 0 for a query without tokens;
        the sum leaves out levels on which a video has no tokens, and is minus infinity where it has none at all.

    Raises:
        ModelMismatchError: the queries are scored by weights of tokens, which these have not, or by the best token of
            levels that are compared with tokens of different encoders.
    """
    if not has_bound(queries.interaction, queries.level_scoring):
        dtype = torch.float64
    levels = {
        level: _score_level(queries.interaction, queries.bags_of(level), level, of_level, dtype)
        for level, of_level in bags.items()
        if level in queries.encoder_of_level
    }
    counted = counted_levels(queries)
    if queries.level_scoring == "token_max":
        total = _score_best_tokens(queries, [bags[level] for level in counted], dtype)
    elif queries.level_scoring == "modality_max":
        total = best_level([levels[level] for level in counted])
    else:
        total = _weighted_sum([(weight, levels[level]) for level, weight in counted.items()])
    return LevelScores(scores=total.float(), levels={level: scores.float() for level, scores in levels.items()})


class BoundedScorer:
    """Fast scores of all videos, or of some, with a bound of their error.

    Args:
        levels: the tokens of N videos by level, in the number format.
        number_format: the format the tokens are held in.
        device: where they are held and compared.
    """

    def __init__(self, levels: Mapping[str, StoredBags], number_format: NumberFormat, device: torch.device) -> None:
        self.levels = levels
        self.number_format = number_format
        self.device = device

    @classmethod
    def of(
        cls, bags: LevelBags, *, device: torch.device | str = "cpu", format_name: str | None = None
    ) -> BoundedScorer:
        """Brings bags into a number format.

        Args:
            bags: of N videos.
            device: where the tokens are held and compared.
            format_name: `int8`, `bfloat16`, `float16` or `float32`; by default the fastest on this device.

        Raises:
            ValueError: there is no such format.
        """
        place = torch.device(device)
        chosen = fastest_format(place) if format_name is None else number_format(format_name)
        return cls({level: StoredBags.of(of_level, chosen, place) for level, of_level in bags.items()}, chosen, place)

    @classmethod
    def concatenate(cls, scorers: Sequence[BoundedScorer]) -> BoundedScorer:
        """The videos of several scorers, at least one, of one format and device, one scorer after another."""
        first = scorers[0]
        levels = {
            level: StoredBags.concatenate([scorer.levels[level] for scorer in scorers]) for level in first.levels
        }
        return cls(levels, first.number_format, first.device)

    def __len__(self) -> int:
        """The number of videos, N."""
        return len(next(iter(self.levels.values())))

    @torch.inference_mode()
    def scores(
        self,
        queries: EncodedQueries,
        *,
        rows: Tensor | None = None,
        prepared: dict[str, PreparedQueries] | None = None,
    ) -> BoundedScores:
        """Fast scores.

        Args:
            queries: Nq encoded queries, of an interaction whose error has a bound.
            rows: int64 rows to score, in this order; None for all N.
            prepared: what earlier calls with the same queries left here, which this one adds to.
        """
        levels, errors, probable_errors = [], [], []
        prepared = {} if prepared is None else prepared
        for level, weight in counted_levels(queries).items():
            encoder = queries.encoder_of_level[level]
            if encoder not in prepared:
                prepared[encoder] = PreparedQueries(
                    queries.bags[encoder],
                    self.number_format,
                    self.device,
                    is_mean=is_mean(queries.interaction),
                )
            bags = self.levels[level] if rows is None else self.levels[level].select(rows.to(self.device))
            levels.append((weight, prepared[encoder].scores(bags).cpu()))
            largest, probable = prepared[encoder].errors(bags)
            errors.append((weight, largest.cpu()))
            probable_errors.append((weight, probable.cpu()))
        return BoundedScores(_weighted_sum(levels), _weighted_sum(errors), _weighted_sum(probable_errors))


def _weighted_sum(parts: Sequence[tuple[float, Tensor]]) -> Tensor:
    """The sum of weighted scores; one of minus infinity counts only where all are so."""
    if len(parts) == 1:
        weight, scores = parts[0]
        return weight * scores
    total = sum((weight * scores for weight, scores in parts), start=torch.zeros(()))
    if (missing := total.isneginf()).any():
        found = sum((weight * scores.masked_fill(scores.isneginf(), 0.0) for weight, scores in parts), torch.zeros(()))
        nowhere = torch.stack([scores.isneginf() for _, scores in parts]).all(dim=0)
        total = torch.where(missing & ~nowhere, found, total)
    return total


def _score_best_tokens(queries: EncodedQueries, levels: Sequence[TokenBags], dtype: torch.dtype) -> Tensor:
    """Scores of the best token of several levels for each query token, [Nq, N]."""
    encoders = {queries.encoder_of_level[level] for level in counted_levels(queries)}
    if len(encoders) > 1:
        raise ModelMismatchError(
            f"the best token of all levels needs tokens of one encoder, got those of {' and '.join(sorted(encoders))}"
        )
    of_queries = queries.bags[encoders.pop()]
    device, number = of_queries.embeds.device, len(levels[0])
    longest = max(1, *(int(bags.lengths.max()) if number else 0 for bags in levels))
    block = _videos_at_once(device, longest * len(levels) * levels[0].dimension)
    columns = [torch.zeros(len(of_queries.embeds), 0, dtype=dtype)]
    for first in range(0, number, block):
        padded = [bags.padded(first, min(first + block, number)) for bags in levels]
        tokens = [(of_level.to(device, dtype), mask.to(device)) for of_level, mask in padded]
        columns.append(best_token(of_queries.embeds, of_queries.mask, tokens).cpu())
    return torch.cat(columns, dim=1)


def _score_level(interaction: str, queries: QueryBags, level: str, bags: TokenBags, dtype: torch.dtype) -> Tensor:
    if weighs_tokens(interaction) and bags.weights is None:
        raise ModelMismatchError(
            f"the queries are scored by {interaction!r}, which takes a weight of each token, but the tokens of the "
            f"level {level} are stored without; index the videos again with the queries' model"
        )
    device = queries.embeds.device
    longest = max(1, int(bags.lengths.max()) if len(bags) else 0)
    block = _videos_at_once(device, longest * bags.dimension)
    columns = [torch.zeros(len(queries.embeds), 0, dtype=dtype)]
    for first in range(0, len(bags), block):
        tokens, mask = bags.padded(first, min(first + block, len(bags)))
        # Without a mask the product need not be masked.
        document_mask = None if mask.all() else mask.to(device)
        weights = bags.padded_weights(first, min(first + block, len(bags))) if weighs_tokens(interaction) else None
        scores = interaction_scores(
            interaction,
            queries.embeds,
            tokens.to(device, dtype),
            queries.mask,
            document_mask,
            queries.token_weights,
            None if weights is None else weights.to(device),
        )
        columns.append(scores.cpu())
    return torch.cat(columns, dim=1)


def _videos_at_once(device: torch.device, numbers: int) -> int:
    """Videos of so many numbers each whose tokens are unpacked at once."""
    held = _BLOCK_BYTES if device.type == "cpu" else _BLOCK_BYTES_ON_ACCELERATOR
    return max(1, held // (4 * numbers))
