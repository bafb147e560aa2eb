"""Decoding a video file from its start to its end, as FFmpeg does, with what damage leaves of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
from av.video.frame import VideoFrame

from .video_clock import ContinuedClock, PacketFacts
from .video_containers import (
    Deadline,
    PacketReader,
    decoding_errors,
    main_video_stream,
    open_container,
    stream_decoder,
)
from .video_sources import VideoDecodingError


@dataclass(frozen=True)
class DecodedList:
    """The frames that decoding a file from its start to its end gives, without their pixels.

    Attributes:
        pts: Of each frame in the decoder's order, the time on the continued clock; `None` where it has none.
        is_damaged: Of each, whether the decoder says so.
        is_intact: Whether there was no sign of damage anywhere.
        lost: Times of frames that damage has taken: those of the packets from a damaged one to the next keyframe that
            gave no frame.
    """

    pts: list[int | None]
    is_damaged: list[bool]
    is_intact: bool
    lost: list[int]


def list_frames(
    file: str | BinaryIO, name: str, max_pixels: int, deadline: Deadline, facts: list[PacketFacts]
) -> DecodedList:
    """Decodes everything once, to know which frames there are.

    Args:
        file: A local path, or a seekable binary file.
        name: What errors call it.
        max_pixels: The most pixels that a frame may have.
        deadline: When to give up.
        facts: The stream's packets, for what damage has taken; empty where the format may lose packets unnoticed.

    Returns:
        The frames.

    Raises:
        VideoDecodingError: There are none, or it takes too long.
    """
    pts: list[int | None] = []
    is_damaged: list[bool] = []
    damaged_packets = {number for number, packet in enumerate(facts) if packet.is_corrupt}
    reason = ""
    for number, frame in decode_in_order(file, name, max_pixels, deadline):
        if isinstance(frame, av.FFmpegError):
            reason = reason or f" ({frame.strerror})"
            damaged_packets.add(number)
            continue
        pts.append(frame.pts)
        is_damaged.append(frame.is_corrupt)
    if not pts:
        raise VideoDecodingError(name, f"has a video stream without any frame that can be decoded{reason}")
    is_intact = not damaged_packets and not any(is_damaged)
    return DecodedList(pts, is_damaged, is_intact, _lost_times(facts, damaged_packets, pts))


def pick_frames(
    file: str | BinaryIO, name: str, max_pixels: int, deadline: Deadline, positions: list[int]
) -> Iterator[VideoFrame]:
    """Decodes from the start, and gives some of the frames.

    Args:
        file: A local path, or a seekable binary file.
        name: What errors call it.
        max_pixels: The most pixels that a frame may have.
        deadline: When to give up.
        positions: Which, in the decoder's order, increasing.

    Yields:
        These frames.

    Raises:
        VideoDecodingError: It takes too long.
    """
    remaining = iter(positions)
    position = next(remaining, None)
    count = 0
    for _, frame in decode_in_order(file, name, max_pixels, deadline):
        if position is None:
            return
        if isinstance(frame, av.FFmpegError):
            continue
        if count == position:
            yield frame
            position = next(remaining, None)
        count += 1


def decode_in_order(
    file: str | BinaryIO, name: str, max_pixels: int, deadline: Deadline
) -> Iterator[tuple[int, VideoFrame | av.FFmpegError]]:
    """Decodes every packet from the first to the last; one that cannot be decoded does not end it.

    Args:
        file: A local path, or a seekable binary file.
        name: What errors call it.
        max_pixels: The most pixels that a frame may have.
        deadline: When to give up.

    Yields:
        The number of a packet, and a frame that came out with it, its time on the continued clock, or the error that
        it raised. What the decoder still holds in the end comes with the number of packets.

    Raises:
        VideoDecodingError: It takes too long.
    """
    with decoding_errors(name), open_container(file, name, max_pixels) as container:
        stream = main_video_stream(container, name, max_pixels)
        clock = ContinuedClock(container, stream)
        decoder = stream_decoder(stream)
        count = 0
        for number, packet in enumerate(PacketReader(container, stream, deadline)):
            packet.pts, packet.dts = clock.continued(packet.pts, packet.dts, packet.duration)
            try:
                for frame in decoder.decode(packet):
                    yield number, frame
            except av.FFmpegError as error:
                yield number, error
            count += 1
        try:
            for frame in decoder.decode(None):
                yield count, frame
        except av.FFmpegError as error:
            yield count, error


def _lost_times(facts: list[PacketFacts], damaged: set[int], pts: list[int | None]) -> list[int]:
    if None in pts:
        return []
    came = set(pts)
    lost, within_damage = [], False
    for number, packet in enumerate(facts):
        within_damage = number in damaged or (within_damage and not packet.is_keyframe)
        if within_damage and not packet.is_discard and packet.pts is not None and packet.pts not in came:
            lost.append(packet.pts)
    return lost
