"""Videos of many kinds whose frames tell their number, with a tone that says the second."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

RATE = 10
"""Frames a second, of those that are even."""

SOUND_RATE = 16_000
# Frames that are 3 s long: later ones belong to what a cut of a middle second must not hold.
FRAMES = 30


def picture(number: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A frame: eight bands, of which a bit of the number each makes bright or dark, above a ramp."""
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    bits = [(number >> bit) & 1 for bit in range(8)]
    pixels[: height // 2] = np.repeat([40 + 180 * bit for bit in bits], -(-width // 8))[:width, None]
    pixels[height // 2 :] = np.linspace(20, 200, width).astype(np.uint8)[:, None]
    return pixels


def number_of(pixels: npt.NDArray[np.uint8]) -> int:
    """The number that a frame tells."""
    height, width = pixels.shape[:2]
    row = pixels[: height // 2].mean(axis=(0, 2))
    columns = [int((bit + 0.5) * -(-width // 8)) for bit in range(8)]
    return sum(int(row[min(column, width - 1)] > 130) << bit for bit, column in enumerate(columns))


def write_media(
    path: Path,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (64, 48),
    sound: str | None = "aac",
    times: list[float] | None = None,
    begin: float = 0.0,
    group: int = 10,
    frames: int = FRAMES,
    pixel_format: str = "yuv420p",
    rotation: int = 0,
) -> Path:
    """Writes a video.

    Args:
        path: whose ending says the container.
        codec: encoder of the pictures.
        size: width and height.
        sound: encoder of the sound; None for none. It is silent but for a tone in every second half of a second.
        times: when frames appear; evenly by default.
        begin: what the clock shows at the first frame.
        group: frames from keyframe to keyframe.
        frames: how many.
        pixel_format: of the pictures.
        rotation: quarter turns of the display matrix, in degrees counter-clockwise.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = times or [number / RATE for number in range(frames)]
    unit = Fraction(1, RATE) if times is None and begin == 0.0 else Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        stream.codec_context.gop_size = group
        stream.codec_context.time_base = unit
        if codec == "libx265":
            stream.options = {"x265-params": f"log-level=error:keyint={group}:min-keyint={group}:pools=1"}
        if rotation:
            stream.set_display_rotation(rotation) if hasattr(stream, "set_display_rotation") else None
        heard = None if sound is None else container.add_stream(sound, rate=SOUND_RATE, layout="mono")
        for number, time in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = round((time + begin) / unit), unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if heard is not None:
            _write_sound(container, heard, shown[-1] + 1 / RATE, begin)
    return path


def loudness(samples: npt.NDArray[np.float32], rate: int, second: float, length: float = 0.1) -> float:
    """How loud it is around a second, as the root of the mean square."""
    part = samples[round(second * rate) : round((second + length) * rate)]
    return float(np.sqrt(np.square(part).mean()))


def _write_sound(
    container: av.container.OutputContainer, stream: av.audio.stream.AudioStream, seconds: float, begin: float
) -> None:
    places = np.arange(round(seconds * SOUND_RATE))
    tone = 0.5 * np.sin(2 * np.pi * 440 * places / SOUND_RATE) * ((places // (SOUND_RATE // 2)) % 2)
    block = stream.codec_context.frame_size or 1024
    formats = stream.codec_context.format.name
    for first in range(0, len(tone), block):
        part = tone[first : first + block].astype(np.float32)[None]
        samples = part if formats.startswith("flt") else np.round(part * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format=formats, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = (
            SOUND_RATE, first + round(begin * SOUND_RATE), Fraction(1, SOUND_RATE)
        )  # fmt: skip
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
