import numpy as np
import pytest
import torch

from video_colbert.evaluation.robustness.differentiable_frames import normalize, processed_frames, resize_and_crop
from video_colbert.processing import FrameResizing, VideoColBERTVideoProcessor

SQUARE = {"height": 16, "width": 16}


def resizing(resample: int = 3, **settings: object) -> FrameResizing:
    fields = {"do_resize": True, "size": {"shortest_edge": 16}, "do_center_crop": True, "crop_size": SQUARE}
    return FrameResizing(**{**fields, "resample": resample, **settings})  # type: ignore[arg-type]


def smooth_frames(seed: int = 0) -> np.ndarray:
    """Frames of 40 x 24 pixels without sharp edges, as of a camera."""
    rng = np.random.default_rng(seed)
    small = torch.from_numpy(rng.uniform(0, 255, (3, 3, 5, 7)))
    large = torch.nn.functional.interpolate(small, size=(24, 40), mode="bilinear")
    return large.permute(0, 2, 3, 1).round().numpy().astype(np.uint8)


@pytest.mark.parametrize("resample", [0, 2, 3])
@pytest.mark.parametrize("settings", [{}, {"size": SQUARE}, {"do_center_crop": False, "size": SQUARE}])
def test_the_stand_in_is_the_processor_up_to_rounding(resample: int, settings: dict[str, object]) -> None:
    frames = smooth_frames()
    of_processor = resizing(resample, **settings).resize_and_crop(frames)
    stand_in = resize_and_crop(torch.from_numpy(frames).double(), resizing(resample, **settings))
    assert stand_in.shape == of_processor.shape
    # It rounds to 8 bits after the rows and again after the columns.
    assert (stand_in - of_processor).abs().max() <= 1.5


def test_the_model_sees_the_processors_own_frames_of_values_rounded_to_8_bits() -> None:
    frames = torch.from_numpy(smooth_frames()).double() + torch.rand(3, 24, 40, 3, dtype=torch.float64) * 0.8 - 0.4
    expected = resizing().resize_and_crop(smooth_frames())
    assert torch.equal(processed_frames(frames, resizing()), expected.double())


@pytest.mark.parametrize("resample", [2, 3])
def test_the_gradient_of_resize_crop_and_normalisation_equals_finite_differences(resample: int) -> None:
    processor = VideoColBERTVideoProcessor(image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.25, 0.3])
    generator = torch.Generator().manual_seed(0)
    # Away from black and white, where values are clipped.
    frames = 100 + 50 * torch.rand(1, 9, 13, 3, generator=generator, dtype=torch.float64)
    small = resizing(resample, size={"shortest_edge": 6}, crop_size={"height": 6, "width": 6})

    def prepared(frames: torch.Tensor) -> torch.Tensor:
        return normalize(resize_and_crop(frames, small), processor)

    assert torch.autograd.gradcheck(prepared, frames.requires_grad_(), eps=1e-3, atol=1e-7)


def test_frames_are_normalised_as_the_processor_normalises_them() -> None:
    processor = VideoColBERTVideoProcessor(image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.25, 0.3])
    pixels = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8)
    torch.testing.assert_close(normalize(pixels.float(), processor), processor.normalize(pixels))
    plain = processor.with_settings(do_rescale=False, do_normalize=False)
    assert torch.equal(normalize(pixels.float(), plain), pixels.float())
