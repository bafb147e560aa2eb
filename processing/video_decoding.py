"""Any video to the frames that were asked for, with one error type for every bad file."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

import numpy as np
import torch

from .frame_sampling import FrameSampling, select_frame_indices
from .video_packets import container_formats
from .video_sources import (
    ChannelOrder,
    VideoDecodingError,
    VideoSource,
    channels_last_array,
    frame_images,
    open_source,
    source_name,
)
from .video_stream import OpenVideoFile, decode_frames, frame_times

DecodingBackend: TypeAlias = Literal["pyav", "torchcodec"]

# Measured against decoding everything: in transport streams, avi and mpeg, torchcodec 0.13 returns other frames
# than those of the given indices; PyAV decodes these.
_TORCHCODEC_FORMATS = frozenset({"matroska", "mov"})


@dataclass(frozen=True)
class DecodedVideo:
    """Frames of a video.

    Attributes:
        frames: uint8 `[T, H, W, 3]`, RGB, upright.
        timestamps: float64 `[T]`, seconds since the start of the video at which each frame appears, increasing.
        duration: Seconds from the start of the video to the end of its last frame.
    """

    frames: np.ndarray
    timestamps: np.ndarray
    duration: float


def decode_video(
    source: VideoSource | DecodedVideo | OpenVideoFile,
    num_frames: int | None = None,
    *,
    start: float | None = None,
    end: float | None = None,
    sampling: FrameSampling = "uniform",
    fps: float | None = None,
    generator: np.random.Generator | None = None,
    source_fps: float = 1.0,
    input_data_format: ChannelOrder | None = None,
    backend: DecodingBackend = "pyav",
) -> DecodedVideo:
    """Decodes frames of a video, equal to decoding all of it and picking.

    Args:
        source: A path, an `http(s)://` or `hf://` URL, the bytes of a video file, a seekable binary file, a row
            `{"path": ..., "bytes": ...}`, a folder of frame images, a uint8 array or tensor of frames, a
            `DecodedVideo`, out of whose frames is chosen, or an `OpenVideoFile`, which PyAV decodes.
        num_frames: How many frames to return at most; `None` for all. A shorter video gives all its frames.
        start: Start of a window in seconds, included.
        end: End of the window in seconds, excluded.
        sampling: `"uniform"` (the middle of each of `num_frames` segments), `"segment_random"` (a random frame
            of each, from `generator`) or `"fps"` (`fps` a second, thinned evenly to `num_frames`).
        fps: Frames a second to take, with `sampling="fps"`.
        generator: The randomness of `sampling="segment_random"`.
        source_fps: Frames a second in a folder or an array, neither of which says it.
        input_data_format: The channel order of an array whose shape leaves it open.
        backend: `"pyav"`, or `"torchcodec"` where that is installed, for mp4, mov, mkv and webm.

    Returns:
        `min(num_frames, frames in the window)` frames.

    Raises:
        VideoDecodingError: The video cannot be read, a wanted frame cannot be decoded, or no frame appears in
            the window.
        ValueError: An argument is out of range.
        TypeError: `source` is none of the above.
        ImportError: The backend is not installed.
    """
    if backend not in ("pyav", "torchcodec"):
        raise ValueError(f"backend is {backend!r}; it must be 'pyav' or 'torchcodec'")
    if not source_fps > 0:
        raise ValueError(f"source_fps is {source_fps}; it must be a positive number of frames a second")
    if isinstance(source, OpenVideoFile):
        name = source.name
    else:
        name = "<decoded video>" if isinstance(source, DecodedVideo) else source_name(source)

    def choose(times: np.ndarray) -> np.ndarray:
        indices = select_frame_indices(
            times, num_frames, start=start, end=end, sampling=sampling, fps=fps, generator=generator
        )
        if not len(indices):
            raise VideoDecodingError(
                name,
                f"no frame appears from {start or 0.0:g} s to {'the end' if end is None else f'{end:g} s'}; "
                f"its {len(times)} frames appear from {times[0]:.3f} s to {times[-1]:.3f} s",
            )
        return indices

    if isinstance(source, DecodedVideo):
        indices = choose(source.timestamps)
        return DecodedVideo(source.frames[indices], source.timestamps[indices], source.duration)
    if isinstance(source, OpenVideoFile):
        frames, times, duration = source.decode(choose)
        return DecodedVideo(_stack(frames, name), times, duration)
    if isinstance(source, np.ndarray | torch.Tensor):
        array = channels_last_array(source, input_data_format)
        times = np.arange(len(array)) / source_fps
        indices = choose(times)
        return DecodedVideo(array[indices], times[indices], len(array) / source_fps)
    if isinstance(source, str | os.PathLike) and Path(source).is_dir():
        return _decode_folder(Path(source), choose, source_fps)
    decode = _decode_with_torchcodec if backend == "torchcodec" else decode_frames
    with open_source(source) as file:
        frames, times, duration = decode(file, name, choose)
    return DecodedVideo(_stack(frames, name), times, duration)


def _decode_folder(folder: Path, choose: Callable[[np.ndarray], np.ndarray], source_fps: float) -> DecodedVideo:
    images = frame_images(folder)
    times = np.arange(len(images)) / source_fps
    indices = choose(times)
    frames = []
    for index in indices:
        pixels, _, _ = decode_frames(str(images[index]), str(images[index]), lambda _: np.zeros(1, dtype=np.int64))
        frames += pixels
    return DecodedVideo(_stack(frames, str(folder)), times[indices], len(images) / source_fps)


def _stack(frames: list[np.ndarray], name: str) -> np.ndarray:
    sizes = sorted({frame.shape[:2] for frame in frames})
    if len(sizes) > 1:
        listed = ", ".join(f"{width}x{height}" for height, width in sizes)
        raise VideoDecodingError(name, f"its frames are of several sizes: {listed}")
    return np.stack(frames)


def _decode_with_torchcodec(
    file: str | BinaryIO, name: str, choose: Callable[[np.ndarray], np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray, float]:
    """Chooses as `decode_frames` does, and lets torchcodec decode the chosen frames where it finds them exactly."""
    try:
        from torchcodec.decoders import VideoDecoder  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ImportError("backend='torchcodec' needs torchcodec: pip install torchcodec") from error
    if not container_formats(file, name) & _TORCHCODEC_FORMATS:
        return decode_frames(file, name, choose)
    times, duration = frame_times(file, name)
    indices = choose(times)
    if not isinstance(file, str):
        file.seek(0)
    try:
        decoder = VideoDecoder(file, dimension_order="NHWC", seek_mode="exact", num_ffmpeg_threads=1)
        if len(decoder) != len(times):
            raise VideoDecodingError(name, f"torchcodec finds {len(decoder)} frames, its packets say {len(times)}")
        batch = decoder.get_frames_at(indices.tolist())
    # torchcodec reports FFmpeg's errors as RuntimeError, and what it cannot use as ValueError.
    except (RuntimeError, ValueError) as error:
        raise VideoDecodingError(name, f"torchcodec cannot decode it: {error}") from error
    return list(batch.data.cpu().numpy()), times[indices], duration
