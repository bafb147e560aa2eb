"""Which frames of a video are looked at, and how large: pure functions, without any global state."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F

FrameSampling: TypeAlias = Literal["uniform", "segment_random", "fps"]
FRAME_SAMPLINGS: tuple[FrameSampling, ...] = ("uniform", "segment_random", "fps")

# PIL's numbers for its filters, which image processors' configs hold, and torch's names of the same filters.
INTERPOLATION_MODES = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}

# Timestamps are rounded to the container's clock (1 ms in webm): a time that misses its frame by less than that still
# means it.
_ROUNDING_SECONDS = 1e-3
# No two frames are so near that a faster clock would tell more of them apart.
_MAX_FPS = 1e6


def sampling_generator(seed: int, epoch: int, video_id: str) -> np.random.Generator:
    """Makes the generator of one video in one epoch.

    It depends on its arguments alone, so a resumed run, another number of workers or another order of the
    data draws the same frames.

    Args:
        seed: The run's seed.
        epoch: The epoch, from 0.
        video_id: The video's name in its data set.

    Returns:
        A generator to pass to `segment_random_indices`.
    """
    digest = hashlib.blake2b(f"{seed}\0{epoch}\0{video_id}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def uniform_indices(num_present: int, num_frames: int | None) -> np.ndarray:
    """Takes the middle frame of each of `num_frames` equal segments.

    Args:
        num_present: How many frames there are.
        num_frames: How many to take; `None` takes all.

    Returns:
        Increasing indices, int64, `min(num_frames, num_present)` of them: none is ever repeated.
    """
    first, stop = _segments(num_present, num_frames)
    middle: np.ndarray = (first + stop - 1) // 2
    return middle


def segment_random_indices(num_present: int, num_frames: int | None, generator: np.random.Generator) -> np.ndarray:
    """Takes one random frame out of each of `num_frames` equal segments (for training).

    Args:
        num_present: How many frames there are.
        num_frames: How many to take; `None` takes all.
        generator: The source of randomness, such as `sampling_generator` returns.

    Returns:
        Increasing indices, int64, `min(num_frames, num_present)` of them.
    """
    first, stop = _segments(num_present, num_frames)
    return generator.integers(first, stop)


def fps_indices(timestamps: np.ndarray, fps: float, num_frames: int | None) -> np.ndarray:
    """Takes the frame on show at each tick of a clock of `fps` ticks a second.

    The clock starts at the first frame. A frame on show during several ticks is taken once. Where this gives
    more than `num_frames`, the middles of `num_frames` equal segments of them remain.

    Args:
        timestamps: Seconds at which each frame appears, increasing.
        fps: Ticks a second.
        num_frames: The most frames to take; `None` for no limit.

    Returns:
        Increasing indices, int64.

    Raises:
        ValueError: `fps` is not a positive number.
    """
    if not fps > 0:
        raise ValueError(f"fps is {fps}; it must be a positive number of frames a second")
    if len(timestamps) == 0:
        return np.zeros(0, dtype=np.int64)
    # Counted by frame and not by tick, of which a leap in the times, or a wild number, would make any number.
    rate = min(fps, _MAX_FPS)
    first_tick = np.ceil((timestamps - timestamps[0] - _ROUNDING_SECONDS) * rate)
    # Times that lie on a tick may be rounded to either side of it.
    first_tick -= timestamps[0] + (first_tick - 1) / rate + _ROUNDING_SECONDS >= timestamps
    first_tick += timestamps[0] + first_tick / rate + _ROUNDING_SECONDS < timestamps
    first_tick = np.maximum(first_tick, 0.0)
    last_tick = np.floor((timestamps[-1] - timestamps[0] + _ROUNDING_SECONDS) * rate)
    # Of a frame that is on show at a tick, the first comes before the first of the next frame.
    indices = np.flatnonzero(np.append(first_tick[1:], last_tick + 1) > first_tick)
    return np.take(indices, uniform_indices(len(indices), num_frames))


def window_indices(
    timestamps: np.ndarray, start: float | None, end: float | None, duration: float | None = None
) -> np.ndarray:
    """Finds the frames that are on show in `[start, end)`: the one that is on show at `start`, and those that appear.

    Args:
        timestamps: Seconds at which each frame appears, increasing.
        start: Seconds, included; `None` for the beginning.
        end: Seconds, excluded; `None` for the end.
        duration: Seconds at which the last frame ends; `None` where it stays.

    Returns:
        Increasing indices, int64; empty where no frame is on show in the window.

    Raises:
        ValueError: The window is empty or begins before 0.
    """
    if start is not None and not start >= 0:
        raise ValueError(f"start is {start}; it must be at least 0 seconds")
    if end is not None and not end > (start or 0.0):
        raise ValueError(f"end is {end}; it must be after start, which is {start or 0.0} seconds")
    first, stop = 0, len(timestamps)
    if start is not None:
        first = max(int(np.searchsorted(timestamps, start + _ROUNDING_SECONDS, side="right")) - 1, 0)
        if duration is not None and start >= duration:
            return np.zeros(0, dtype=np.int64)
    if end is not None:
        stop = int(np.searchsorted(timestamps, end, side="left"))
    return np.arange(first, stop, dtype=np.int64)


def select_frame_indices(
    timestamps: np.ndarray,
    num_frames: int | None,
    *,
    start: float | None = None,
    end: float | None = None,
    duration: float | None = None,
    sampling: FrameSampling = "uniform",
    fps: float | None = None,
    generator: np.random.Generator | None = None,
) -> np.ndarray:
    """Selects frames: first the window, then the sampling inside it.

    Args:
        timestamps: Seconds at which each frame of the video appears, increasing.
        num_frames: How many frames to take; `None` for all that `sampling` gives.
        start: Window start in seconds, included; the frame that is on show then is of the window.
        end: Window end in seconds, excluded.
        duration: Seconds at which the last frame ends; `None` where it stays.
        sampling: `"uniform"`, `"segment_random"` or `"fps"`.
        fps: Frames a second, for `"fps"` alone.
        generator: Randomness, for `"segment_random"` alone.

    Returns:
        Increasing indices into `timestamps`, int64.

    Raises:
        ValueError: An argument is out of range, missing, or not meant for this sampling.
    """
    if num_frames is not None and num_frames < 1:
        raise ValueError(f"num_frames is {num_frames}; it must be at least 1, or None for all frames")
    if (fps is not None) != (sampling == "fps"):
        raise ValueError(f"sampling={sampling!r} with fps={fps}: fps belongs to sampling='fps', which needs it")
    window = window_indices(timestamps, start, end, duration)
    # A frame that was on show already counts from the window's start.
    chosen = _sampled(np.maximum(timestamps[window], start or 0.0), num_frames, sampling, fps, generator)
    return np.take(window, chosen)


def size_in_patches(height: int, width: int, patch_size: int, max_num_patches: int) -> tuple[int, int]:
    """Finds the size in whole patches to which a frame is scaled so that it has about as many as it may.

    The largest scale is searched for by halving, to 1e-5, since SigLIP 2 (arXiv 2502.14786) was trained on what that
    search finds.

    Args:
        height: Of the frame, in pixels.
        width: Of the frame.
        patch_size: Height and width of a patch.
        max_num_patches: The most patches.

    Returns:
        Height and width in pixels; each edge rounded up to whole patches after scaling.

    Example:
        >>> size_in_patches(720, 1280, 16, 256)
        (192, 336)
    """
    low, high = 1e-6, 100.0
    while high - low >= 1e-5:
        scale = (low + high) / 2
        rows, columns = (max(math.ceil(edge * scale / patch_size), 1) for edge in (height, width))
        low, high = (scale, high) if rows * columns <= max_num_patches else (low, scale)
    rows, columns = (max(math.ceil(edge * low / patch_size), 1) for edge in (height, width))
    return rows * patch_size, columns * patch_size


@dataclass(frozen=True)
class FrameResizing:
    """How decoded frames are resized and cropped, as uint8; needs no transformers, so that decoding processes do not.

    Attributes:
        do_resize: Whether to resize.
        size: `{"shortest_edge": n}`, `{"height": h, "width": w}` or `{"patch_size": p, "max_num_patches": n}`.
        resample: PIL's number of the filter.
        do_center_crop: Whether to cut out the centre.
        crop_size: `{"height": h, "width": w}` of the centre.
    """

    do_resize: bool
    size: Mapping[str, int]
    resample: int
    do_center_crop: bool
    crop_size: Mapping[str, int]

    @property
    def keeps_shape(self) -> bool:
        """Whether frames have the shape of their video, in whole patches, so that those of a batch differ in size."""
        return "max_num_patches" in self.size

    @property
    def frame_pixels(self) -> int | None:
        """The most pixels of a frame that comes out; None where they depend on the video."""
        if self.keeps_shape:
            return self.size["max_num_patches"] * self.size["patch_size"] ** 2
        return None if self.frame_size is None else self.frame_size[0] * self.frame_size[1]

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """Height and width of every frame that comes out; None where they depend on the video."""
        size = self.crop_size if self.do_center_crop else self.size if self.do_resize else {}
        return (size["height"], size["width"]) if size.keys() >= {"height", "width"} else None

    def resize_and_crop(self, frames: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Resizes and crops frames without leaving uint8.

        Args:
            frames: uint8 `[T, H, W, 3]`.

        Returns:
            uint8 `[T, 3, height, width]`.

        Raises:
            ValueError: The frames are smaller than the crop.
        """
        # A view [T, 3, H, W] that still lies in memory as [T, H, W, 3], torch's fast path for uint8.
        pixels = torch.as_tensor(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        if self.do_resize:
            target = self.resized_size(pixels.shape[2], pixels.shape[3])
            if target != tuple(pixels.shape[2:]):
                mode = INTERPOLATION_MODES[self.resample]
                pixels = F.interpolate(pixels, size=target, mode=mode, antialias=mode != "nearest-exact")
        if self.do_center_crop:
            height, width = self.crop_size["height"], self.crop_size["width"]
            if pixels.shape[2] < height or pixels.shape[3] < width:
                raise ValueError(
                    f"frames of {pixels.shape[3]}x{pixels.shape[2]} are smaller than the crop, {width}x{height}: "
                    "set size to at least crop_size"
                )
            top, left = (pixels.shape[2] - height) // 2, (pixels.shape[3] - width) // 2
            pixels = pixels[:, :, top : top + height, left : left + width]
        return pixels

    def resize_and_crop_frame(self, frame: np.ndarray) -> np.ndarray:
        """Resizes and crops one frame, such as `decode_video` gives to `prepare`.

        Args:
            frame: uint8 `[H, W, 3]`.

        Returns:
            uint8 `[3, height, width]`.

        Raises:
            ValueError: The frame is smaller than the crop.
        """
        resized: np.ndarray = self.resize_and_crop(frame[None])[0].numpy()
        return resized

    def resized_size(self, height: int, width: int) -> tuple[int, int]:
        """Returns the height and width that frames are resized to before the crop.

        Args:
            height: Of the frames, in pixels.
            width: Of the frames, in pixels.
        """
        if self.keeps_shape:
            return size_in_patches(height, width, self.size["patch_size"], self.size["max_num_patches"])
        if "shortest_edge" not in self.size:
            return self.size["height"], self.size["width"]
        short = self.size["shortest_edge"]
        if height <= width:
            return short, int(short * width / height)
        return int(short * height / width), short


def _sampled(
    timestamps: np.ndarray,
    num_frames: int | None,
    sampling: FrameSampling,
    fps: float | None,
    generator: np.random.Generator | None,
) -> np.ndarray:
    if sampling == "uniform":
        return uniform_indices(len(timestamps), num_frames)
    if sampling == "segment_random":
        if generator is None:
            raise ValueError(
                "sampling='segment_random' needs a generator (see sampling_generator): frames are never drawn "
                "from global random state"
            )
        return segment_random_indices(len(timestamps), num_frames, generator)
    if sampling == "fps" and fps is not None:
        return fps_indices(timestamps, fps, num_frames)
    raise ValueError(f"sampling is {sampling!r}; it must be one of {', '.join(FRAME_SAMPLINGS)}")


def _segments(num_present: int, num_frames: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Cuts `range(num_present)` into equal segments; returns each one's first index and stop."""
    if num_frames is not None and num_frames < 1:
        raise ValueError(f"num_frames is {num_frames}; it must be at least 1, or None for all frames")
    num_segments = num_present if num_frames is None else min(num_present, num_frames)
    bounds = np.arange(num_segments + 1, dtype=np.int64) * num_present // max(num_segments, 1)
    return bounds[:-1], bounds[1:]
