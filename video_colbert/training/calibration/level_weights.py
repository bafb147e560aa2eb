"""What each level counts in the sum, fitted to captions and videos that were held out of training."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from video_colbert.evaluation.encoded_split import EncodedSplit
from video_colbert.modeling_video_colbert.losses_video_colbert import info_nce_loss, positive_pairs

_MOST_CAPTIONS = 2000
"""Captions that weights are fitted to: there are as many unknowns as levels, and each caption meets all videos."""


def fit_level_weights(level_scores: Mapping[str, Tensor], positive_mask: Tensor | None = None) -> dict[str, float]:
    """Fits the weights of levels by which held-out captions and videos find each other best.

    The weights `w` minimise the InfoNCE loss of `sum_l w_l s_l`, that is, of a sum in which every level has a
    temperature of its own. A factor that all share changes no ranking and is divided out.

    Args:
        level_scores: `[captions, videos]` scores by level, of levels on which all videos have tokens.
        positive_mask: `[captions, videos]`, true where they belong together; `None` means the diagonal.

    Returns:
        A weight by level, not negative, 1 on average.

    Raises:
        ValueError: There is no caption, only one video, or a mask of another shape.

    Example:
        >>> right, wrong = torch.eye(4), torch.eye(4).flip(0)
        >>> weights = fit_level_weights({"frame": wrong, "video": right})
        >>> weights["video"] > weights["frame"]
        True
    """
    stacked = torch.stack(list(level_scores.values())).double()
    if stacked.shape[1] == 0 or stacked.shape[2] < 2:
        raise ValueError(
            f"level weights are fitted to captions of two videos or more, got {stacked.shape[1]} captions and "
            f"{stacked.shape[2]} videos"
        )
    positives = positive_pairs(stacked[0], positive_mask)
    # Exponentials are positive; the start is about the temperature of a trained model.
    exponents = torch.full((len(stacked),), 3.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([exponents], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = (exponents.exp()[:, None, None] * stacked).sum(0)
        loss = info_nce_loss(total, positives, total.new_zeros(()))
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call] # torch leaves it untyped
    weights = exponents.detach().exp()
    weights = weights / weights.mean()
    return dict(zip(level_scores, weights.tolist(), strict=True))


@torch.inference_mode()
def level_weights_of_split(split: EncodedSplit, levels: Sequence[str]) -> dict[str, float]:
    """Fits the weights of levels to an encoded split; of one with many captions, to evenly spaced ones.

    Args:
        split: Held out of training.
        levels: Those that the model scores by.

    Returns:
        A weight by level, as `fit_level_weights` gives it.

    Raises:
        ValueError: The split has only one video.
    """
    number = len(split.positives)
    rows = torch.linspace(0, number - 1, min(number, _MOST_CAPTIONS)).round().long()
    scores = split.level_scores(rows)
    columns = torch.tensor(split.positives)[rows]
    positive_mask = columns[:, None] == torch.arange(len(split.video_ids))
    with torch.inference_mode(False):
        return fit_level_weights({level: scores[level].cpu().clone() for level in levels}, positive_mask.clone())


__all__ = ["fit_level_weights", "level_weights_of_split"]
