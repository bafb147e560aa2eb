"""Media files with sound, subtitles and tags, made by PyAV."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet

Cue = tuple[float, float, str]
RATE = 48_000


def write_media(
    path: Path,
    *,
    seconds: float = 2.0,
    sound: npt.NDArray[np.float32] | None = None,
    subtitles: Mapping[str, Sequence[Cue]] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Writes a film of grey pictures, with sound at `RATE`, subtitles by language and tags."""
    with av.open(str(path), "w") as container:
        container.metadata.update(tags or {})
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height = 32, 32
        voice = None if sound is None else container.add_stream("aac", rate=RATE, layout="mono")
        written = []
        for language, cues in (subtitles or {}).items():
            stream = container.add_mux_stream("subrip")
            stream.time_base = Fraction(1, 1000)
            stream.metadata["language"] = language
            written.append((stream, cues))
        for number in range(round(seconds * 10)):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), number % 256, np.uint8), format="rgb24")
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        if voice is not None and sound is not None:
            for first in range(0, len(sound), 1024):
                block = av.AudioFrame.from_ndarray(sound[None, first : first + 1024], format="flt", layout="mono")
                block.sample_rate, block.pts, block.time_base = RATE, first, Fraction(1, RATE)
                container.mux(voice.encode(block))
            container.mux(voice.encode())
        for stream, cues in written:
            for start, end, text in cues:
                packet = Packet(text.encode())
                packet.stream, packet.time_base = stream, Fraction(1, 1000)
                packet.pts = packet.dts = round(start * 1000)
                packet.duration = round((end - start) * 1000)
                container.mux(packet)
    return path


def tone(seconds: float, hertz: float = 440.0) -> npt.NDArray[np.float32]:
    """A sine at half the full loudness, at `RATE`."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def overwrite_sound(path: Path, every: int, first: int = 0) -> int:
    """Fills packets of the sound, from one on, with what is no AAC; says how many.

    Those of silence stay: so few bytes would be found elsewhere in the file too.
    """
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0)]
    content = path.read_bytes()
    overwritten = [packet for packet in packets[first::every] if len(packet) > 8]
    for packet in overwritten:
        content = content.replace(packet, b"\xff" * len(packet))
    path.write_bytes(content)
    return len(overwritten)
