"""A video of changed frames as a real file, and what is left of the change when it is decoded again."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from video_colbert.excerpts.mp4_writer import Mp4Writer
from video_colbert.processing import DecodedVideo, decode_video

VISUALLY_LOSSLESS = 18
"""x264's constant rate factor at which a file can hardly be told from its source."""


def write_video(video: DecodedVideo, path: Path, *, quality: int = VISUALLY_LOSSLESS) -> None:
    """Writes frames as an mp4 file of H.264, with colours at half the resolution, as any player takes it.

    Args:
        video: uint8 frames with their times; an odd row or column at the edge is left out, which H.264 cannot hold.
        path: of the file, ending in mp4, m4v, mov or mkv.
        quality: x264's constant rate factor.

    Raises:
        ValueError: no such container.
    """
    height, width = video.frames.shape[1] // 2 * 2, video.frames.shape[2] // 2 * 2
    ends = np.append(video.timestamps[1:], max(video.duration, video.timestamps[-1] + 1e-3))
    start = video.timestamps[0]
    with Mp4Writer(path, (width, height), has_sound=False, quality=quality) as writer:
        for frame, time, end in zip(video.frames, video.timestamps, ends, strict=True):
            writer.add_frame(frame[:height, :width], float(time - start), float(end - time))


def written_and_decoded(video: DecodedVideo, *, quality: int = VISUALLY_LOSSLESS) -> DecodedVideo:
    """What comes back of frames that are written as a file and decoded.

    Args:
        video: uint8 frames with their times.
        quality: x264's constant rate factor.

    Raises:
        VideoDecodingError: the file cannot be decoded.
        ValueError: it holds another number of frames.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        write_video(video, path, quality=quality)
        decoded = decode_video(path)
    if len(decoded.frames) != len(video.frames):
        raise ValueError(f"{len(video.frames)} frames were written and {len(decoded.frames)} came back")
    # The times of a window are those within its video.
    return replace(decoded, timestamps=video.timestamps, duration=video.duration)
