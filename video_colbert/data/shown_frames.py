"""The frames of a whole video, one after the other, as players show them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from video_colbert.processing import VideoDecodingError
from video_colbert.processing.frame_pictures import FramePictures
from video_colbert.processing.video_containers import main_video_stream, open_container


class ShownFrames:
    """The frames of a file from end to end; iterating again decodes again.

    Args:
        path: The video file.

    Attributes:
        codec: Name of the codec.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first_size = (0, 0)
        self._pictures: FramePictures | None = None
        self.codec = ""

    def __iter__(self) -> Iterator[tuple[VideoFrame, Fraction]]:
        """Yields each frame with its time in seconds.

        Raises:
            VideoDecodingError: The file is no video, or a frame has no time.
            av.FFmpegError: A frame cannot be decoded.
        """
        with open_container(str(self._path), str(self._path)) as container:
            stream = main_video_stream(container, str(self._path))
            context = stream.codec_context
            # The other core decodes another video.
            context.thread_count = 1
            self.codec = context.name
            size = (context.width, context.height)
            self._pictures = FramePictures(size, lambda: self._first_size, stream.sample_aspect_ratio)
            first = None
            for frame in container.decode(stream):
                if not isinstance(frame, VideoFrame) or frame.pts is None or frame.time_base is None:
                    raise VideoDecodingError(str(self._path), "has a frame without a time")
                # Exact, for 0.2 as a float lies after one fifth.
                time = frame.pts * frame.time_base
                if first is None:
                    first, self._first_size = time, (frame.width, frame.height)
                yield frame, time - first

    def picture(self, frame: VideoFrame) -> np.ndarray:
        """A frame as uint8 `[H, W, 3]`, RGB, upright, with square pixels."""
        if self._pictures is None:
            raise ValueError("there is no frame yet")
        return np.ascontiguousarray(self._pictures(frame))
