"""Counting as the evaluation of CLIP4Clip counts, for comparison with figures that were made with it.

Many papers report figures from that harness (https://github.com/ArrowLuo/CLIP4Clip, `metrics.py` and the
evaluation in `main_task_retrieval.py`). It has two paths, which treat tied scores differently:

- One caption a video, `clip4clip`: the 0-based positions of *every* item with the positive's score are listed,
  so that a query with n items tied enters n times, and all figures are taken over that list. A tie can move R@k
  up or down: constant scores give R@1 = 100 / N, and two rows of four tied at the top give 66.7, where the
  expectation over random tie-breaking is 75.
- Several captions a video, `clip4clip_multi_sentence`: text to video sorts each row twice; a tie is ranked by
  the order of the sort (here a stable one: the earlier gallery item first), and the median is the lower of the
  middle two. Video to text takes the best score of each video's captions, so that a video ranks the *sets of
  captions*, one a video, rather than all captions, and then counts as the first path does.

The harness reports no MRR; here it follows the same counting.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from video_colbert.evaluation.rank_counts import IntArray, RankCounts


def listed_positions(counts: RankCounts) -> IntArray:
    """How often each position is in the list of the one-caption path.

    Args:
        counts: of queries with one positive each.

    Returns:
        [gallery] number of entries of each 0-based position.

    Raises:
        ValueError: a query has several positives with one score.
    """
    if (counts.tied_positives != 1).any():
        query = int(np.flatnonzero(counts.tied_positives != 1)[0])
        raise ValueError(f"clip4clip counting knows one positive a query; query {query} has several of one score")
    steps = np.bincount(counts.better, minlength=counts.gallery + 1)
    steps -= np.bincount(counts.better + counts.tied_negatives + 1, minlength=counts.gallery + 1)
    positions: IntArray = steps.cumsum()[: counts.gallery].astype(np.int64)
    return positions


def sorted_positions(counts: RankCounts) -> IntArray:
    """How many queries have their first positive at each 0-based rank of a stable sort; [gallery]."""
    positions: IntArray = np.bincount(counts.better + counts.tied_before, minlength=counts.gallery).astype(np.int64)
    return positions


def median_position(positions: IntArray, *, lower: bool) -> float:
    """Median of a list of positions given as counts.

    Args:
        positions: [gallery] number of entries of each 0-based position.
        lower: whether the lower of the middle two stands for an even number of entries, rather than their mean.
    """
    entries = int(positions.sum())
    middle = np.searchsorted(positions.cumsum(), [(entries + 1) // 2, entries // 2 + 1])
    return float(middle[0] if lower else middle.mean())


def best_caption_scores(scores: torch.Tensor, caption_sets: npt.ArrayLike) -> torch.Tensor:
    """The best score of each set of captions.

    Args:
        scores: [num_texts, num_videos]; a block of the videos is enough.
        caption_sets: [num_texts] which set each text belongs to, from 0, each set with a text.

    Returns:
        [sets, num_videos].
    """
    sets = torch.as_tensor(np.asarray(caption_sets, dtype=np.int64), device=scores.device)
    best = scores.new_full((int(sets.max()) + 1, scores.shape[1]), float("-inf"))
    return best.scatter_reduce_(0, sets[:, None].expand_as(scores), scores, "amax")
