"""What the packets of a video file say of its frames, and whether its end is there, before anything is decoded.

The container's own frame count is never used: it is missing in webm and counts dropped frames in avi.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from .video_clock import ContinuedClock, PacketFacts, may_restart
from .video_containers import Deadline, PacketReader
from .video_sources import VideoDecodingError

# A file that ends this much before the length its header declares has lost its end.
_MISSING_SECONDS = 1.0
_MISSING_SHARE = 0.05

# So much more than the usual step of decoding times is a packet that was lost; telecine's steps differ by 1.5.
_GAP_PACES = 1.75

_EBML_HEADER = 0x1A45DFA3
_SEGMENT = 0x18538067


@dataclass(frozen=True)
class StreamPackets:
    """A stream's packets in decoding order.

    Attributes:
        facts: What is known of each, times on the continued clock.
        is_continued: Whether the clock was continued somewhere: stored times are not those of `facts`.
        missing: Decoding times of packets that the file announces and that cannot be read, increasing.
        is_lossy: Whether the format may lose packets unnoticed.
        declared_end: Seconds on the stream's clock at which the header says that the file ends; `None` where it says
            nothing certain.
    """

    facts: list[PacketFacts]
    is_continued: bool
    missing: list[int]
    is_lossy: bool
    declared_end: float | None


@dataclass(frozen=True)
class PacketIndex:
    """The packets of a stream in decoding order, and the frames they hold in the order of presentation.

    Attributes:
        pts: `[packets]`, presentation times in the stream's clock, int64.
        dts: `[packets]`, decoding times; `None` where the container has none.
        keyframe: `[packets]` bool.
        number: Of each presentation time, the packet.
        corrupt: `[packets]` bool, the container says that the packet is damaged, or one before it is known to be lost.
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


def read_packets(
    file: str | BinaryIO, container: InputContainer, stream: VideoStream, name: str, deadline: Deadline
) -> StreamPackets:
    """Reads a stream's packets to the end of the file, and checks that the end is there.

    Args:
        file: A local path, or a seekable binary file.
        container: The file, opened, at its beginning.
        stream: The stream to read.
        name: What errors call it.
        deadline: When to give up.

    Returns:
        The stream's packets.

    Raises:
        VideoDecodingError: There are no packets, the file declares a later end, or it takes too long.
    """
    clock = ContinuedClock(container, stream)
    facts = []
    reader = PacketReader(container, stream, deadline)
    for packet in reader:
        pts, dts = clock.continued(packet.pts, packet.dts, packet.duration)
        facts.append(PacketFacts(pts, dts, packet.duration, packet.is_keyframe, packet.is_corrupt, packet.is_discard))
    if not facts:
        raise VideoDecodingError(name, "has a video stream without any frame")
    missing = _missing_packets(stream, facts)
    if not missing:
        reason = _missing_end(file, container, stream, _reached_seconds(stream, facts), reader.stopped)
        if reason is not None:
            raise VideoDecodingError(name, reason)
    elif any(packet.pts is None for packet in facts):
        total = len(facts) + len(missing)
        raise VideoDecodingError(name, f"is truncated: {len(facts)} of {total} video packets can be read")
    return StreamPackets(facts, clock.has_intervened, missing, may_restart(container), _declared_end(container))


def index_packets(packets: StreamPackets) -> PacketIndex | None:
    """Indexes packets.

    Args:
        packets: A stream's packets.

    Returns:
        The index, or `None` where the packets do not say what is shown when.
    """
    facts = packets.facts
    times = [packet.pts for packet in facts]
    if packets.is_continued or None in times or len(set(times)) < len(times) or not facts[0].is_keyframe:
        return None
    pts = np.array(times, dtype=np.int64)
    if pts.min() < pts[0]:
        return None  # the file begins with frames that refer to what was cut off
    order = np.argsort(pts)
    discarded = np.array([packet.is_discard for packet in facts])
    shown = order[~discarded[order]]
    return PacketIndex(
        pts=pts,
        dts=[packet.dts for packet in facts],
        number={time: number for number, time in enumerate(pts.tolist())},
        keyframe=np.array([packet.is_keyframe for packet in facts]),
        corrupt=np.array([packet.is_corrupt for packet in facts]) | (packets.is_lossy & _follows_gap(facts)),
        shown=shown,
        last_needed=np.maximum.accumulate(shown),
    )


def _follows_gap(facts: list[PacketFacts]) -> np.ndarray:
    """`[packets]` bool: whether a packet that refers to others is decoded later than the stream's pace lets expect."""
    times = [packet.dts for packet in facts if packet.dts is not None]
    if not 2 <= len(times) == len(facts):
        return np.zeros(len(facts), dtype=bool)
    steps: np.ndarray = np.diff(np.array(times, dtype=np.int64))
    is_late = np.zeros(len(facts), dtype=bool)
    is_late[1:] = steps > _GAP_PACES * float(np.median(steps))
    is_late &= ~np.array([packet.is_keyframe for packet in facts])
    return is_late


def _missing_packets(stream: VideoStream, facts: list[PacketFacts]) -> list[int]:
    """Decoding times of the announced packets after those that were read, of those that would be shown."""
    entries = stream.index_entries
    if len(entries) <= len(facts):
        return []
    announced = [(entry.timestamp, entry.is_discard) for entry in entries if entry.size > 0]
    return sorted(timestamp for timestamp, is_discard in announced[len(facts) :] if not is_discard)


def _reached_seconds(stream: VideoStream, facts: list[PacketFacts]) -> float:
    ends = [(packet.pts if packet.pts is not None else packet.dts or 0) + (packet.duration or 0) for packet in facts]
    return float(max(ends) * (stream.time_base or 1))


def _missing_end(
    file: str | BinaryIO, container: InputContainer, stream: VideoStream, reached: float, stopped: bool
) -> str | None:
    """Says what is missing at the end of a file.

    A declared length that the packets do not reach is not enough where a last picture may stay on (Matroska, FLV):
    there the structure of the file has to be cut short too.

    Args:
        file: A local path, or a seekable binary file.
        container: The file, opened.
        stream: Its video stream.
        reached: Seconds on the file's own clock at which the last packet ends.
        stopped: Whether FFmpeg stopped reading at content that makes no sense.

    Returns:
        What is wrong, or `None` where nothing is known to be missing.
    """
    declared = _declared_end(container)
    if container.format.name == "avi":
        # FFmpeg works out a truncated file's duration anew from its size; the header's count stands.
        declared = stream.frames * float(stream.time_base) if stream.frames and stream.time_base else None
    elif declared is not None:
        declared = declared if stopped or _is_cut_short(file) else None
    elif stopped and container.duration is not None:
        declared = container.duration / av.time_base
    if declared is None or reached >= declared - max(_MISSING_SECONDS, _MISSING_SHARE * declared):
        return None
    return f"is truncated: its video ends at {reached:.1f} s of the {declared:.1f} s that it declares"


def _declared_end(container: InputContainer) -> float | None:
    """Seconds on the file's own clock at which its header says that it ends; `None` where it says nothing certain."""
    if container.duration is not None and container.format.name.split(",")[0] in ("matroska", "flv"):
        return container.duration / av.time_base
    return None


def _is_cut_short(file: str | BinaryIO) -> bool:
    if isinstance(file, str):
        with Path(file).open("rb") as opened:
            return _is_cut_short(opened)
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    is_flv = file.read(3) == b"FLV"
    return _ends_within_flv_tag(file, size) if is_flv else _ends_within_segment(file, size)


def _ends_within_flv_tag(file: BinaryIO, size: int) -> bool:
    """Each tag is followed by its size, and begins with its type and the size of its data."""
    if size < 24:
        return True
    file.seek(size - 4)
    tag_size = int.from_bytes(file.read(4), "big")
    if not 11 <= tag_size <= size - 17:
        return True
    file.seek(size - 4 - tag_size)
    tag = file.read(4)
    return int.from_bytes(tag[1:], "big") + 11 != tag_size


def _ends_within_segment(file: BinaryIO, size: int) -> bool:
    """Matroska's one segment holds all the rest and says how long it is, unless it was written as a live stream.

    Source: RFC 8794 (EBML), section 4, and RFC 9559 (Matroska), section 5.1.
    """
    offset = 0
    for _ in range(8):
        file.seek(offset)
        element = file.read(12)
        id_length = _vint_length(element[:1])
        length = _vint_length(element[id_length : id_length + 1])
        if not id_length or not length:
            return False
        identifier = int.from_bytes(element[:id_length], "big")
        bits = 7 * length
        content = int.from_bytes(element[id_length : id_length + length], "big") & ((1 << bits) - 1)
        end = offset + id_length + length + content
        if identifier == _SEGMENT:
            is_unknown = content == (1 << bits) - 1
            return not is_unknown and end > size
        if offset == 0 and identifier != _EBML_HEADER:
            return False
        offset = end
    return False


def _vint_length(first: bytes) -> int:
    """How many bytes a number of variable length takes, by its first; 0 where it is none."""
    return 9 - first[0].bit_length() if first and first[0] else 0
