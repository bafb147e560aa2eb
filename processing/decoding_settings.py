"""Which frames of a video are decoded, and how: the one object that every decoder of a model's videos is given."""

from dataclasses import dataclass, fields
from typing import get_args

import numpy as np

from .frame_sampling import FRAME_SAMPLINGS, FrameSampling
from .video_containers import DEFAULT_MAX_PIXELS
from .video_decoding import DecodedVideo, DecodingBackend, decode_video
from .video_settings import is_rate, is_whole
from .video_sources import ChannelOrder, VideoSource
from .video_stream import FramePreparation, OpenVideoFile

# More of a video go through no model; the padding of a config that asks for very many would fill all memory.
_MAX_FRAMES = 10_000


@dataclass(frozen=True)
class DecodingSettings:
    """All that [`decode_video`] asks for beside the video and its window.

    `VideoColBERTVideoProcessor.decoding` makes one of a processor's fields; encoding, training and evaluation decode
    with that.

    Attributes:
        num_frames: How many frames of a video to take at most; `None` takes all that `sampling` gives.
        sampling: `"uniform"`, `"segment_random"` or `"fps"`; see [`decode_video`].
        fps: Frames a second, with `sampling="fps"`.
        source_fps: Frames a second in folders and arrays of frames, neither of which says it.
        backend: What decodes: `"pyav"` or `"torchcodec"`.
        tone_map: Whether videos of high dynamic range (PQ, HLG) are brought to the range of ordinary video.
        max_pixels: The most pixels that a frame of a file may have.

    Raises:
        ValueError: A value is out of range.

    Example:
        >>> video = DecodingSettings(num_frames=4).decode("a.mp4", start=0.0, end=0.5)
        >>> len(video.frames) == len(video.timestamps) <= 4
        True
    """

    num_frames: int | None = 12
    sampling: FrameSampling = "uniform"
    fps: float | None = None
    source_fps: float = 1.0
    backend: DecodingBackend = "pyav"
    tone_map: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        if self.num_frames is not None and not (is_whole(self.num_frames) and 1 <= self.num_frames <= _MAX_FRAMES):
            raise ValueError(
                f"num_frames is {self.num_frames!r}; it must be a whole number from 1 to {_MAX_FRAMES}, or None for "
                "all frames"
            )
        if self.sampling not in FRAME_SAMPLINGS:
            raise ValueError(f"sampling is {self.sampling!r}; it must be one of {', '.join(FRAME_SAMPLINGS)}")
        if self.backend not in get_args(DecodingBackend):
            raise ValueError(f"backend is {self.backend!r}; it must be one of {', '.join(get_args(DecodingBackend))}")
        if not is_whole(self.max_pixels) or self.max_pixels < 1:
            raise ValueError(f"max_pixels is {self.max_pixels!r}; it must be a whole number from 1")
        for name in ("fps", "source_fps"):
            value = getattr(self, name)
            if not (value is None and name == "fps") and not is_rate(value):
                raise ValueError(f"{name} is {value!r}; it must be a positive number of frames a second")
        if (self.fps is None) != (self.sampling != "fps"):
            raise ValueError(f"fps is {self.fps}, but sampling is {self.sampling!r}; fps belongs to sampling='fps'")

    def decode(
        self,
        source: VideoSource | DecodedVideo | OpenVideoFile,
        *,
        start: float | None = None,
        end: float | None = None,
        generator: np.random.Generator | None = None,
        input_data_format: ChannelOrder | None = None,
        prepare: FramePreparation | None = None,
    ) -> DecodedVideo:
        """Decodes a video by these settings.

        Args:
            source: Whatever [`decode_video`] takes.
            start: Start of a window in seconds, included.
            end: End of the window in seconds, excluded.
            generator: The randomness of `sampling="segment_random"`.
            input_data_format: The channel order of an array whose shape leaves it open.
            prepare: What is made of each frame once it is decoded, as [`decode_video`] takes it.

        Returns:
            The frames.

        Raises:
            VideoDecodingError: As [`decode_video`], like the other errors.
        """
        return decode_video(
            source,
            start=start,
            end=end,
            generator=generator,
            input_data_format=input_data_format,
            prepare=prepare,
            **{field.name: getattr(self, field.name) for field in fields(self)},
        )
