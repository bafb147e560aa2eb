"""What the packets of a video file say of its frames, before anything is decoded.

The container's own frame count is never used: it is missing in webm and counts dropped frames in avi.
"""

from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from .video_sources import VideoDecodingError

# FFmpeg takes these for pictures or playlists: a text file, or a list that names other files.
_NOT_VIDEO_FORMATS = frozenset({"bin", "concat", "dash", "hls", "imf", "tty"})
# A file that ends this much before the length its header declares has lost its end.
_MISSING_SECONDS = 1.0
_MISSING_SHARE = 0.05


class PacketFacts(NamedTuple):
    """What the index needs of a packet; the packets themselves would hold the whole file in memory."""

    pts: int | None
    dts: int | None
    duration: int | None
    is_keyframe: bool
    is_corrupt: bool
    is_discard: bool


@dataclass(frozen=True)
class PacketIndex:
    """The packets of a stream in decoding order, and the frames they hold in the order of presentation.

    Attributes:
        pts: `[packets]`, presentation times in the stream's clock, int64.
        dts: `[packets]`, decoding times; `None` where the container has none.
        keyframe: `[packets]` bool.
        number: Of each presentation time, the packet.
        corrupt: `[packets]` bool, the container says that the packet is damaged.
        shown: `[frames]`, the packet of each frame in the order of presentation. Packets that are decoded but
            not shown (before the start of an edit list) are in none.
        last_needed: `[frames]`, the last packet to be decoded until a frame and all shown before it are known.
    """

    pts: np.ndarray
    dts: list[int | None]
    number: dict[int, int]
    keyframe: np.ndarray
    corrupt: np.ndarray
    shown: np.ndarray
    last_needed: np.ndarray

    def keyframe_before(self, frame: int) -> int:
        """The packet from which decoding gives `frame` exactly.

        It is shown no later than the frame. A frame decoded after a keyframe and shown before it (open GOP)
        refers to the group before, so it belongs to the keyframe before that one.
        """
        packet = self.shown[frame]
        return int(np.flatnonzero(self.keyframe[: packet + 1] & (self.pts[: packet + 1] <= self.pts[packet]))[-1])


class Clock:
    """Turns a stream's times into seconds since the start of the file, as a player shows them.

    Args:
        container: The open file.
        stream: Its video stream.
        packets: The stream's packets.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, packets: list[PacketFacts]) -> None:
        self._unit = float(stream.time_base or 1)
        rate = stream.average_rate or stream.guessed_rate
        self._frame_seconds = 1 / float(rate) if rate else 0.0
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
            self._frame_seconds = last_duration * self._unit

    def seconds(self, pts: np.ndarray) -> np.ndarray:
        """`[frames]` int64 stream times to float64 seconds."""
        return pts.astype(np.float64) * self._unit - self._origin

    def seconds_of_frames(self, pts: list[int | None]) -> np.ndarray:
        """Seconds of decoded frames; the decoder's order stands, whatever the times say of it."""
        known = [time for time in pts if time is not None]
        if len(known) < len(pts):
            return np.arange(len(pts)) * self._frame_seconds
        return np.sort(self.seconds(np.array(known, dtype=np.int64)))

    def duration(self, times: np.ndarray) -> float:
        """Seconds from the start of the file to the end of the last frame."""
        return float(times[-1] + self._frame_seconds) if len(times) else 0.0


def open_container(file: str | BinaryIO, name: str) -> InputContainer:
    """Opens a video file.

    Args:
        file: A local path, or a seekable binary file.
        name: What errors call it.

    Returns:
        The open container, to be closed by the caller.

    Raises:
        VideoDecodingError: The file is no video file, or cannot be read as one.
    """
    if not isinstance(file, str):
        file.seek(0)
    # The prefix keeps FFmpeg from reading a path with a colon as a protocol.
    try:
        container = av.open(f"file:{file}" if isinstance(file, str) else file, mode="r", metadata_errors="replace")
    except av.FFmpegError as error:
        raise VideoDecodingError(
            name, f"is not a video file, or its header is missing or damaged ({error_reason(error)})"
        ) from error
    if container.format.name.split(",")[0] in _NOT_VIDEO_FORMATS:
        format_name = container.format.name
        container.close()
        raise VideoDecodingError(name, f"is not a video file (it reads as {format_name!r})")
    return container


def container_formats(file: str | BinaryIO, name: str) -> set[str]:
    """Names the container format of a video file.

    Args:
        file: A local path, or a seekable binary file.
        name: What errors call it.

    Returns:
        FFmpeg's names of the format, such as `{"mov", "mp4", ...}`.

    Raises:
        VideoDecodingError: The file is no video file.
    """
    with open_container(file, name) as container:
        return set(container.format.name.split(","))


def main_video_stream(container: InputContainer, name: str) -> VideoStream:
    """Finds the main video stream; the cover picture of a sound file is none.

    Args:
        container: An open file.
        name: What errors call it.

    Returns:
        The stream, set to decode with one thread.

    Raises:
        VideoDecodingError: There is no video stream, or none with a known codec.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise VideoDecodingError(name, f"has no video stream (it holds {kinds})")
    best = container.streams.best("video")
    stream = best if best in streams else streams[0]
    if stream.codec_context is None:
        raise VideoDecodingError(name, "has a video stream of an unknown codec")
    # One thread attributes each error to its packet, and several workers do not fight for the cores.
    stream.codec_context.thread_count = 1
    return stream


def read_packets(container: InputContainer, stream: VideoStream, name: str) -> list[PacketFacts]:
    """Reads a stream's packets to the end of the file, and checks that the end is there.

    Args:
        container: An open file, at its beginning.
        stream: The stream to read.
        name: What errors call it.

    Returns:
        The stream's packets in decoding order.

    Raises:
        VideoDecodingError: There are no packets, or fewer than the file announces.
    """
    packets = [
        PacketFacts(packet.pts, packet.dts, packet.duration, packet.is_keyframe, packet.is_corrupt, packet.is_discard)
        for packet in container.demux(stream)
        if packet.size
    ]
    if not packets:
        raise VideoDecodingError(name, "has a video stream without any frame")
    announced = sum(entry.size > 0 for entry in stream.index_entries)
    if announced > len(packets):
        raise VideoDecodingError(
            name, f"is truncated or damaged: {len(packets)} of {announced} video packets can be read"
        )
    declared, reached = _declared_seconds(container, stream), _reached_seconds(stream, packets)
    if declared is not None and reached < declared - max(_MISSING_SECONDS, _MISSING_SHARE * declared):
        raise VideoDecodingError(
            name, f"is truncated: its video ends at {reached:.1f} s of the {declared:.1f} s that it declares"
        )
    if packets[-1].is_corrupt:
        raise VideoDecodingError(name, f"is truncated: it ends within a frame at {reached:.1f} s")
    return packets


def index_packets(packets: list[PacketFacts]) -> PacketIndex | None:
    """Indexes packets.

    Args:
        packets: A stream's packets in decoding order.

    Returns:
        The index, or `None` where the packets do not say what is shown when.
    """
    times = [packet.pts for packet in packets]
    if None in times or len(set(times)) < len(times) or not packets[0].is_keyframe:
        return None
    pts = np.array(times, dtype=np.int64)
    if pts.min() < pts[0]:
        return None  # the file begins with frames that refer to what was cut off
    order = np.argsort(pts)
    discarded = np.array([packet.is_discard for packet in packets])
    shown = order[~discarded[order]]
    return PacketIndex(
        pts=pts,
        dts=[packet.dts for packet in packets],
        number={time: number for number, time in enumerate(pts.tolist())},
        keyframe=np.array([packet.is_keyframe for packet in packets]),
        corrupt=np.array([packet.is_corrupt for packet in packets]),
        shown=shown,
        last_needed=np.maximum.accumulate(shown),
    )


def _declared_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """How far into the file's clock the header says the video goes; `None` where it says nothing certain."""
    if container.format.name == "avi":
        # FFmpeg works out a truncated file's duration anew from its size; the header's count stands.
        return stream.frames * float(stream.time_base) if stream.frames and stream.time_base else None
    alone = len(container.streams) == 1
    if alone and container.duration is not None and container.format.name.split(",")[0] in ("matroska", "flv"):
        return container.duration / av.time_base
    return None


def _reached_seconds(stream: VideoStream, packets: list[PacketFacts]) -> float:
    ends = [(packet.pts if packet.pts is not None else packet.dts or 0) + (packet.duration or 0) for packet in packets]
    return float(max(ends) * (stream.time_base or 1))


def error_reason(error: Exception) -> str:
    """Says what an error of FFmpeg or of the system says, without the file's name.

    Args:
        error: The error.

    Returns:
        One line.
    """
    return str(getattr(error, "strerror", None) or error)
