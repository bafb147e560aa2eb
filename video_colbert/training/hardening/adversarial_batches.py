"""Training videos changed against the model that is trained: adversarial training (Madry et al., arXiv 1706.06083)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from video_colbert.evaluation.robustness.differentiable_frames import normalize
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTVideoProcessor
from video_colbert.training.contrastive_step import Batch, pair_keys

# The step of the single-step attack with a random start, as a share of the budget (arXiv 2001.03994).
_SINGLE_STEP = 1.25
_WAY = 2.5


def adversarial_batches(
    model: VideoColBERTModel,
    micro_batches: Sequence[Batch],
    processor: VideoColBERTVideoProcessor,
    *,
    budget: int,
    steps: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Changes the pixels of each micro-batch's videos, within a budget, so that its loss rises.

    Videos are changed at the size that the model takes, each micro-batch against the other videos in it. The training
    step then lowers the loss of the changed videos.

    Args:
        model: The model that is trained, not wrapped. Its gradients stay as they are.
        micro_batches: With uint8 `pixel_values_videos`.
        processor: Whose normalisation counts.
        budget: The most by which a value changes, of 255.
        steps: Steps of projected gradient; one with a random start is the "fast" way (arXiv 2001.03994).
        seed: Of the random start.

    Returns:
        The micro-batches with changed pixels, uint8; padding stays as it is.
    """
    generator = torch.Generator().manual_seed(seed)
    was_training = model.training
    # No dropout: the attack is on the model as it is used.
    model.eval()
    try:
        changed: list[dict[str, Any]] = [
            {**batch, "pixel_values_videos": _changed_pixels(model, batch, processor, budget, steps, generator)}
            for batch in micro_batches
        ]
    finally:
        model.train(was_training)
    return changed


def _changed_pixels(
    model: VideoColBERTModel,
    batch: Batch,
    processor: VideoColBERTVideoProcessor,
    budget: int,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    clean = batch["pixel_values_videos"]
    pixels = clean.float()
    present = batch["video_mask"].bool()[:, :, None, None, None]
    delta = (2 * torch.rand(clean.shape, generator=generator) - 1).to(pixels.device) * budget
    length = budget * (_SINGLE_STEP if steps == 1 else _WAY / steps)
    keys = pair_keys([batch])
    positives = keys.positive_mask(keys)
    passages = {name: value for name, value in batch.items() if name.startswith("passage_")}
    with torch.no_grad():
        query = model.get_text_features(batch["input_ids"], batch["attention_mask"], return_dict=True)
    for _ in range(steps):
        delta = ((pixels + delta).clamp(0, 255) - pixels).requires_grad_()
        video = model.get_video_features(
            normalize(pixels + delta, processor), batch["video_mask"], return_dict=True, **passages
        )
        loss, _ = model.loss(model.score(query, video), positives, keys.query_levels)
        (gradient,) = torch.autograd.grad(loss, delta)
        delta = (delta.detach() + length * gradient.sign()).clamp(-budget, budget)
    changed = (pixels + delta).clamp(0, 255).round().to(torch.uint8)
    return torch.where(present, changed, clean)


__all__ = ["adversarial_batches"]
