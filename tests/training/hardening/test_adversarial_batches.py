from typing import Any

import pytest
import torch

from tests.tiny_models import random_batch, tiny_model
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTVideoProcessor
from video_colbert.training.hardening.adversarial_batches import adversarial_batches

PROCESSOR = VideoColBERTVideoProcessor(image_mean=0.5, image_std=0.5)


@pytest.fixture(scope="module")
def model() -> VideoColBERTModel:
    return tiny_model().train()


@pytest.fixture(scope="module")
def batch() -> dict[str, Any]:
    inputs = random_batch()
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, inputs["pixel_values_videos"].shape, dtype=torch.uint8, generator=generator)
    pixels[~inputs["video_mask"]] = 0
    return {
        **inputs,
        "pixel_values_videos": pixels,
        "video_keys": torch.arange(5),
        "caption_keys": torch.arange(5),
    }


def loss_of(model: VideoColBERTModel, batch: dict[str, Any]) -> float:
    names = ("input_ids", "attention_mask", "video_mask")
    pixels = PROCESSOR.normalize(batch["pixel_values_videos"])
    inputs = {name: batch[name] for name in names}
    with torch.no_grad():
        return float(model(**inputs, pixel_values_videos=pixels, return_loss=True).loss)


@pytest.mark.parametrize(("budget", "steps"), [(4, 1), (8, 3)])
def test_changed_videos_have_a_higher_loss_within_the_budget(
    model: VideoColBERTModel, batch: dict[str, Any], budget: int, steps: int
) -> None:
    [changed] = adversarial_batches(model, [batch], PROCESSOR, budget=budget, steps=steps, seed=0)
    pixels = changed["pixel_values_videos"]
    assert pixels.dtype == torch.uint8
    assert (pixels.int() - batch["pixel_values_videos"].int()).abs().max() == budget
    assert not pixels[~batch["video_mask"]].any()
    assert loss_of(model, {**batch, **changed}) > loss_of(model, batch)


def test_the_change_repeats_by_its_seed_and_leaves_the_model_as_it_was(
    model: VideoColBERTModel, batch: dict[str, Any]
) -> None:
    first, again, other = (
        adversarial_batches(model, [batch], PROCESSOR, budget=4, steps=1, seed=seed)[0]["pixel_values_videos"]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
