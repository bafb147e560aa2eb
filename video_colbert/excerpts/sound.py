"""The sound of a stretch of a video, without holes: what is missing or damaged is silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from video_colbert.excerpts.mp4_writer import SOUND_RATE
from video_colbert.excerpts.stretch import Stretch
from video_colbert.processing.video_containers import open_container
from video_colbert.processing.video_sources import VideoDecodingError, open_source
from video_colbert.text.stream_clock import first_second

Samples = npt.NDArray[np.float32]
"""Sound in two channels, [2, samples]."""

# A decoder that begins in mid-stream takes some time until it is right.
_AHEAD_SECONDS = 0.5
# Clocks of streams are no more exact; less is no gap.
_JITTER = round(0.02 * SOUND_RATE)


@dataclass(frozen=True)
class StretchSound:
    """Sound of a stretch.

    Attributes:
        samples: at `SOUND_RATE`, as long as the stretch; None of a video without sound.
        problem: what of it could not be decoded, in words; None where all was.
    """

    samples: Samples | None
    problem: str | None = None


def sound_of(stretch: Stretch) -> StretchSound:
    """Decodes the sound of a stretch; sound that cannot be decoded at all is none, and the problem says so.

    Args:
        stretch: of a video, so long that its sound fits into memory (23 MB a minute).
    """
    try:
        return _decoded(stretch, seeks=True) or _decoded(stretch, seeks=False) or StretchSound(None)
    except VideoDecodingError:
        # What is opened otherwise for its pictures, such as an animated WebP, has no sound.
        return StretchSound(None)
    except (av.FFmpegError, ValueError, IndexError) as error:
        return StretchSound(None, f"its sound cannot be decoded: {error}")


def _decoded(stretch: Stretch, *, seeks: bool) -> StretchSound | None:
    """The sound; None where seeking led behind the start of the stretch."""
    with open_source(stretch.source) as file, open_container(file, stretch.source) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream) or stream.codec_context is None:
            return StretchSound(None)
        origin = first_second(container)
        wanted = stretch.start + origin - _AHEAD_SECONDS
        is_sought = seeks and wanted > origin
        if is_sought:
            try:
                container.seek(int(wanted * av.time_base))
            except av.FFmpegError:
                return None
        whole = np.zeros((2, round((stretch.end - stretch.start) * SOUND_RATE)), np.float32)
        reader = _Reader(container, stream)
        first = None
        for begins, samples in reader.blocks():
            position = round((begins - origin - stretch.start) * SOUND_RATE)
            first = position if first is None else first
            if position >= whole.shape[1]:
                break
            left, right = max(position, 0), min(position + samples.shape[1], whole.shape[1])
            if right > left:
                whole[:, left:right] = samples[:, left - position : right - position]
        if is_sought and (first is None or first > 0):
            return None
        if reader.damaged and not reader.decoded:
            return StretchSound(None, "nothing of its sound can be decoded")
        problem = f"{reader.damaged} packets of its sound cannot be decoded" if reader.damaged else None
        return StretchSound(whole, problem)


class _Reader:
    """The decoded sound of a stream, from where its container stands.

    Attributes:
        damaged: packets that could not be decoded so far.
        decoded: blocks that were.
    """

    def __init__(self, container: InputContainer, stream: AudioStream) -> None:
        self._container = container
        self._stream = stream
        self._resampler = AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE)
        self.damaged = self.decoded = 0

    def blocks(self) -> Iterator[tuple[float, Samples]]:
        """Blocks, each with the seconds at which it begins on the stream's clock, one after another."""
        following: float | None = None
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = self._stream.decode(packet)
                except (av.FFmpegError, ValueError):
                    self.damaged += 1
                    self._resampler = AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE)
                    continue
                for frame in frames:
                    begins = frame.time
                    if begins is None or (following is not None and abs(begins - following) * SOUND_RATE < _JITTER):
                        begins = following or 0.0
                    for block in self._resampled(frame):
                        self.decoded += 1
                        yield begins, block
                        begins += block.shape[1] / SOUND_RATE
                    following = begins
        except (av.InvalidDataError, IndexError):
            # Content that makes no sense ends a file, as for its pictures.
            return

    def _resampled(self, frame: AudioFrame) -> list[Samples]:
        try:
            blocks = [block.to_ndarray() for block in self._resampler.resample(frame)]
        except (av.FFmpegError, ValueError):
            # Another layout or rate than before.
            self._resampler = AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE)
            blocks = [block.to_ndarray() for block in self._resampler.resample(frame)]
        # Damaged sound can decode to what is no number.
        return [np.clip(np.nan_to_num(block), -1.0, 1.0) for block in blocks]
