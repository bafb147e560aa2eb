"""Frames as a model takes them, by steps that have gradients with respect to the pixels of the video."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.processing import FrameResizing, VideoColBERTVideoProcessor
from video_colbert.processing.frame_sampling import INTERPOLATION_MODES


def resize_and_crop(frames: Tensor, resizing: FrameResizing) -> Tensor:
    """Resizes and crops frames as `FrameResizing` does, on numbers with fractions.

    The filter is the processor's own, with antialiasing, and values beyond black and white are clipped. The result
    differs from the processor's by rounding, its own and that of its weights.

    Args:
        frames: [T, H, W, 3] floating point, from 0 to 255.
        resizing: the processor's resizing.

    Returns:
        [T, 3, height, width], of the type of `frames`.
    """
    pixels = frames.permute(0, 3, 1, 2)
    if resizing.do_resize:
        target = resizing.resized_size(pixels.shape[2], pixels.shape[3])
        if target != tuple(pixels.shape[2:]):
            mode = INTERPOLATION_MODES[resizing.resample]
            pixels = F.interpolate(pixels, size=target, mode=mode, antialias=mode != "nearest-exact").clamp(0.0, 255.0)
    if resizing.do_center_crop:
        height, width = resizing.crop_size["height"], resizing.crop_size["width"]
        top, left = (pixels.shape[2] - height) // 2, (pixels.shape[3] - width) // 2
        pixels = pixels[:, :, top : top + height, left : left + width]
    return pixels


def processed_frames(frames: Tensor, resizing: FrameResizing) -> Tensor:
    """The processor's own 8-bit frames, with the gradient of `resize_and_crop`.

    Values are rounded to 8 bits, and then resized by the processor itself; the gradient passes both roundings as if
    they were not there (a straight-through estimate).

    Args:
        frames: [T, H, W, 3] floating point, from 0 to 255.
        resizing: the processor's resizing.

    Returns:
        [T, 3, height, width] whole numbers from 0 to 255, of the type of `frames`.

    Raises:
        ValueError: the frames are smaller than the crop.
    """
    stored = frames.detach().round().clamp(0, 255).to(torch.uint8)
    exact = resizing.resize_and_crop(stored.cpu()).to(frames.device, frames.dtype)
    smooth = resize_and_crop(frames, resizing)
    return smooth + (exact - smooth).detach()


def normalize(pixels: Tensor, processor: VideoColBERTVideoProcessor) -> Tensor:
    """Rescales and normalises pixels as the processor does, with a gradient and in the type of the pixels.

    Args:
        pixels: [..., 3, height, width] floating point, from 0 to 255.
        processor: whose settings count.
    """
    if processor.do_rescale:
        pixels = pixels * processor.rescale_factor
    if processor.do_normalize:
        mean = torch.tensor(processor.image_mean, dtype=pixels.dtype, device=pixels.device).view(3, 1, 1)
        deviation = torch.tensor(processor.image_std, dtype=pixels.dtype, device=pixels.device).view(3, 1, 1)
        pixels = (pixels - mean) / deviation
    return pixels
