"""What the packets of a video file say of its frames, before anything is decoded.

The container's own frame count is never used: it is missing in webm and counts dropped frames in avi.
"""

from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from .video_clock import ContinuedClock, PacketFacts
from .video_containers import Deadline, PacketReader
from .video_ends import missing_end
from .video_sources import VideoDecodingError


@dataclass(frozen=True)
class StreamPackets:
    """A stream's packets in decoding order.

    Attributes:
        facts: What is known of each, times on the continued clock.
        is_continued: Whether the clock was continued somewhere: stored times are not those of `facts`.
        missing: Decoding times of packets that the file announces and that cannot be read, increasing.
    """

    facts: list[PacketFacts]
    is_continued: bool
    missing: list[int]


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
        reason = missing_end(file, container, stream, _reached_seconds(stream, facts), reader.stopped)
        if reason is not None:
            raise VideoDecodingError(name, reason)
    elif any(packet.pts is None for packet in facts):
        total = len(facts) + len(missing)
        raise VideoDecodingError(name, f"is truncated: {len(facts)} of {total} video packets can be read")
    return StreamPackets(facts, clock.has_intervened, missing)


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
        corrupt=np.array([packet.is_corrupt for packet in facts]),
        shown=shown,
        last_needed=np.maximum.accumulate(shown),
    )


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
