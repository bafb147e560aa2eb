"""Ranks in both directions from one pass over blocks of the score matrix, whose whole is never held.

A rank needs the score of the right item first, and then only a count of what stands above it. So the few blocks
that hold the right pairs are scored first, and then every block once, for both directions and every level. The
first blocks are scored again the second time: at the same cut, so that they give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from video_colbert.evaluation.clip4clip import best_caption_scores
from video_colbert.evaluation.dual_softmax import DualSoftmaxPrior
from video_colbert.evaluation.rank_counts import IntArray, RankCounts, RunningRankCounts
from video_colbert.evaluation.score_distribution import RunningScoreDistribution, ScoreDistribution
from video_colbert.progress import progress_bar

ScoreBlock = Callable[[Tensor, slice], Mapping[str, Tensor]]
"""Scores a block: given int64 rows of texts and a slice of the videos, [texts, videos] scores by level."""

_TEXTS_PER_BLOCK = 512
_VIDEOS_PER_BLOCK = 1024


@dataclass(frozen=True)
class TwoWayCounts:
    """Rank counts of one level in both directions.

    Attributes:
        text_to_video: of each text, in the order given.
        video_to_text: of each video of `asking`, among all texts; the texts are in the order of their videos.
        video_to_text_sets: of each video of `asking`, among the videos' sets of texts, each by its best score.
        asking: [videos with a text] their columns; a video without one is found, but cannot ask.
        distribution: of the scores, before any re-weighting; None if it was not asked for.
    """

    text_to_video: RankCounts
    video_to_text: RankCounts
    video_to_text_sets: RankCounts
    asking: IntArray
    distribution: ScoreDistribution | None


def two_way_rank_counts(
    score_block: ScoreBlock,
    positives: Sequence[int],
    num_videos: int,
    *,
    dual_softmax_scale: float | None = None,
    with_distribution: bool = False,
    texts_per_block: int = _TEXTS_PER_BLOCK,
    videos_per_block: int = _VIDEOS_PER_BLOCK,
    progress: bool = False,
) -> dict[str, TwoWayCounts]:
    """Counts the ranks of every level in both directions in memory that does not grow with the matrix.

    Args:
        score_block: scores a block of texts and videos; called up to twice for a block, it must give the same.
        positives: [num_texts] column of each text's video.
        num_videos: size of the gallery.
        dual_softmax_scale: re-weight the scores by the dual softmax of this scale, which scores every block once
            more; None for the scores as they are.
        with_distribution: whether to count the scores' histograms too.
        texts_per_block: about how many texts are scored together; texts of one video never part.
        videos_per_block: how many videos are scored together.
        progress: whether to show a progress bar, where there is a terminal.

    Raises:
        ValueError: there is no text, a positive is outside the gallery, or a score is NaN.
    """
    video_of_text = np.asarray(positives, dtype=np.int64)
    if len(video_of_text) == 0:
        raise ValueError("no query to evaluate")
    if video_of_text.min() < 0 or video_of_text.max() >= num_videos:
        wrong = int(np.flatnonzero((video_of_text < 0) | (video_of_text >= num_videos))[0])
        raise ValueError(f"positive {video_of_text[wrong]} of query {wrong} is outside the gallery of {num_videos}")
    grid = _Grid(video_of_text, num_videos, texts_per_block, videos_per_block)
    levels: dict[str, _RunningLevel] = {}

    def scored(blocks: Sequence[tuple[slice, slice]]) -> Iterator[tuple[_Block, _RunningLevel, Tensor]]:
        for rows, columns in blocks:
            block = grid.block(rows, columns)
            for level, scores in score_block(grid.order[rows], columns).items():
                if level not in levels:
                    levels[level] = _RunningLevel(grid, scores.device, dual_softmax_scale, with_distribution)
                yield block, levels[level], scores
            bar.update()

    passes = 1 if dual_softmax_scale is None else 2
    total = passes * len(grid.blocks) + len(grid.blocks_with_positives)
    with progress_bar(total=total, desc="scoring", unit="block", is_shown=progress) as bar:
        if dual_softmax_scale is not None:
            for block, level, scores in scored(grid.blocks):
                level.update_priors(scores, block)
        for block, level, scores in scored(grid.blocks_with_positives):
            level.observe_positives(scores, block)
        for block, level, scores in scored(grid.blocks):
            level.count(scores, block)
    return {name: level.finish() for name, level in levels.items()}


@dataclass(frozen=True)
class _Block:
    """A block: texts of sorted order, videos, the texts' sets, and the masks of right pairs."""

    rows: slice
    columns: slice
    positives: Tensor
    sets: slice
    set_of_text: IntArray
    set_positives: Tensor


class _Grid:
    """How the matrix is cut: texts in the order of their videos, so that few blocks hold right pairs."""

    def __init__(self, video_of_text: IntArray, num_videos: int, texts_per_block: int, videos_per_block: int) -> None:
        order = np.argsort(video_of_text, kind="stable")
        self.order = torch.from_numpy(order)
        self.inverse = np.argsort(order)
        self.num_texts, self.num_videos = len(video_of_text), num_videos
        self._sorted_videos = video_of_text[order]
        self.asking, self._set_of_text = np.unique(self._sorted_videos, return_inverse=True)
        columns = [slice(v, min(v + videos_per_block, num_videos)) for v in range(0, num_videos, videos_per_block)]
        self.blocks: list[tuple[slice, slice]] = []
        self.blocks_with_positives: list[tuple[slice, slice]] = []
        for rows in self._row_blocks(texts_per_block):
            self.blocks += [(rows, block) for block in columns]
            holding = np.unique(self._sorted_videos[rows] // videos_per_block)
            self.blocks_with_positives += [(rows, columns[number]) for number in holding]

    def block(self, rows: slice, columns: slice) -> _Block:
        """What is known of a block."""
        sets = self._set_of_text[rows]
        of_block = slice(int(sets[0]), int(sets[-1]) + 1)
        videos = np.arange(columns.start, columns.stop)
        return _Block(
            rows=rows,
            columns=columns,
            positives=torch.from_numpy(self._sorted_videos[rows][:, None] == videos),
            sets=of_block,
            set_of_text=sets - sets[0],
            set_positives=torch.from_numpy(self.asking[of_block][:, None] == videos),
        )

    def _row_blocks(self, texts_per_block: int) -> Iterator[slice]:
        ends = np.append(np.flatnonzero(np.diff(self._sorted_videos)) + 1, self.num_texts)
        start = 0
        while start < self.num_texts:
            # The last end of a video's texts that the block has room for, at least one video.
            last = int(np.searchsorted(ends, start + texts_per_block, side="right")) - 1
            stop = int(ends[max(last, int(np.searchsorted(ends, start, side="right")))])
            yield slice(start, stop)
            start = stop


class _RunningLevel:
    """Everything that is counted of one level."""

    def __init__(
        self, grid: _Grid, device: torch.device, dual_softmax_scale: float | None, with_distribution: bool
    ) -> None:
        self._grid = grid
        dtype = torch.float32 if dual_softmax_scale is None else torch.float64
        videos, texts, sets = grid.num_videos, grid.num_texts, len(grid.asking)
        self._texts = RunningRankCounts(texts, videos, dtype=dtype, device=device)
        self._videos = RunningRankCounts(videos, texts, dtype=dtype, device=device)
        self._sets = RunningRankCounts(videos, sets, dtype=dtype, device=device)
        self._distribution = RunningScoreDistribution() if with_distribution else None
        self._priors = None
        if dual_softmax_scale is not None:
            self._priors = (
                DualSoftmaxPrior(videos, scale=dual_softmax_scale, device=device),
                DualSoftmaxPrior(texts, scale=dual_softmax_scale, device=device),
            )

    def update_priors(self, scores: Tensor, block: _Block) -> None:
        """Takes a block into the dual softmax's sums."""
        if self._priors is not None:
            self._priors[0].update(scores, block.columns)
            self._priors[1].update(scores.T, block.rows)

    def observe_positives(self, scores: Tensor, block: _Block) -> None:
        """Takes note of the right pairs' scores."""
        if self._distribution is not None:
            self._distribution.observe(scores)
        for running, block_scores, positives, rows, columns in self._directions(scores, block):
            running.observe_positives(block_scores, positives, rows, columns)

    def count(self, scores: Tensor, block: _Block) -> None:
        """Counts a block."""
        if self._distribution is not None:
            self._distribution.count(scores, block.positives.to(scores.device))
        for running, block_scores, positives, rows, columns in self._directions(scores, block):
            running.count(block_scores, positives, rows, columns)

    def finish(self) -> TwoWayCounts:
        """The counts, texts in the caller's order."""
        asking = self._grid.asking
        return TwoWayCounts(
            text_to_video=self._texts.finish().select(self._grid.inverse),
            video_to_text=self._videos.finish().select(asking),
            video_to_text_sets=self._sets.finish().select(asking),
            asking=asking,
            distribution=None if self._distribution is None else self._distribution.finish(),
        )

    def _directions(
        self, scores: Tensor, block: _Block
    ) -> Iterator[tuple[RunningRankCounts, Tensor, Tensor, slice, slice]]:
        """What each direction counts in, with its scores, right pairs, queries and items."""
        for_texts, for_videos = scores, scores.T
        if self._priors is not None:
            for_texts = self._priors[0].reweight(scores, block.columns)
            for_videos = self._priors[1].reweight(scores.T, block.rows)
        positives = block.positives.to(scores.device)
        yield self._texts, for_texts, positives, block.rows, block.columns
        yield self._videos, for_videos, positives.T, block.columns, block.rows
        best = best_caption_scores(for_videos.T, block.set_of_text).T
        yield self._sets, best, block.set_positives.T.to(scores.device), block.columns, block.sets
