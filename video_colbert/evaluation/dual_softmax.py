"""Dual-softmax re-weighting of scores (Cheng et al., arXiv 2109.04290).

    S'[q, v] = S[q, v] * exp(scale * S[q, v]) / sum over queries p of exp(scale * S[p, v])

for text to video: a video that every query likes is held down. For video to text the sum runs over the videos.
Figures made so are not those of a search engine: each query's result depends on all the other test queries, which
in use are not there. They are therefore always labelled.

The prior multiplies the score as in the paper, which means raising it only where scores are positive; scores below
zero are pushed further down by a large prior.
"""

from __future__ import annotations

import torch

from video_colbert.evaluation.rank_counts import Scores

DUAL_SOFTMAX = "dual_softmax"
"""The label of results made with it."""

DEFAULT_SCALE = 100.0
"""One over the softmax's temperature: about CLIP's own scale of cosines."""


def dual_softmax(scores: Scores, *, scale: float = DEFAULT_SCALE) -> torch.Tensor:
    """Re-weights a full matrix for ranking its columns by its rows; transpose it for the other direction.

    Args:
        scores: [num_queries, gallery] cosines, or sums of a few.
        scale: what scores are multiplied with inside the softmax.

    Returns:
        [num_queries, gallery] re-weighted scores, float64.
    """
    table = torch.as_tensor(scores)
    prior = DualSoftmaxPrior(table.shape[1], scale=scale, device=table.device)
    prior.update(table, slice(0, table.shape[1]))
    return prior.reweight(table, slice(0, table.shape[1]))


class DualSoftmaxPrior:
    """The softmax's denominators, from blocks of the score matrix.

    Every block goes through `update` first; then blocks can be re-weighted.

    Args:
        gallery: items of the whole matrix.
        scale: what scores are multiplied with inside the softmax.
        device: where the blocks are.
    """

    def __init__(self, gallery: int, *, scale: float = DEFAULT_SCALE, device: torch.device | str = "cpu") -> None:
        self._scale = scale
        self._log_sum = torch.full((gallery,), float("-inf"), dtype=torch.float64, device=device)

    def update(self, scores: torch.Tensor, columns: slice) -> None:
        """Adds a block of scores [queries, items] of some queries to the sums of these gallery items."""
        of_block = torch.logsumexp(self._scale * scores.double(), dim=0)
        self._log_sum[columns] = torch.logaddexp(self._log_sum[columns], of_block)

    def reweight(self, scores: torch.Tensor, columns: slice) -> torch.Tensor:
        """Re-weights a block [queries, items]; float64, for the prior of most pairs is tiny.

        An item that scores -inf with every query keeps that score.
        """
        exact = scores.double()
        prior = torch.exp(self._scale * exact - self._log_sum[columns])
        return torch.where(torch.isinf(exact), exact, exact * prior)
