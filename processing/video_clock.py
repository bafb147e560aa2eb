"""The time line of a video: its stream's times, continued where a recording's clock restarts, in seconds."""

from typing import NamedTuple, cast

import av
import numpy as np
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

# A step of the decoding time that FFmpeg takes for another clock: in formats whose clocks may restart (transport
# and program streams, Ogg) and in all others. Its options -dts_delta_threshold and -dts_error_threshold.
_RESTART_SECONDS = 10.0
_ERROR_SECONDS = 30 * 3600.0
# In the former, a step back of more than this is one too.
_STEP_BACK_SECONDS = 0.1
# For so long a last picture is believed to stay on. What claims more is taken for damage.
_LAST_PICTURE_SECONDS = 3600.0


class PacketFacts(NamedTuple):
    """What is kept of a packet; the packets themselves would hold the whole file in memory."""

    pts: int | None
    dts: int | None
    duration: int | None
    is_keyframe: bool
    is_corrupt: bool
    is_discard: bool


class ContinuedClock:
    """Continues a stream's times where its clock restarts or jumps, as FFmpeg does.

    In formats whose clocks may restart, what follows a step of more than 10 s, or back by more than 0.1 s, goes on
    where the stream was. In the others a time that is more than 30 h off is no time.

    Source: `ts_discontinuity_detect` in FFmpeg's `fftools/ffmpeg_demux.c`.

    Args:
        container: The open file.
        stream: Its video stream.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._may_restart = may_restart(container)
        self._unit = float(stream.time_base or 1)
        rate = stream.codec_context.framerate or stream.average_rate
        self._frame_ticks = round(1 / float(rate) / self._unit) if rate else 0
        self._offset = 0
        self._last: int | None = None
        self._next: int | None = None
        self.has_intervened = False

    def continued(self, pts: int | None, dts: int | None, duration: int | None) -> tuple[int | None, int | None]:
        """The times of the next packet of the stream.

        Args:
            pts: Its presentation time, as stored.
            dts: Its decoding time.
            duration: How long it is shown.

        Returns:
            Its presentation and decoding time on the continued clock; `None` where there is none.
        """
        pts = None if pts is None else pts + self._offset
        dts = None if dts is None else dts + self._offset
        if self._next is not None and self._last is not None:
            if self._may_restart:
                pts, dts = self._continue_restarted(pts, dts, self._next, self._last)
            else:
                pts, dts = self._without_errors(pts, self._next), self._without_errors(dts, self._next)
        if dts is not None:
            self._last = dts
        else:
            self._last = self._next if self._next is not None else pts
        if self._last is not None:
            self._next = self._last + (duration or self._frame_ticks)
        return pts, dts

    def _continue_restarted(
        self, pts: int | None, dts: int | None, expected: int, last: int
    ) -> tuple[int | None, int | None]:
        if dts is None:
            return pts, dts
        step = dts - expected
        if abs(step) * self._unit <= _RESTART_SECONDS and (dts - last) * self._unit >= -_STEP_BACK_SECONDS:
            return pts, dts
        self._offset -= step
        self.has_intervened = True
        return None if pts is None else pts - step, dts - step

    def _without_errors(self, time: int | None, expected: int) -> int | None:
        if time is None or abs(time - expected) * self._unit <= _ERROR_SECONDS:
            return time
        self.has_intervened = True
        return None


class TimeLine:
    """Turns a stream's times into seconds since the start of the file, as a player shows them.

    Args:
        container: The open file.
        stream: Its video stream.
        packets: The stream's packets, on the continued clock.
        declared_end: Seconds on the stream's clock at which the header says that the file ends, if it does.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        packets: list[PacketFacts],
        declared_end: float | None = None,
    ) -> None:
        self._unit = float(stream.time_base or 1)
        rate = stream.average_rate or stream.guessed_rate
        frame_seconds = 1 / float(rate) if rate else 0.0
        shown = {packet.pts: packet.duration for packet in packets if packet.pts is not None and not packet.is_discard}
        first = min(shown, default=0) * self._unit
        # The clock starts anywhere (transport streams), so 0 s is where the file starts: with its first frame,
        # or earlier with its sound, but not with the encoder's priming samples before 0.
        if len(container.streams) == 1 or container.start_time is None:
            self._origin = first
        else:
            self._origin = min(max(container.start_time / av.time_base, 0.0), first)
        last_duration = shown[max(shown)] if shown else None
        if last_duration:
            frame_seconds = last_duration * self._unit
        self._frame_seconds = min(frame_seconds, _LAST_PICTURE_SECONDS)
        # Sound may go on after the last picture, so that the end of the file is not its.
        declared = declared_end if len(container.streams) == 1 else None
        self._declared_end = 0.0 if declared is None else declared - self._origin

    def seconds(self, pts: np.ndarray) -> np.ndarray:
        """`[frames]` int64 stream times to float64 seconds."""
        return pts.astype(np.float64) * self._unit - self._origin

    def seconds_of_frames(self, pts: list[int | None]) -> np.ndarray:
        """Seconds of decoded frames, `[frames]`; one without a time follows the frame before it."""
        times = np.zeros(len(pts))
        following = 0.0
        for number, time in enumerate(pts):
            times[number] = following if time is None else time * self._unit - self._origin
            following = times[number] + self._frame_seconds
        return times

    def duration(self, times: np.ndarray) -> float:
        """Seconds from the start of the file to the end of the last frame, of frames at increasing `times`.

        A last picture, whose length Matroska and FLV often do not store, stays until the end that the file declares,
        for an hour at most.
        """
        if not len(times):
            return 0.0
        end = float(times[-1] + self._frame_seconds)
        if end < self._declared_end <= times[-1] + _LAST_PICTURE_SECONDS:
            return self._declared_end
        return end


def may_restart(container: InputContainer) -> bool:
    """Whether the clocks of a container's format may restart in mid-file, and its packets get lost unnoticed."""
    return bool(container.format.flags & cast(int, Flags.ts_discont.value))
