"""Any video to the frames that were asked for, with one error type for every bad file."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

import numpy as np
import torch

from .frame_pictures import HdrTransfer
from .frame_sampling import FrameSampling, select_frame_indices
from .video_containers import DEFAULT_MAX_PIXELS, DEFAULT_TIME_LIMIT, container_formats
from .video_sources import (
    ChannelOrder,
    VideoDecodingError,
    VideoSource,
    channels_last_array,
    frame_images,
    is_folder,
    open_source,
    source_name,
)
from .video_stream import ChosenFrames, FrameChooser, FramePreparation, OpenVideoFile

DecodingBackend: TypeAlias = Literal["pyav", "torchcodec"]

# Measured against decoding everything: in transport streams, avi and mpeg, torchcodec 0.13 returns other frames
# than those of the given indices; PyAV decodes these.
_TORCHCODEC_FORMATS = frozenset({"matroska", "mov"})


@dataclass(frozen=True)
class DecodedVideo:
    """Frames of a video.

    Attributes:
        frames: uint8 `[T, H, W, 3]`, RGB, as players show them; or `[T, ...]`, what a preparation made of each.
        timestamps: float64 `[T]`, seconds since the start of the video at which each frame appears, increasing.
        duration: Seconds from the start of the video to the end of its last frame.
        transfer: `"PQ"` or `"HLG"` where the video is of high dynamic range, else `None`.
    """

    frames: np.ndarray
    timestamps: np.ndarray
    duration: float
    transfer: HdrTransfer | None = None


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
    tone_map: bool = False,
    prepare: FramePreparation | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    time_limit: float = DEFAULT_TIME_LIMIT,
) -> DecodedVideo:
    """Decodes frames of a video, equal to decoding all of it and picking.

    Frames are shown as players show them: pixels that are more than a tenth wider or higher than square are made
    square by changing the width, rotation and mirroring of the file are applied, frames of another size than the first
    are scaled to it, and what is transparent lies on black. Times go on where a recording's clock restarts. A damaged
    frame is an error only where it is wanted.

    Args:
        source: A path, an `http(s)://` or `hf://` URL, the bytes of a video file, a seekable binary file, a row
            `{"path": ..., "bytes": ...}`, a folder of frame images, a uint8 array or tensor of frames, a
            `DecodedVideo`, out of whose frames is chosen, or an `OpenVideoFile`, which PyAV decodes.
        num_frames: How many frames to return at most; `None` for all. A shorter video gives all its frames.
        start: Start of a window in seconds, included; the frame that is on show then is of the window, whenever it
            appeared.
        end: End of the window in seconds, excluded.
        sampling: `"uniform"` (the middle of each of `num_frames` segments), `"segment_random"` (a random frame
            of each, from `generator`) or `"fps"` (`fps` a second, thinned evenly to `num_frames`).
        fps: Frames a second to take, with `sampling="fps"`.
        generator: The randomness of `sampling="segment_random"`.
        source_fps: Frames a second in a folder or an array, neither of which says it.
        input_data_format: The channel order of an array whose shape leaves it open.
        backend: `"pyav"`, or `"torchcodec"` where that is installed, for mp4, mov, mkv and webm.
        tone_map: Whether PQ and HLG are brought to the range of ordinary video (see `tone_mapped`); else they are
            taken as they are stored.
        prepare: What is made of each frame, uint8 `[H, W, 3]`, once it is decoded, so that no two are held at full
            size.
        max_pixels: The most pixels that a frame of a file may have; more is an error before one is decoded.
        time_limit: Seconds after which decoding a file is given up.

    Returns:
        `min(num_frames, frames in the window)` frames.

    Raises:
        VideoDecodingError: The video cannot be read, a wanted frame cannot be decoded, no frame is on show in the
            window, its frames are too large, or it takes too long.
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

    def choose(times: np.ndarray, duration: float) -> np.ndarray:
        indices = select_frame_indices(
            times,
            num_frames,
            start=start,
            end=end,
            duration=duration,
            sampling=sampling,
            fps=fps,
            generator=generator,
        )
        if not len(indices):
            raise VideoDecodingError(
                name,
                f"no frame appears from {start or 0.0:g} s to {'the end' if end is None else f'{end:g} s'}; "
                f"its {len(times)} frames appear from {times[0]:.3f} s to {times[-1]:.3f} s",
            )
        return indices

    if isinstance(source, DecodedVideo):
        return _picked(source, choose, prepare)
    if isinstance(source, OpenVideoFile):
        return _stacked(source.decode(choose, prepare=prepare, tone_map=tone_map), name)
    if isinstance(source, np.ndarray | torch.Tensor):
        array = channels_last_array(source, input_data_format)
        whole = DecodedVideo(array, np.arange(len(array)) / source_fps, len(array) / source_fps)
        return _picked(whole, choose, prepare)
    if isinstance(source, str | os.PathLike) and is_folder(source):
        return _decode_folder(Path(source), choose, source_fps, prepare, max_pixels)
    with (
        open_source(source) as file,
        OpenVideoFile(file, name, max_pixels=max_pixels, time_limit=time_limit) as opened,
    ):
        # What torchcodec does not know of is left to PyAV.
        if backend == "torchcodec" and opened.has_plain_pictures and _is_for_torchcodec(file, name):
            return _stacked(_decode_with_torchcodec(file, opened, choose, prepare), name)
        return _stacked(opened.decode(choose, prepare=prepare, tone_map=tone_map), name)


def _picked(video: DecodedVideo, choose: FrameChooser, prepare: FramePreparation | None) -> DecodedVideo:
    indices = choose(video.timestamps, video.duration)
    frames = video.frames[indices]
    if prepare is not None:
        frames = np.stack([prepare(frame) for frame in frames])
    return DecodedVideo(frames, video.timestamps[indices], video.duration, video.transfer)


def _decode_folder(
    folder: Path, choose: FrameChooser, source_fps: float, prepare: FramePreparation | None, max_pixels: int
) -> DecodedVideo:
    images = frame_images(folder)
    times = np.arange(len(images)) / source_fps
    duration = len(images) / source_fps
    indices = choose(times, duration)
    sizes: set[tuple[int, ...]] = set()

    def prepared(frame: np.ndarray) -> np.ndarray:
        sizes.add(frame.shape[1::-1])
        if len(sizes) > 1:
            listed = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
            raise VideoDecodingError(str(folder), f"its frames are of several sizes: {listed}")
        return frame if prepare is None else prepare(frame)

    frames: list[np.ndarray] = []
    for index in indices:
        with OpenVideoFile(str(images[index]), str(images[index]), max_pixels=max_pixels) as image:
            frames += image.decode(lambda _times, _duration: np.zeros(1, dtype=np.int64), prepare=prepared).frames
    return _stacked(ChosenFrames(frames, times[indices], duration, None), str(folder))


def _stacked(chosen: ChosenFrames, name: str) -> DecodedVideo:
    """One array of frames, of which each is let go of as soon as it is copied."""
    frames = chosen.frames
    if len({frame.shape for frame in frames}) > 1:
        raise VideoDecodingError(name, f"its frames are of several shapes: {sorted({f.shape for f in frames})}")
    stacked = np.empty((len(frames), *frames[0].shape), frames[0].dtype)
    for number in range(len(frames)):
        stacked[number] = frames[number]
        frames[number] = stacked[number]
    return DecodedVideo(stacked, chosen.times, chosen.duration, chosen.transfer)


def _is_for_torchcodec(file: str | BinaryIO, name: str) -> bool:
    return bool(container_formats(file, name) & _TORCHCODEC_FORMATS)


def _decode_with_torchcodec(
    file: str | BinaryIO, opened: OpenVideoFile, choose: FrameChooser, prepare: FramePreparation | None
) -> ChosenFrames:
    """Chooses as PyAV does, and lets torchcodec decode the chosen frames."""
    try:
        from torchcodec.decoders import VideoDecoder  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ImportError("backend='torchcodec' needs torchcodec: pip install torchcodec") from error
    times, duration = opened.frame_times()
    indices = choose(times, duration)
    if not isinstance(file, str):
        file.seek(0)
    try:
        decoder = VideoDecoder(file, dimension_order="NHWC", seek_mode="exact", num_ffmpeg_threads=1)
        if len(decoder) != len(times):
            raise VideoDecodingError(
                opened.name, f"torchcodec finds {len(decoder)} frames, its packets say {len(times)}"
            )
        batch = decoder.get_frames_at(indices.tolist())
    # torchcodec reports FFmpeg's errors as RuntimeError, and what it cannot use as ValueError.
    except (RuntimeError, ValueError) as error:
        raise VideoDecodingError(opened.name, f"torchcodec cannot decode it: {error}") from error
    frames = list(batch.data.cpu().numpy())
    if prepare is not None:
        frames = [prepare(frame) for frame in frames]
    return ChosenFrames(frames, times[indices], duration, None)
