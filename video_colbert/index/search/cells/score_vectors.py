"""One vector a video and one a query whose inner product comes near the score of their tokens.

A level's score is, for a fixed query, a function of a video's tokens: the mean over query tokens of their largest
similarity. Such functions are nearly sums of few: of the mean token's numbers, and of the largest similarity to each
of some anchors (the support function of the bag, sampled). Reduced-rank regression (Izenman, "Reduced-rank regression
for the multivariate linear model", Journal of Multivariate Analysis 5(2), 1975) finds the few sums of these that say
most of the scores of made queries: a video's vector. A query is scored exactly with a sample of videos, and the
least-squares weights by which their vectors give these scores are its vector, whatever the query is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.number_formats import fastest_format
from video_colbert.index.search.quantized_bags import PreparedQueries, StoredBags
from video_colbert.index.search.scoring import counted_levels, score_bags
from video_colbert.index.search.token_bags import TokenBags

NUM_ANCHORS = 256
"""Directions of a level in which the largest similarity of a bag is taken."""

# Sums that are kept of a level. With 20,000 videos, the ten best were among 261 by 64 of them and 174 by 128.
_MOST_AXES = 128
# Videos of the sample that a query is scored with.
_MOST_REFERENCES = 512
# Of the mean square of what is fitted, so that directions without any do not count.
_RIDGE = 1e-4
_REFERENCE_RIDGE = 1e-6
_CPU = torch.device("cpu")
# Similarities that are held at once.
_BLOCK_NUMBERS = 2**22


@dataclass(frozen=True)
class LevelAxes:
    """What makes the vectors of one level; all tensors are float32.

    Attributes:
        anchors: [K, D].
        projection: [D + K, r], from the mean token and the largest similarities to r sums of them.
        shift: [r], what is taken off these.
        references: [S, L, D], tokens of the videos that queries are scored with.
        reference_mask: bool [S, L], which of them there are.
        weights: [S, 1 + r], from the scores of these videos to the query's vector.
    """

    anchors: Tensor
    projection: Tensor
    shift: Tensor
    references: Tensor
    reference_mask: Tensor
    weights: Tensor

    @property
    def width(self) -> int:
        """Numbers of a vector: 1 for a video that has tokens on this level, and the sums."""
        return 1 + len(self.shift)

    def of_bags(self, bags: TokenBags) -> Tensor:
        """The vectors of N videos, float32 [N, width]; zeros for one without tokens."""
        vectors = torch.zeros(len(bags), self.width)
        present = bags.lengths > 0
        vectors[present, 0] = 1.0
        vectors[present, 1:] = (_features(bags, self.anchors) @ self.projection - self.shift)[present]
        return vectors


class ScoreVectors:
    """Makes vectors of videos and of queries, the levels side by side.

    Args:
        levels: what makes them, by level.
    """

    def __init__(self, levels: Mapping[str, LevelAxes]) -> None:
        self.levels = dict(levels)
        self._format = fastest_format(_CPU)
        self._references = {
            level: StoredBags.of(_unpadded(axes.references, axes.reference_mask), self._format, _CPU)
            for level, axes in self.levels.items()
        }

    @property
    def width(self) -> int:
        """Numbers of a vector, R."""
        return sum(axes.width for axes in self.levels.values())

    @classmethod
    @torch.inference_mode()
    def fit(cls, bags: LevelBags, queries: EncodedQueries) -> ScoreVectors:
        """Finds the sums that say most of the scores.

        Args:
            bags: of some thousands of videos.
            queries: some hundreds of queries, scored by all levels.
        """
        scores = score_bags(queries, bags).levels
        return cls({level: _fit_level(of_level, queries, level, scores[level]) for level, of_level in bags.items()})

    @torch.inference_mode()
    def of_bags(self, bags: LevelBags) -> Tensor:
        """The vectors of N videos, float16 [N, R]."""
        return torch.cat([axes.of_bags(bags[level]) for level, axes in self.levels.items()], dim=1).half()

    @torch.inference_mode()
    def of_queries(self, queries: EncodedQueries) -> Tensor:
        """The vectors of Nq queries, float32 [Nq, R] on the CPU; a level that does not count has zeros."""
        counted = counted_levels(queries)
        prepared: dict[str, PreparedQueries] = {}
        parts = []
        for level, axes in self.levels.items():
            if (weight := counted.get(level, 0.0)) and len(axes.references):
                encoder = queries.encoder_of_level[level]
                if encoder not in prepared:
                    prepared[encoder] = PreparedQueries(queries.bags[encoder], self._format, _CPU)
                scores = prepared[encoder].scores(self._references[level])
                parts.append(weight * scores @ axes.weights)
            else:
                parts.append(torch.zeros(len(queries.texts), axes.width))
        return torch.cat(parts, dim=1)

    def tensors(self) -> dict[str, Tensor]:
        """All of it by name, to be stored."""
        return {
            f"{level}.{name}": value.contiguous()
            for level, axes in self.levels.items()
            for name, value in vars(axes).items()
        }

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], levels: Iterable[str]) -> ScoreVectors:
        """The inverse of `tensors`; other names are passed over.

        Args:
            tensors: in any order.
            levels: in the order in which their parts of a vector stand.
        """
        names = LevelAxes.__dataclass_fields__
        return cls({level: LevelAxes(**{name: tensors[f"{level}.{name}"] for name in names}) for level in levels})


def _fit_level(bags: TokenBags, queries: EncodedQueries, level: str, scores: Tensor) -> LevelAxes:
    """Fits one level.

    Args:
        bags: of the sample.
        queries: as `ScoreVectors.fit`.
        level: its name.
        scores: float32 [Nq, n] of the sample.
    """
    asked = queries.bags_of(level)
    tokens = asked.embeds[asked.mask.bool()].float()
    generator = torch.Generator().manual_seed(2)
    anchors = tokens[torch.randperm(len(tokens), generator=generator)[:NUM_ANCHORS]]
    present = (bags.lengths > 0).nonzero()[:, 0]
    bags, targets = bags.select(present), scores[:, present].T
    features = _features(bags, anchors)
    if not len(present):
        nothing = torch.zeros(0)
        none = torch.zeros(0, 1, bags.dimension)
        return LevelAxes(
            anchors, torch.zeros(features.shape[1], 0), nothing, none, none[..., 0].bool(), torch.zeros(0, 1)
        )
    means = features.mean(dim=0)
    centred = features - means
    fitted = _solved(centred, targets - targets.mean(dim=0), _RIDGE)
    # The leading axes of the fitted scores.
    said = centred @ fitted
    axes = torch.linalg.eigh(said.T @ said).eigenvectors
    num_axes = min(_MOST_AXES, axes.shape[1], max(1, len(present) // 4))
    projection = (fitted @ axes[:, -num_axes:].flip(1)).contiguous()
    chosen = bags.select(torch.arange(min(_MOST_REFERENCES, len(bags))))
    references, mask = chosen.padded(0, len(chosen))
    shift = means @ projection
    own = torch.cat([torch.ones(len(chosen), 1), features[: len(chosen)] @ projection - shift], dim=1)
    weights = _solved(own, torch.eye(len(own)), _REFERENCE_RIDGE).T.contiguous()
    return LevelAxes(anchors, projection, shift, references, mask, weights)


def _unpadded(tokens: Tensor, mask: Tensor) -> TokenBags:
    """Bags of the tokens [S, L, D] that there are."""
    lengths = mask.sum(dim=1)
    return TokenBags(tokens[mask], torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))


def _solved(inputs: Tensor, targets: Tensor, ridge: float) -> Tensor:
    """Least-squares coefficients [F, T] from inputs [n, F] to targets [n, T], in float64."""
    doubles = inputs.double()
    gram = doubles.T @ doubles
    gram.diagonal().add_(ridge * float(gram.diagonal().mean()) + torch.finfo(torch.float32).tiny)
    solution: Tensor = torch.linalg.solve(gram, doubles.T @ targets.double())
    return solution.float()


def _features(bags: TokenBags, anchors: Tensor) -> Tensor:
    """The mean token and the largest similarity to each anchor, float32 [N, D + K]; zeros without tokens."""
    longest = max(1, int(bags.lengths.max()) if len(bags) else 0)
    block = max(1, _BLOCK_NUMBERS // (longest * (len(anchors) + bags.dimension)))
    made = torch.zeros(len(bags), bags.dimension + len(anchors))
    for first in range(0, len(bags), block):
        stop = min(first + block, len(bags))
        tokens, mask = bags.padded(first, stop)
        similarities = tokens @ anchors.T
        if mask.all():
            made[first:stop, : bags.dimension] = tokens.mean(dim=1)
        else:
            similarities.masked_fill_(~mask[:, :, None], float("-inf"))
            counts = mask.sum(dim=1).clamp(min=1)[:, None]
            made[first:stop, : bags.dimension] = tokens.masked_fill(~mask[:, :, None], 0.0).sum(dim=1) / counts
        largest = similarities.amax(dim=1)
        made[first:stop, bags.dimension :] = largest.masked_fill_(largest.isneginf(), 0.0)
    return made
