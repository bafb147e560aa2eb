import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.evaluation.robustness.conftest import CAPTIONS, made_video
from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.errors import EncodingError
from video_colbert.evaluation.robustness.attack_settings import PixelAttackSettings
from video_colbert.evaluation.robustness.attacked_video import encode_video, sampled_indices
from video_colbert.evaluation.robustness.defences import median_scores
from video_colbert.evaluation.robustness.differentiable_frames import resize_and_crop
from video_colbert.evaluation.robustness.differentiable_scores import AttackedModel
from video_colbert.evaluation.robustness.multi_target_loss import multi_target_loss
from video_colbert.evaluation.robustness.pixel_attack import attack_pixels
from video_colbert.processing import DecodedVideo

VIDEO = made_video()


@pytest.fixture(scope="module")
def targets(encoder: VideoColBERTEncoder) -> EncodedQueries:
    return encoder.encode_queries(CAPTIONS[:4])


@pytest.fixture(scope="module")
def exact(encoder: VideoColBERTEncoder) -> VideoColBERTEncoder:
    """The same encoder in float64."""
    other = copy.copy(encoder)
    other.model = copy.deepcopy(encoder.model).double()
    return other


def scores_of(encoder: VideoColBERTEncoder, video: DecodedVideo, queries: EncodedQueries) -> np.ndarray:
    """Scores through the processor and the encoder, as any video's."""
    return median_scores(queries, [[encode_video(encoder, video)]])[:, 0].numpy()


def test_gradients_from_pixels_through_both_levels_equal_finite_differences(
    exact: VideoColBERTEncoder, targets: EncodedQueries
) -> None:
    model = AttackedModel(exact, targets)
    resizing = exact.processor.video_processor.resizing
    # A third larger than what the model takes.
    frames = torch.from_numpy(VIDEO.frames[::4, :43, :43]).double().clamp(20, 235)

    def loss(frames: torch.Tensor) -> torch.Tensor:
        scores = model.scores_of_pixels(resize_and_crop(frames, resizing)).scores
        return multi_target_loss(scores, "promote", 10.0)

    frames.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(frames), frames)
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        direction = torch.randn(frames.shape, generator=generator, dtype=torch.float64)
        step = 1e-4 * direction
        with torch.no_grad():
            difference = (loss(frames + step) - loss(frames - step)) / 2e-4
        expected = (gradient * direction).sum().item()
        assert difference.item() == pytest.approx(expected, rel=1e-5)
    assert gradient.abs().amax((1, 2, 3)).min() > 0


def test_the_attack_uses_the_gradient_of_the_stand_in_at_the_frames_that_the_processor_makes(
    exact: VideoColBERTEncoder, targets: EncodedQueries
) -> None:
    model = AttackedModel(exact, targets)
    # Of the model's own size, nothing is resized, and both see the same numbers.
    frames = torch.from_numpy(VIDEO.frames[:3, :32, :32]).double().requires_grad_()
    of_attack = torch.autograd.grad(model.scores(frames).scores.sum(), frames)[0]
    resizing = exact.processor.video_processor.resizing
    of_stand_in = torch.autograd.grad(model.scores_of_pixels(resize_and_crop(frames, resizing)).scores.sum(), frames)[
        0
    ]
    torch.testing.assert_close(of_attack, of_stand_in)


@pytest.mark.parametrize("frames", ["sampled", "all"])
@pytest.mark.parametrize("budget", [1, 4, 16])
def test_the_change_never_leaves_its_budget_after_rounding_to_8_bits(
    encoder: VideoColBERTEncoder, targets: EncodedQueries, budget: int, frames: str
) -> None:
    # With black and white, beyond which values are clipped.
    extreme = VIDEO.frames.copy()
    extreme[:, :10], extreme[:, 10:20] = 0, 255
    video = replace(VIDEO, frames=extreme)
    settings = PixelAttackSettings(budget=budget, steps=4, step_size=3.7, frames=frames)  # type: ignore[arg-type]
    changed = attack_pixels(encoder, video, targets, settings).video.frames
    assert changed.dtype == np.uint8
    difference = np.abs(changed.astype(int) - extreme.astype(int))
    assert difference.max() == budget
    touched = difference.any((1, 2, 3)).nonzero()[0]
    expected = sampled_indices(encoder, video) if frames == "sampled" else np.arange(len(extreme))
    assert touched.tolist() == expected.tolist()


def test_a_promoted_video_scores_higher_and_a_suppressed_one_lower_through_the_real_processor(
    encoder: VideoColBERTEncoder, targets: EncodedQueries
) -> None:
    settings = PixelAttackSettings(budget=8, steps=15)
    before = scores_of(encoder, VIDEO, targets)
    promoted = attack_pixels(encoder, VIDEO, targets, settings)
    suppressed = attack_pixels(encoder, VIDEO, targets, settings, goal="suppress")
    assert (scores_of(encoder, promoted.video, targets) > before).all()
    assert scores_of(encoder, suppressed.video, targets).mean() < before.mean()
    # What is returned is the best of the steps, as 8-bit frames score.
    scores = torch.from_numpy(scores_of(encoder, promoted.video, targets))
    assert multi_target_loss(scores, "promote", settings.sharpness).item() == pytest.approx(
        min(promoted.losses), rel=1e-5
    )


def test_equal_seeds_repeat_an_attack_exactly_and_others_do_not(
    encoder: VideoColBERTEncoder, targets: EncodedQueries
) -> None:
    for frames in ("sampled", "all"):
        settings = PixelAttackSettings(steps=3, frames=frames, seed=1)  # type: ignore[arg-type]
        first, again = (attack_pixels(encoder, VIDEO, targets, settings) for _ in range(2))
        other = attack_pixels(encoder, VIDEO, targets, replace(settings, seed=2))
        assert first.losses == again.losses
        assert np.array_equal(first.video.frames, again.video.frames)
        assert not np.array_equal(first.video.frames, other.video.frames)


def test_frames_that_are_not_sampled_take_the_gradients_of_those_that_look_like_them(
    encoder: VideoColBERTEncoder, targets: EncodedQueries
) -> None:
    settings = PixelAttackSettings(steps=1, frames="all", refined=True, similarity_threshold=-1.0, seed=3)
    shared = attack_pixels(encoder, VIDEO, targets, settings).video.frames
    own = attack_pixels(encoder, VIDEO, targets, replace(settings, refined=False)).video.frames
    # Both start at the same place; one step moves six frames of the one and all twelve of the other.
    moved = (shared != own).any((1, 2, 3))
    assert moved.sum() >= 6


def test_an_attack_on_a_model_without_gradients_or_without_targets_says_so(
    encoder: VideoColBERTEncoder, targets: EncodedQueries
) -> None:
    quantised = copy.copy(encoder)
    quantised.format_choice = replace(encoder.format_choice, number_format="int8")
    with pytest.raises(EncodingError, match="load it with dtype float32"):
        attack_pixels(quantised, VIDEO, targets)
    with pytest.raises(ValueError, match="needs a target"):
        multi_target_loss(torch.zeros(0), "promote", 1.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("budget", 0),
        ("budget", 8.5),
        ("budget", 256),
        ("steps", 0),
        ("step_size", 0.0),
        ("frames", "some"),
        ("sharpness", -1.0),
        ("momentum", 1.0),
        ("similarity_threshold", 2.0),
    ],
)
def test_settings_out_of_range_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        PixelAttackSettings(**{field: value})  # type: ignore[arg-type]
