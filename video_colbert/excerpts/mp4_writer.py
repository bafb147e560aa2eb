"""An mp4 file of H.264 and AAC, as every browser and player takes it."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

SOUND_RATE = 48_000
"""Samples a second."""

_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_CLOCK = Fraction(1, 90_000)
# ITU-R H.273: BT.709's primaries, transfer and matrix, which players take for what does not say otherwise.
_BT709 = 1
# The nominal rate, which says nothing of when frames are shown.
_RATE = 30


class Mp4Writer:
    """Writes frames and sound, each with its time; a file that can be played while it is still loading.

    Sound is given before the pictures that it belongs to, so that both lie side by side in the file.

    Args:
        destination: path of the file, whose ending says the container: mp4, m4v, mov or mkv.
        size: width and height of all frames, in pixels; both even.
        has_sound: whether there will be sound.
        quality: x264's constant rate factor: 18 can hardly be told from the source, 23 is half the size.

    Raises:
        ValueError: no such container.
    """

    def __init__(self, destination: Path, size: tuple[int, int], *, has_sound: bool, quality: int) -> None:
        self.size = size
        if destination.suffix.lower() not in _CONTAINERS:
            raise ValueError(
                f"what is encoded again goes into {', '.join(_CONTAINERS)}, not {destination.suffix or 'no ending'}"
            )
        container = _CONTAINERS[destination.suffix.lower()]
        options = {} if container == "matroska" else {"movflags": "+faststart"}
        self._container = av.open(str(destination), "w", format=container, options=options)
        self._pictures = self._container.add_stream(
            "libx264", rate=_RATE, options={"crf": str(quality), "preset": "veryfast", "threads": "2"}
        )
        self._pictures.width, self._pictures.height = size
        self._pictures.pix_fmt = "yuv420p"
        self._pictures.time_base = self._pictures.codec_context.time_base = _CLOCK
        context = self._pictures.codec_context
        context.color_primaries = context.color_trc = context.colorspace = context.color_range = _BT709
        self._sound = self._container.add_stream("aac", rate=SOUND_RATE, layout="stereo") if has_sound else None
        self._reformatter = VideoReformatter()
        self._waiting: deque[Packet[AudioStream]] = deque()
        self._last = -1
        self._lengths: dict[int, int] = {}

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._mux_pictures(None)
                if self._sound is not None:
                    self._waiting.extend(self._sound.encode(None))
                self._mux_sound(None)
        finally:
            self._container.close()

    def add_frame(self, pixels: npt.NDArray[np.uint8], time: float, length: float) -> None:
        """Adds a frame, which is scaled to the file's size.

        Args:
            pixels: uint8 [H, W, 3], RGB.
            time: seconds from the start of the file at which it appears, later than the frame before.
            length: seconds for which it is on show.
        """
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = self._reformatter.reformat(
            frame,
            *self.size,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            interpolation=Interpolation.BICUBIC,
        )
        # Two frames of one time would be refused.
        frame.pts = self._last = max(round(time / _CLOCK), self._last + 1)
        frame.time_base = _CLOCK
        self._lengths[self._last] = max(round(length / _CLOCK), 1)
        self._mux_sound(time)
        self._mux_pictures(frame)

    def add_sound(self, samples: npt.NDArray[np.float32], position: int) -> None:
        """Adds sound.

        Args:
            samples: float32 [2, samples], at `SOUND_RATE`.
            position: sample from the start of the file at which it begins, the end of the sound before.
        """
        if self._sound is None:
            raise ValueError("the file has no sound")
        if samples.shape[1]:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, position, Fraction(1, SOUND_RATE)
            self._waiting.extend(self._sound.encode(frame))

    def _mux_pictures(self, frame: av.VideoFrame | None) -> None:
        """Writes what the encoder gives for a frame, or has left."""
        for packet in self._pictures.encode(frame):
            if packet.pts is not None and packet.time_base is not None:
                # The encoder knows a nominal rate alone.
                length = self._lengths.pop(round(packet.pts * packet.time_base / _CLOCK), None)
                packet.duration = packet.duration if length is None else round(length * _CLOCK / packet.time_base)
            self._container.mux(packet)

    def _mux_sound(self, until: float | None) -> None:
        """Writes the sound up to a time; all of it without one."""
        while self._waiting:
            packet = self._waiting[0]
            if until is not None and packet.pts is not None and packet.pts * packet.time_base > until:
                return
            self._container.mux(self._waiting.popleft())
