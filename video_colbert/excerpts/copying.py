"""Stretches without encoding anything again: packets, from the keyframe before the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from video_colbert.excerpts.codec_names import codec_name
from video_colbert.excerpts.stretch import CutReport, Stretch
from video_colbert.processing.video_containers import main_video_stream, open_container
from video_colbert.processing.video_sources import VideoDecodingError, open_source
from video_colbert.processing.video_stream import OpenVideoFile

# Containers whose packets say when they are shown, by FFmpeg's names, and what they are written as, by the ending.
_READ = frozenset({"mov", "matroska"})
_WRITTEN = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}


class CannotCopyError(Exception):
    """The packets of a stretch make no file; the message says why."""


def copy_stretch(stretch: Stretch, destination: Path, *, time_limit: float) -> CutReport:
    """Writes a stretch from the keyframe before it, as it is stored.

    Args:
        stretch: what is wanted.
        destination: the file, whose ending says the container; it is written over.
        time_limit: seconds that reading may take.

    Returns:
        What was written: it starts with a keyframe, and ends with the last frame that those before the end need.

    Raises:
        CannotCopyError: the container or the codecs are not for that, or what was written does not play.
        VideoDecodingError: the file cannot be read, or no frame is on show in the stretch.
    """
    muxer = _WRITTEN.get(destination.suffix.lower())
    if muxer is None:
        raise CannotCopyError(f"{destination.suffix or 'a file without an ending'} is no container of copies")
    with (
        open_source(stretch.source) as file,
        OpenVideoFile(file, stretch.source, time_limit=time_limit) as opened,
    ):
        times, duration = opened.frame_times()
        if not (times < stretch.end).any() or stretch.start >= duration:
            raise VideoDecodingError(stretch.source, f"no frame appears from {stretch.start:g} s to {stretch.end:g} s")
    with open_source(stretch.source) as file, open_container(file, stretch.source) as container:
        if not _READ & set(container.format.name.split(",")):
            raise CannotCopyError(f"packets of the container {container.format.name} are not copied")
        pictures = main_video_stream(container, stretch.source)
        # Facts alone: all packets would hold the whole film in memory.
        facts = [_Facts.of(packet) for packet in container.demux(pictures) if packet.size]
        if any(each.pts is None for each in facts) or not facts:
            raise CannotCopyError("its packets do not all say when they are shown")
        unit = float(pictures.time_base or 1)
        origin = min((each.pts or 0) for each in facts if not each.is_discard) * unit - float(times[0])
        at = np.array([(each.pts or 0) * unit - origin for each in facts])
        first, last = _range(facts, at, stretch)
        begins = float(at[first])
        chosen = [number for number in range(first, last + 1) if at[number] >= begins - 1e-9]
        ends = max(float(at[number]) + facts[number].duration * unit for number in chosen)
    with (
        open_source(stretch.source) as file,
        open_container(file, stretch.source) as container,
        av.open(str(destination), "w", format=muxer) as output,
    ):
        pictures = main_video_stream(container, stretch.source)
        _check_codecs(container, output, codec_name(pictures.codec_context))
        copied = _packets(container, pictures, set(chosen))
        _order(copied)
        _write(container, output, copied, origin + begins, origin + ends)
    _check_written(stretch.source, destination, begins, len(chosen), time_limit)
    return CutReport(str(destination), (Stretch(stretch.source, max(begins, 0.0), ends),), is_copy=True)


class _Facts(NamedTuple):
    """What decides whether a packet is copied."""

    pts: int | None
    duration: int
    is_keyframe: bool
    is_discard: bool

    @classmethod
    def of(cls, packet: Packet[Any]) -> _Facts:
        return cls(packet.pts, packet.duration or 0, packet.is_keyframe, packet.is_discard)


def _range(packets: list[_Facts], at: np.ndarray, stretch: Stretch) -> tuple[int, int]:
    """The first and the last packet, in the order of decoding."""
    keyframes = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    before = [number for number in keyframes if at[number] <= stretch.start + 1e-6]
    if not before:
        before = keyframes[:1]
    if not before:
        raise CannotCopyError("it has no keyframe")
    first = max(before, key=lambda number: (at[number], number))
    wanted = [number for number in range(first, len(packets)) if at[number] < stretch.end - 1e-6]
    return first, max(wanted)


def _packets(container: InputContainer, stream: VideoStream, chosen: set[int]) -> list[Packet[Any]]:
    """The packets of these numbers, in the order of decoding."""
    with_content = (packet for packet in container.demux(stream) if packet.size)
    numbered = zip(range(max(chosen) + 1), with_content, strict=False)
    return [packet for number, packet in numbered if number in chosen]


def _order(packets: list[Packet[Any]]) -> None:
    """Says of packets when they are decoded, where the container does not say it of all, as Matroska does not."""
    if all(packet.dts is not None for packet in packets):
        return
    shown = [packet.pts or 0 for packet in packets]
    in_time = sorted(shown)
    # Each is decoded at the latest when it is shown.
    delay = max(later - own for later, own in zip(in_time, shown, strict=True))
    for packet, time in zip(packets, in_time, strict=True):
        packet.dts = time - delay


def _check_codecs(container: InputContainer, output: OutputContainer, codec: str) -> None:
    for name in (codec, *(codec_name(stream.codec_context) for stream in _sounds(container))):
        if name not in output.supported_codecs:
            raise CannotCopyError(f"{output.format.name} does not take the codec {name}")


def _sounds(container: InputContainer) -> list[Stream]:
    best = container.streams.best("audio")
    return [best] if best is not None and best.codec_context is not None else []


def _write(
    container: InputContainer, output: OutputContainer, pictures: list[Packet[Any]], begins: float, ends: float
) -> None:
    """Writes packets of pictures, and those of the sound from one time of the file's clock to another."""
    stream = pictures[0].stream
    target = {stream.index: output.add_stream_from_template(stream)}
    sounds = _sounds(container)
    for sound in sounds:
        target[sound.index] = output.add_stream_from_template(sound)
    packets = list(pictures)
    if sounds:
        container.seek(max(int((begins - 1.0) * av.time_base), 0) if begins > 1.0 else 0)
        try:
            for packet in container.demux(sounds[0]):
                if packet.size and packet.pts is not None and packet.dts is not None:
                    time = packet.pts * float(packet.time_base)
                    if time >= ends:
                        break
                    if time >= begins - 1e-6:
                        packets.append(packet)
        except (av.InvalidDataError, IndexError):
            # Content that makes no sense ends a file.
            pass
    packets.sort(key=lambda packet: (packet.dts or 0) * float(packet.time_base))
    for packet in packets:
        shift = round(begins / float(packet.time_base))
        packet.pts, packet.dts = (packet.pts or 0) - shift, (packet.dts or 0) - shift
        packet.stream = target[packet.stream.index]
        output.mux(packet)


def _check_written(source: str, destination: Path, begins: float, frames: int, time_limit: float) -> None:
    """Checks that a copy plays: it has the frames that were copied, and the first looks as it does in the source.

    Raises:
        CannotCopyError: it does not.
    """
    try:
        with (
            open_source(source) as file,
            OpenVideoFile(file, source, time_limit=time_limit) as original,
            OpenVideoFile(str(destination), str(destination), time_limit=time_limit) as copy,
        ):
            times, _ = copy.frame_times()
            of_source = original.decode(
                lambda every, _duration: np.array([int(np.abs(every - begins).argmin())], dtype=np.int64)
            ).frames[0]
            of_copy = copy.decode(lambda _every, _duration: np.array([0, len(times) - 1])[: len(times)]).frames[0]
    except VideoDecodingError as error:
        raise CannotCopyError(f"a copy of its packets does not play ({error.reason})") from error
    if abs(len(times) - frames) > 1 or of_source.shape != of_copy.shape or not np.array_equal(of_source, of_copy):
        raise CannotCopyError("a copy of its packets does not show what it does")
