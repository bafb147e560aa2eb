"""The sound of a video file, decoded in stretches of bounded length as speech recognisers take it."""

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
from av.packet import Packet

from video_colbert.processing.video_containers import decoding_errors, open_container
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.text.stream_clock import first_second

SAMPLE_RATE = 16_000
"""Samples a second of what is given."""

Samples = npt.NDArray[np.float32]
"""Sound in one channel, from -1 to 1, [samples]."""

# A stretch ends where it is quietest within so much of its end.
_SEARCHED_SECONDS = 20.0
# The loudness is measured over so much.
_QUIET_SECONDS = 0.2
# A pause in the clock up to this long becomes silence; after a longer one a new stretch begins.
_MOST_SILENCE = 30.0
# Clocks of streams are no more exact.
_JITTER_SECONDS = 0.1


@dataclass(frozen=True)
class Sound:
    """A stretch of sound.

    Attributes:
        start: seconds since the start of the video at which it begins.
        samples: at `SAMPLE_RATE`.
    """

    start: float
    samples: Samples

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / SAMPLE_RATE


class SoundOfFile:
    """The sound of a file, to be gone through once.

    What does not decode is left out; iterating says afterwards, in `problem`, that there was such.

    Args:
        path: of a local file.
        most_seconds: length of a stretch at most; its end lies where it is quiet.

    Attributes:
        problem: what could not be decoded, in words; None where all was, or nothing was read yet.

    Raises:
        VideoDecodingError: while iterating, the file is not read at all, or nothing of its sound decodes.
    """

    def __init__(self, path: str, *, most_seconds: float = 600.0) -> None:
        self._path = path
        self._most_seconds = most_seconds
        self.problem: str | None = None

    def __iter__(self) -> Iterator[Sound]:
        with decoding_errors(self._path), open_container(self._path, self._path) as container:
            stream = next((stream for stream in container.streams.audio if stream.codec_context is not None), None)
            best = container.streams.best("audio")
            if isinstance(best, AudioStream) and best.codec_context is not None:
                stream = best
            if stream is not None:
                yield from self._stretches(container, stream)

    def _stretches(self, container: InputContainer, stream: AudioStream) -> Iterator[Sound]:
        origin = first_second(container)
        held: list[Samples] = []
        start, length = 0.0, 0
        for begins, samples in self._blocks(container, stream):
            at = begins - origin
            gap = at - (start + length / SAMPLE_RATE)
            if held and gap > _MOST_SILENCE:
                yield Sound(start, np.concatenate(held))
                held, length = [], 0
            elif held and gap > _JITTER_SECONDS:
                silence = np.zeros(round(gap * SAMPLE_RATE), np.float32)
                held.append(silence)
                length += len(silence)
            if not held:
                start = at
            held.append(samples)
            length += len(samples)
            while length >= self._most_seconds * SAMPLE_RATE:
                whole = np.concatenate(held)
                end = _quietest(whole[: round(self._most_seconds * SAMPLE_RATE)])
                yield Sound(start, whole[:end])
                start += end / SAMPLE_RATE
                held, length = [whole[end:].copy()], len(whole) - end
        if length:
            yield Sound(start, np.concatenate(held))

    def _blocks(self, container: InputContainer, stream: AudioStream) -> Iterator[tuple[float, Samples]]:
        """Decoded sound at `SAMPLE_RATE`, each block with the seconds at which it begins on the stream's clock.

        Raises:
            VideoDecodingError: nothing decodes.
        """
        resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        damaged = decoded = 0
        following = None
        for packet in _packets(container, stream):
            try:
                frames = stream.decode(packet)
                blocks = [_samples_of(resampled) for frame in frames for resampled in resampler.resample(frame)]
            except (av.FFmpegError, ValueError):
                damaged += 1
                # What it held back was of another layout or rate.
                resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
                continue
            begins = next((frame.time for frame in frames if frame.time is not None), following)
            for samples in blocks:
                decoded += 1
                at = 0.0 if begins is None else float(begins)
                yield at, samples
                begins = following = at + len(samples) / SAMPLE_RATE
        if damaged and not decoded:
            raise VideoDecodingError(self._path, "has sound of which nothing can be decoded")
        if damaged:
            self.problem = f"{damaged} packets of its sound cannot be decoded"


def _packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """The packets of a stream, and the empty one that brings out what its decoder holds."""
    try:
        yield from container.demux(stream)
    except (av.InvalidDataError, IndexError):
        # Content that makes no sense ends a file, as for its pictures.
        return


def _samples_of(frame: AudioFrame) -> Samples:
    samples = frame.to_ndarray().reshape(-1).astype(np.float32, copy=False)
    # Damaged sound can decode to what is no number.
    return np.clip(np.nan_to_num(samples), -1.0, 1.0)


def _quietest(samples: Samples) -> int:
    """The middle of the quietest moment near the end."""
    width = round(_QUIET_SECONDS * SAMPLE_RATE)
    first = max(len(samples) - round(_SEARCHED_SECONDS * SAMPLE_RATE), len(samples) // 2)
    blocks = samples[first : first + (len(samples) - first) // width * width].reshape(-1, width)
    if not len(blocks):
        return len(samples)
    return first + int(np.square(blocks).mean(axis=1).argmin()) * width + width // 2
