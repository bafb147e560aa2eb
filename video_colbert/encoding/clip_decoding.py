"""A clip to the resized frames that a model takes; what threads and decoding processes run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from video_colbert.encoding.encoded import BadVideo, VideoClip
from video_colbert.processing import DecodingSettings, FrameResizing, OpenVideoFile, VideoDecodingError
from video_colbert.processing.video_sources import may_pass, source_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DecodedClip:
    """The frames of a clip as a model's normalisation takes them.

    Attributes:
        clip: what was decoded.
        pixels: uint8 [T, 3, H, W], resized and cropped.
        timestamps: float64 [T], seconds from the start of the video at which each frame appears.
        duration: of the whole video, in seconds.
        stored_range: "PQ" or "HLG" of a video of high dynamic range whose colours are taken as they are stored.
        frame_size: width and height of its frames as they are shown, in pixels.
    """

    clip: VideoClip
    pixels: Tensor
    timestamps: npt.NDArray[np.float64]
    duration: float
    stored_range: str | None = None
    frame_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class ClipDecoder:
    """Decodes clips for one model; travels to other processes.

    Attributes:
        decoding: how frames are sampled and decoded.
        resizing: what is made of each.
        max_frames: the most frames that the model takes; None for no limit.
    """

    decoding: DecodingSettings
    resizing: FrameResizing
    max_frames: int | None

    @property
    def clip_bytes(self) -> int:
        """The most bytes that the pixels of a clip take, or 0 where that depends on the clip."""
        pixels = self.resizing.frame_pixels
        if self.decoding.num_frames is None or pixels is None:
            return 0
        return int(self.decoding.num_frames * 3 * pixels)

    def decode(self, clip: VideoClip, opened: OpenVideoFile | str | BinaryIO | None = None) -> DecodedClip | BadVideo:
        """Decodes a clip; whatever is wrong with it becomes a `BadVideo`.

        Args:
            clip: what to decode.
            opened: its file, where that is at hand already; an `OpenVideoFile` is decoded by PyAV.
        """
        name = clip_name(clip)
        sizes: set[tuple[int, int]] = set()

        def prepare(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
            sizes.add((frame.shape[1], frame.shape[0]))
            return self.resizing.resize_and_crop_frame(frame)

        try:
            video = self.decoding.decode(
                clip.source if opened is None else opened,
                start=clip.start,
                end=clip.end,
                prepare=prepare,
            )
            pixels = torch.from_numpy(video.frames)
        except VideoDecodingError as error:
            return BadVideo(name, error.reason, is_lasting=not may_pass(error))
        # A file from anywhere must not end a run of a million others, whatever a decoder makes of it.
        except Exception as error:
            logger.debug("unexpected error while decoding %s", name, exc_info=True)
            return BadVideo(name, f"{type(error).__name__}: {error}", is_lasting=not may_pass(error))
        if self.max_frames is not None and len(pixels) > self.max_frames:
            return BadVideo(
                name, f"{len(pixels)} frames were sampled, but the model has positions for {self.max_frames}"
            )
        stored_range = None if self.decoding.tone_map else video.transfer
        # All frames of a video have one size.
        return DecodedClip(clip, pixels, video.timestamps, video.duration, stored_range, next(iter(sizes), None))


def clip_name(clip: VideoClip) -> str:
    """The clip's path or URL, and its window if it has one, for messages."""
    name = source_name(clip.source)
    if clip.start is None and clip.end is None:
        return name
    return f"{name} [{clip.start or 0.0:g} s to {'the end' if clip.end is None else f'{clip.end:g} s'}]"
