"""Batches of videos: one or many taken alike, an argument for each, and padding to one length."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from .video_decoding import DecodedVideo
from .video_sources import ChannelOrder, VideoSource, channels_last_array

Video: TypeAlias = VideoSource | DecodedVideo
VideoMetadata: TypeAlias = Mapping[str, Any]
"""What `transformers.video_utils.load_video` returns beside frames: `fps`, `frames_indices`, `duration`, ..."""


def video_list(videos: Video | Sequence[Video]) -> list[Video]:
    """Lists the videos of a call, which may be one.

    Raises:
        ValueError: There is none.
    """
    if isinstance(videos, list | tuple):
        if not videos:
            raise ValueError("videos is an empty list; give at least one video")
        return list(videos)
    if isinstance(videos, np.ndarray | torch.Tensor) and videos.ndim == 5:
        return list(videos)
    return [videos]  # type: ignore[list-item] # bytes and str are sequences too, but each is one video


def for_each(value: object, length: int, name: str) -> list[Any]:
    """Lists an argument that is given once for all videos or in a list of one for each.

    Raises:
        ValueError: The list has another length.
    """
    if not isinstance(value, list | tuple | np.ndarray):
        return [value] * length
    if len(value) != length:
        raise ValueError(f"{name} lists {len(value)} values for {length} videos")
    return list(value)


def described(video: Video, metadata: VideoMetadata, input_data_format: ChannelOrder | None) -> DecodedVideo:
    """Gives frames the times that their metadata say.

    Args:
        video: uint8 frames, `[T, H, W, 3]` or `[T, 3, H, W]`.
        metadata: At least `fps`. With `frames_indices`, the frames are those of a longer video.
        input_data_format: The channel order of an array whose shape leaves it open.

    Returns:
        The frames with their times.

    Raises:
        ValueError: The video is no array of frames, or the metadata do not fit it.
    """
    if not isinstance(video, np.ndarray | torch.Tensor):
        raise ValueError(
            f"video_metadata describes arrays of frames; a {type(video).__name__} knows its own times: leave it out"
        )
    frames = channels_last_array(video, input_data_format)
    fps = metadata.get("fps")
    if not fps or not fps > 0:
        raise ValueError(f"video_metadata has fps {fps!r}; it must be a positive number of frames a second")
    indices = metadata.get("frames_indices")
    if indices is None:
        indices = range(len(frames))
    if len(indices) != len(frames):
        raise ValueError(f"video_metadata lists {len(indices)} frames_indices for {len(frames)} frames")
    times = np.asarray(indices, dtype=np.float64) / fps
    total = metadata.get("total_num_frames") or len(frames)
    return DecodedVideo(frames, times, float(metadata.get("duration") or total / fps))


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
