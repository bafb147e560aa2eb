"""Any video to the frames that were asked for, with one error type for every bad file."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
import torch

from .frame_pictures import HdrTransfer
from .frame_sampling import FrameSampling, select_frame_indices
from .video_containers import DEFAULT_MAX_PIXELS, DEFAULT_TIME_LIMIT, container_formats
from .video_sources import (
    ChannelOrder,
    FrameImages,
    VideoDecoder,
    VideoDecodingError,
    VideoSource,
    channels_last_array,
    frame_images,
    is_decoder,
    is_folder,
    open_source,
    source_name,
)
from .video_stream import ChosenFrames, FrameChooser, FramePreparation, OpenVideoFile

DecodingBackend: TypeAlias = Literal["pyav", "torchcodec"]

# Measured against decoding everything: in transport streams, avi and mpeg, torchcodec 0.13 returns other frames
# than those of the given indices; PyAV decodes these.
_TORCHCODEC_FORMATS = frozenset({"matroska", "mov"})
# Frames of a decoder that are decoded at once where only their times are wanted.
_CHUNK = 32


@dataclass(frozen=True)
class DecodedVideo:
    """Frames of a video.

    Attributes:
        frames: uint8 `[T, H, W, 3]`, RGB, as players show them; or `[T, ...]`, what a preparation made of each.
        timestamps: float64 `[T]`, seconds since the start of the video at which each frame appears, increasing.
        duration: Seconds from the start of the video to the end of its last frame.
        transfer: `"PQ"` or `"HLG"` where the video is of high dynamic range, else `None`.
        frame_indices: int64 `[T]`, the number of each frame in its video; `None` where it is not known.
        num_present: How many frames the video has; `None` where it is not known.
    """

    frames: np.ndarray
    timestamps: np.ndarray
    duration: float
    transfer: HdrTransfer | None = None
    frame_indices: np.ndarray | None = None
    num_present: int | None = None


def decode_video(
    source: VideoSource | FrameImages | VideoDecoder | DecodedVideo | OpenVideoFile,
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
            `{"path": ..., "bytes": ...}`, a folder of frame images, a list of frame images, a uint8 array or tensor
            of frames, a `DecodedVideo`, out of whose frames is chosen, an `OpenVideoFile`, which PyAV decodes, or
            torchcodec's `VideoDecoder`, which decodes itself, as it was made to.
        num_frames: How many frames to return at most; `None` for all. A shorter video gives all its frames.
        start: Start of a window in seconds, included; the frame that is on show then is of the window, whenever it
            appeared.
        end: End of the window in seconds, excluded.
        sampling: `"uniform"` (the middle of each of `num_frames` segments), `"segment_random"` (a random frame
            of each, from `generator`) or `"fps"` (`fps` a second, thinned evenly to `num_frames`).
        fps: Frames a second to take, with `sampling="fps"`.
        generator: The randomness of `sampling="segment_random"`.
        source_fps: Frames a second in a folder, a list or an array, none of which says it.
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
    name = _name_of(source)
    numbers: dict[str, Any] = {}

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
        numbers.update(frame_indices=indices, num_present=len(times))
        return indices

    if isinstance(source, DecodedVideo):
        return _picked(source, choose, prepare)
    if isinstance(source, np.ndarray | torch.Tensor):
        array = channels_last_array(source, input_data_format)
        count = len(array)
        times = np.arange(count) / source_fps
        whole = DecodedVideo(array, times, count / source_fps, None, np.arange(count), count)
        return _picked(whole, choose, prepare)
    if isinstance(source, OpenVideoFile):
        chosen = source.decode(choose, prepare=prepare, tone_map=tone_map)
    elif is_decoder(source):
        by_time = start is not None or end is not None or sampling == "fps"
        chosen = _decode_with_decoder(source, name, choose, prepare, by_time)
    elif isinstance(source, list | tuple):
        chosen = _decode_images(source, name, choose, source_fps, prepare, max_pixels)
    elif isinstance(source, str | os.PathLike) and is_folder(source):
        chosen = _decode_images(frame_images(Path(source)), name, choose, source_fps, prepare, max_pixels)
    else:
        with (
            open_source(source) as file,  # type: ignore[arg-type] # what is left of the forms; it refuses others
            OpenVideoFile(file, name, max_pixels=max_pixels, time_limit=time_limit) as opened,
        ):
            # What torchcodec does not know of is left to PyAV.
            if backend == "torchcodec" and opened.has_plain_pictures and _is_for_torchcodec(file, name):
                chosen = _decode_with_torchcodec(file, opened, choose, prepare)
            else:
                chosen = opened.decode(choose, prepare=prepare, tone_map=tone_map)
    return replace(_stacked(chosen, name), **numbers)


def _name_of(source: object) -> str:
    if isinstance(source, OpenVideoFile):
        return source.name
    if isinstance(source, DecodedVideo):
        return "<decoded video>"
    if isinstance(source, list | tuple):
        return f"<{len(source)} frame images, the first {source_name(source[0])}>" if source else "<no frame images>"
    return source_name(source)  # type: ignore[arg-type] # names what is no video too


def _picked(video: DecodedVideo, choose: FrameChooser, prepare: FramePreparation | None) -> DecodedVideo:
    indices = choose(video.timestamps, video.duration)
    frames = video.frames[indices]
    if prepare is not None:
        frames = np.stack([prepare(frame) for frame in frames])
    return replace(
        video,
        frames=frames,
        timestamps=video.timestamps[indices],
        frame_indices=None if video.frame_indices is None else video.frame_indices[indices],
    )


def _decode_images(
    images: Sequence[str | os.PathLike[str]],
    name: str,
    choose: FrameChooser,
    source_fps: float,
    prepare: FramePreparation | None,
    max_pixels: int,
) -> ChosenFrames:
    if not images:
        raise VideoDecodingError(name, "holds no frames")
    times = np.arange(len(images)) / source_fps
    duration = len(images) / source_fps
    indices = choose(times, duration)
    sizes: set[tuple[int, ...]] = set()

    def prepared(frame: np.ndarray) -> np.ndarray:
        sizes.add(frame.shape[1::-1])
        if len(sizes) > 1:
            listed = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
            raise VideoDecodingError(name, f"its frames are of several sizes: {listed}")
        return frame if prepare is None else prepare(frame)

    frames: list[np.ndarray] = []
    for index in indices:
        image = images[index]
        with open_source(image) as file, OpenVideoFile(file, source_name(image), max_pixels=max_pixels) as opened:
            frames += opened.decode(lambda _times, _duration: np.zeros(1, dtype=np.int64), prepare=prepared).frames
    return ChosenFrames(frames, times[indices], duration, None)


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


def _decode_with_decoder(
    decoder: VideoDecoder, name: str, choose: FrameChooser, prepare: FramePreparation | None, by_time: bool
) -> ChosenFrames:
    """Takes frames of a decoder; it tells the time of a frame when it decodes it, so times cost a look at all."""
    # torchcodec reports FFmpeg's errors as RuntimeError, and what it cannot use as ValueError.
    try:
        begin, end = decoder.metadata.begin_stream_seconds, decoder.metadata.end_stream_seconds
        count = len(decoder)
        times = np.arange(count) * ((end - begin) / max(count, 1))
        if by_time:
            for first in range(0, count, _CHUNK):
                numbers = list(range(first, min(first + _CHUNK, count)))
                times[numbers] = np.asarray(decoder.get_frames_at(numbers).pts_seconds) - begin
    except (RuntimeError, ValueError) as error:
        raise VideoDecodingError(name, f"its decoder cannot decode it: {error}") from error
    if not count:
        raise VideoDecodingError(name, "holds no frames")
    indices = choose(times, end - begin)
    try:
        batch = decoder.get_frames_at(indices.tolist())
    except (RuntimeError, ValueError) as error:
        raise VideoDecodingError(name, f"its decoder cannot decode it: {error}") from error
    frames = list(channels_last_array(batch.data, None))
    if prepare is not None:
        frames = [prepare(frame) for frame in frames]
    return ChosenFrames(frames, np.asarray(batch.pts_seconds, dtype=np.float64) - begin, end - begin, None)


def _is_for_torchcodec(file: str | BinaryIO, name: str) -> bool:
    return bool(container_formats(file, name) & _TORCHCODEC_FORMATS)


def _decode_with_torchcodec(
    file: str | BinaryIO, opened: OpenVideoFile, choose: FrameChooser, prepare: FramePreparation | None
) -> ChosenFrames:
    """Chooses as PyAV does, and lets torchcodec decode the chosen frames."""
    try:
        from torchcodec.decoders import VideoDecoder  # type: ignore[import-not-found, attr-defined, unused-ignore]
    except ImportError as error:
        raise ImportError("backend='torchcodec' needs torchcodec: pip install torchcodec") from error
    times, duration = opened.frame_times()
    indices = choose(times, duration)
    if not isinstance(file, str):
        file.seek(0)
    try:
        # Its stubs name fewer kinds of files than it reads.
        source: Any = file
        decoder = VideoDecoder(source, dimension_order="NHWC", seek_mode="exact", num_ffmpeg_threads=1)
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
