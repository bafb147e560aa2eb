"""How visible a change of frames is: PSNR and SSIM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

# Wang et al., 2004: an 11 x 11 Gaussian window of 1.5 pixels, and the constants of the denominators.
_RADIUS = 5
_DEVIATION = 1.5
_K1, _K2 = 0.01, 0.03
_PEAK = 255.0


@dataclass(frozen=True)
class PerceptualChange:
    """How visible a change of a video is, over the frames that were changed.

    Attributes:
        largest: the largest change of a value, of 255.
        psnr: peak signal-to-noise ratio in decibels; infinite where nothing was changed.
        ssim: structural similarity, 1 where nothing was changed.
        num_changed: frames that were changed.
        num_frames: frames of the video.
    """

    largest: int
    psnr: float
    ssim: float
    num_changed: int
    num_frames: int


def perceptual_change(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> PerceptualChange:
    """Measures a change.

    Args:
        before: uint8 [T, H, W, 3].
        after: the same, changed.

    Raises:
        ValueError: the two differ in shape, or the frames are smaller than SSIM's window of 11 pixels.

    Example:
        >>> import numpy as np
        >>> before = np.zeros((1, 16, 16, 3), np.uint8)
        >>> round(perceptual_change(before, before + np.uint8(8)).psnr, 2)
        30.07
    """
    if before.shape != after.shape:
        raise ValueError(f"the frames are of shape {before.shape} before and {after.shape} after")
    difference = np.abs(before.astype(np.int16) - after.astype(np.int16))
    changed: npt.NDArray[np.bool_] = np.asarray(difference.any((1, 2, 3)))
    if not changed.any():
        return PerceptualChange(0, float("inf"), 1.0, 0, len(before))
    before, after = before[changed], after[changed]
    return PerceptualChange(
        largest=int(difference.max()),
        psnr=psnr(before, after),
        ssim=structural_similarity(before, after),
        num_changed=int(changed.sum()),
        num_frames=len(changed),
    )


def psnr(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio `10 log10(255^2 / mean squared difference)`, in decibels."""
    error = float(np.mean((before.astype(np.float64) - after.astype(np.float64)) ** 2))
    return float("inf") if error == 0.0 else float(10 * np.log10(_PEAK**2 / error))


def structural_similarity(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> float:
    """Mean structural similarity (Wang et al., 2004) over frames, colours and pixels.

    Pixels whose window of 11 x 11 does not lie within the frame are left out.

    Args:
        before: uint8 [T, H, W, 3].
        after: likewise.

    Raises:
        ValueError: the frames are smaller than the window.
    """
    if min(before.shape[1:3]) <= 2 * _RADIUS:
        raise ValueError(f"frames of {before.shape[2]}x{before.shape[1]} are smaller than SSIM's window of 11 pixels")
    # A frame at a time: five maps of each are held.
    return float(np.mean([_ssim_of_frame(*pair) for pair in zip(before, after, strict=True)]))


def _ssim_of_frame(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> float:
    x, y = (torch.from_numpy(frame).permute(2, 0, 1)[:, None].to(torch.float64) for frame in (before, after))
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x = _blurred(x * x) - mean_x**2
    variance_y = _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * _PEAK) ** 2, (_K2 * _PEAK) ** 2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )
    return float(similarity.mean())


def _blurred(image: Tensor) -> Tensor:
    """[C, 1, H, W] images under the Gaussian window, without the border."""
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, dtype=image.dtype)
    window = torch.exp(-(offsets**2) / (2 * _DEVIATION**2))
    window = window / window.sum()
    return F.conv2d(F.conv2d(image, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
