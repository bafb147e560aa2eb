"""Batches of videos: every form in which one or many are given, their metadata, and padding to one length."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import numpy as np
import torch
import torch.nn.functional as F
from transformers.video_utils import VideoMetadata

from .call_arguments import Metadata, for_each, is_metadata
from .frame_pictures import on_black
from .video_decoding import DecodedVideo, DecodingBackend
from .video_settings import DecodingSettings
from .video_sources import (
    IMAGE_SUFFIXES,
    ChannelOrder,
    FrameImages,
    VideoDecoder,
    VideoDecodingError,
    VideoSource,
    channels_last_array,
    encoded_row,
    is_decoder,
)
from .video_stream import FramePreparation

Video: TypeAlias = VideoSource | DecodedVideo | FrameImages | VideoDecoder
"""One video, as `decode_video` takes it."""

# The modes of Pillow's pictures whose channels have 8 bits, or fewer.
_PICTURE_MODES = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
)


def video_list(videos: Any, input_data_format: ChannelOrder | None = None) -> list[Video]:
    """Lists the videos of a call, which may be one, each in a form that `decode_video` takes.

    Args:
        videos: One video or a list, nested or not. One is a path, a URL, bytes, a binary file, a folder of frames, a
            row `{"path": ..., "bytes": ...}`, a `DecodedVideo`, a uint8 array or tensor `[T, H, W, 3]` or
            `[T, 3, H, W]`, a list of frames (Pillow's pictures, or arrays `[H, W, 3]` or `[3, H, W]`), a pair of
            frames and their metadata, or torchcodec's `VideoDecoder` or `FrameBatch`; a single frame is a video of
            one. An array of one axis more, or such a `FrameBatch`, is a batch. In a list within a list, names of
            image files are the frames of one video; elsewhere each name is a video of its own.
        input_data_format: The channel order of arrays whose shape leaves it open.

    Returns:
        The videos, in order.

    Raises:
        ValueError: A list is empty, or frames do not make a video.
        VideoDecodingError: The frames of a video are of several sizes.
    """
    return _listed(videos, input_data_format, is_nested=False)


def _listed(videos: Any, order: ChannelOrder | None, is_nested: bool) -> list[Video]:
    if isinstance(videos, list | tuple):
        if not videos:
            raise ValueError("videos is or holds an empty list; give at least one video")
        if all(map(_is_frame, videos)):
            return [_stacked_frames(videos, order)]
        if len(videos) == 2 and is_metadata(videos[1]):
            return [described(videos[0], videos[1], order)]
        if is_nested and all(map(_is_image_name, videos)):
            return [tuple(videos)]
        return [video for item in videos for video in _listed(item, order, is_nested=True)]
    if _is_frame(videos):
        return [_stacked_frames([videos], order)]
    if _is_array(videos) and videos.ndim == 5:
        return list(videos)
    if _is_frame_batch(videos):
        return [_timed_frames(clip, order) for clip in (videos if videos.data.ndim == 5 else [videos])]
    if is_decoder(videos):
        return [encoded_row(videos) or videos]
    return [videos]


def described(video: Any, metadata: Metadata, input_data_format: ChannelOrder | None) -> Video:
    """Gives frames the times that their metadata say.

    Args:
        video: uint8 frames, as an array or in a list.
        metadata: With `fps`, of which `None` means that it is not known. With `frames_indices`, the frames are those
            of a longer video.
        input_data_format: The channel order of an array whose shape leaves it open.

    Returns:
        The frames with their times; without them where the rate is not known.

    Raises:
        ValueError: The video is not of frames, or the metadata do not fit it.
    """
    if isinstance(video, list | tuple) and video and all(map(_is_frame, video)):
        video = _stacked_frames(video, input_data_format)
    if not _is_array(video):
        raise ValueError(
            f"video_metadata describes arrays of frames; a {type(video).__name__} knows its own times: leave it out"
        )
    frames = channels_last_array(video, input_data_format)
    fps = metadata.get("fps")
    if fps is None:
        return frames
    if not isinstance(fps, int | float | np.number) or not fps > 0:
        raise ValueError(f"video_metadata has fps {fps!r}; it must be a positive number of frames a second, or None")
    indices = metadata.get("frames_indices")
    numbers = np.arange(len(frames)) if indices is None else np.asarray(indices, dtype=np.int64)
    if len(numbers) != len(frames):
        raise ValueError(f"video_metadata lists {len(numbers)} frames_indices for {len(frames)} frames")
    if (np.diff(numbers) < 0).any():
        raise ValueError("video_metadata has frames_indices that are not in order; give the frames in their order")
    total = metadata.get("total_num_frames") or len(frames)
    duration = float(metadata.get("duration") or total / fps)
    return DecodedVideo(frames, numbers / fps, duration, frame_indices=numbers, num_present=total)


def decoded_batch(
    videos: Sequence[Video],
    decoding: DecodingSettings,
    prepare: FramePreparation,
    start: float | Sequence[float | None] | None,
    end: float | Sequence[float | None] | None,
    generator: np.random.Generator | Sequence[np.random.Generator] | None,
    input_data_format: ChannelOrder | None,
) -> tuple[list[DecodedVideo], list[tuple[int, int]]]:
    """Decodes the videos of a call.

    Args:
        videos: B videos, as `video_list` lists them.
        decoding: How.
        prepare: What is made of each frame.
        start: Window start in seconds; one for all videos, or a list of B.
        end: Window end in seconds; one for all videos, or a list of B.
        generator: For `"segment_random"`: one for all videos, or a list of B.
        input_data_format: The channel order of arrays whose shape leaves it open.

    Returns:
        The videos, and the height and width of each one's frames before they were prepared.

    Raises:
        VideoDecodingError: A video cannot be decoded.
        ValueError: A list has another length than the videos.
    """
    count = len(videos)
    windows = zip(
        for_each(start, count, "start"),
        for_each(end, count, "end"),
        for_each(generator, count, "generator"),
        strict=True,
    )
    decoded = []
    sizes: list[tuple[int, int]] = []
    for video, (window_start, window_end, draw) in zip(videos, windows, strict=True):
        shapes: list[tuple[int, ...]] = []

        def measured(frame: np.ndarray, shapes: list[tuple[int, ...]] = shapes) -> np.ndarray:
            shapes.append(frame.shape)
            return prepare(frame)

        decoded.append(
            decoding.decode(
                video,
                start=window_start,
                end=window_end,
                generator=draw,
                input_data_format=input_data_format,
                prepare=measured,
            )
        )
        sizes.append(shapes[0][:2])  # type: ignore[arg-type] # two of three
    return decoded, sizes


def metadata_of(source: Video, video: DecodedVideo, size: tuple[int, int], backend: DecodingBackend) -> VideoMetadata:
    """Describes a decoded video as transformers does.

    Args:
        source: What was decoded.
        video: As decoded, with the numbers of its frames.
        size: Height and width of its frames before they were resized.
        backend: What decodes files.

    Returns:
        `fps` is the mean over the video; `timestamps` of frames at a varying rate are what
        `return_timestamps=True` returns.
    """
    total = video.num_present
    is_given = _is_array(source) or isinstance(source, DecodedVideo)
    return VideoMetadata(
        total_num_frames=total,
        fps=total / video.duration if total and video.duration > 0 else None,
        width=size[1],
        height=size[0],
        duration=video.duration,
        video_backend=None if is_given else "torchcodec" if is_decoder(source) else backend,
        frames_indices=None if video.frame_indices is None else video.frame_indices.tolist(),
    )


def on_one_canvas(videos: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Pads frames on the right and below with zeros, up to the largest height and width of a batch.

    Args:
        videos: B tensors `[T_i, 3, H_i, W_i]`.

    Returns:
        B tensors `[T_i, 3, H, W]`; the given ones where all are of one size.
    """
    height, width = (max(video.shape[axis] for video in videos) for axis in (2, 3))
    missing = [(height - video.shape[2], width - video.shape[3]) for video in videos]
    return [
        F.pad(video, (0, columns, 0, rows)) if rows or columns else video
        for video, (rows, columns) in zip(videos, missing, strict=True)
    ]


def frame_sizes(videos: Sequence[torch.Tensor]) -> torch.Tensor:
    """Lists `[B, 2]`, height and width of the frames of B videos `[T_i, 3, H_i, W_i]`."""
    return torch.tensor([video.shape[2:] for video in videos])


def padded(videos: Sequence[torch.Tensor], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pads videos with zeros to one length.

    Args:
        videos: B tensors `[T_i, 3, H, W]`.
        length: T, at least the longest video's.

    Returns:
        `[B, T, 3, H, W]`, and the `[B, T]` mask of real frames.

    Raises:
        ValueError: The frames are of several sizes.
    """
    shapes = {tuple(video.shape[1:]) for video in videos}
    if len(shapes) > 1:
        raise ValueError(
            f"the videos of a batch have frames of several sizes after resizing: {sorted(shapes)}; "
            "set do_center_crop, or a size of height and width"
        )
    device = videos[0].device
    pixel_values = torch.zeros(len(videos), length, *shapes.pop(), device=device)
    mask = torch.zeros(len(videos), length, dtype=torch.bool, device=device)
    for row, video in enumerate(videos):
        pixel_values[row, : len(video)] = video
        mask[row, : len(video)] = True
    return pixel_values, mask


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray | torch.Tensor)


def _is_picture(value: object) -> bool:
    # Pillow is not imported: what is no picture of its needs none.
    return hasattr(value, "convert") and hasattr(value, "getbands")


def _is_frame_batch(value: object) -> bool:
    """Whether a value is torchcodec's `FrameBatch`, or its `Frame`."""
    return all(hasattr(value, name) for name in ("data", "pts_seconds", "duration_seconds"))


def _is_frame(value: Any) -> bool:
    return _is_picture(value) or (_is_array(value) and value.ndim == 3)


def _is_image_name(value: object) -> bool:
    name = urlsplit(value).path if isinstance(value, str) and "://" in value else value
    return isinstance(name, str | PurePosixPath) and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _stacked_frames(frames: Sequence[Any], order: ChannelOrder | None) -> np.ndarray:
    """One array of frames, in the channel order of the arrays among them."""
    arrays = [_frame_array(frame, order) for frame in frames]
    if len({array.shape for array in arrays}) > 1:
        listed = ", ".join(map(str, sorted({array.shape for array in arrays})))
        raise VideoDecodingError(f"<{len(arrays)} frames>", f"its frames are of several sizes: {listed}")
    return np.stack(arrays)


def _frame_array(frame: Any, order: ChannelOrder | None) -> np.ndarray:
    if isinstance(frame, torch.Tensor):
        return frame.detach().cpu().numpy()
    if isinstance(frame, np.ndarray):
        return frame
    if frame.mode not in _PICTURE_MODES:
        raise ValueError(f"a frame is a picture of mode {frame.mode!r}; it must have 8 bits a channel, as 'RGB' has")
    if frame.has_transparency_data:
        pixels = on_black(np.asarray(frame.convert("RGBA")))
    else:
        pixels = np.asarray(frame.convert("RGB"))
    return pixels.transpose(2, 0, 1) if order == "channels_first" else pixels


def _timed_frames(batch: Any, order: ChannelOrder | None) -> DecodedVideo:
    """The frames of a `FrameBatch` `[T, ...]` or a `Frame`, with the times that it gives them."""
    frames = channels_last_array(batch.data if batch.data.ndim == 4 else batch.data[None], order)
    times = np.atleast_1d(np.asarray(batch.pts_seconds, dtype=np.float64))
    if (np.diff(times) < 0).any():
        raise ValueError("the frames of a FrameBatch are not in order; give them in the order of their times")
    return DecodedVideo(frames, times, float(times[-1] + np.atleast_1d(np.asarray(batch.duration_seconds))[-1]))
