"""Decoding a video file from its start to its end, as FFmpeg does, with what damage leaves of it."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

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


class FramePicker:
    """Gives frames of a file by their place in the decoder's order.

    It goes on from where it is if what is wanted lies ahead, so that the windows of a file in their order decode it
    once.

    Args:
        file: A local path, or a seekable binary file that stays open.
        name: What errors call it.
        max_pixels: The most pixels that a frame may have.
        deadline: When to give up.
    """

    def __init__(self, file: str | BinaryIO, name: str, max_pixels: int, deadline: Deadline) -> None:
        self._file = file
        self._name = name
        self._max_pixels = max_pixels
        self._deadline = deadline
        self._decoding: Generator[tuple[int, VideoFrame | av.FFmpegError], None, None] | None = None
        self._next = 0
        self._last: VideoFrame | None = None

    def pick(self, positions: list[int]) -> Iterator[VideoFrame]:
        """Decodes some of the frames.

        Args:
            positions: Which, increasing.

        Yields:
            These frames.

        Raises:
            VideoDecodingError: It takes too long, or a frame that was there before does not come.
        """
        for position in positions:
            if position == self._next - 1 and self._last is not None:
                yield self._last
            else:
                yield self._decode_to(position)

    def close(self) -> None:
        """Closes the file, which the next frame opens again."""
        if self._decoding is not None:
            self._decoding.close()
        self._decoding, self._next, self._last = None, 0, None

    def _decode_to(self, position: int) -> VideoFrame:
        if position < self._next:
            self.close()
        if self._decoding is None:
            self._decoding = decode_in_order(self._file, self._name, self._max_pixels, self._deadline)
        try:
            for _, frame in self._decoding:
                if isinstance(frame, av.FFmpegError):
                    continue
                self._next, self._last = self._next + 1, frame
                if self._next > position:
                    return frame
        except VideoDecodingError:
            self.close()
            raise
        self.close()
        raise VideoDecodingError(self._name, "gives other frames each time it is decoded")


def decode_in_order(
    file: str | BinaryIO, name: str, max_pixels: int, deadline: Deadline
) -> Generator[tuple[int, VideoFrame | av.FFmpegError], None, None]:
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


def decode_keyframes(
    file: str | BinaryIO, name: str, max_pixels: int, deadline: Deadline, spacing: float
) -> Iterator[tuple[int, VideoFrame]]:
    """Decodes keyframes and nothing else; one that is damaged is passed over.

    Args:
        file: A local path, or a seekable binary file.
        name: What errors call it.
        max_pixels: The most pixels that a frame may have.
        deadline: When to give up.
        spacing: Seconds of video of which the last keyframe is decoded, where they hold several.

    Yields:
        The time of a keyframe on the continued clock, and its picture.

    Raises:
        VideoDecodingError: The file cannot be read, or it takes too long.
    """
    with decoding_errors(name), open_container(file, name, max_pixels) as container:
        stream = main_video_stream(container, name, max_pixels)
        clock = ContinuedClock(container, stream)
        decoder = stream_decoder(stream)
        ticks = max(round(spacing / float(stream.time_base or 1)), 1)
        last: tuple[int, Packet[VideoStream]] | None = None
        for packet in PacketReader(container, stream, deadline):
            pts, dts = clock.continued(packet.pts, packet.dts, packet.duration)
            time = dts if pts is None else pts
            if time is None or not packet.is_keyframe or packet.is_corrupt or packet.is_discard:
                continue
            if last is not None and last[0] // ticks != time // ticks:
                yield from _decoded_alone(decoder, *last)
            last = time, packet
        if last is not None:
            yield from _decoded_alone(decoder, *last)


def _decoded_alone(
    decoder: VideoCodecContext, time: int, packet: "Packet[VideoStream]"
) -> Iterator[tuple[int, VideoFrame]]:
    """The picture of a keyframe, if it can be decoded; the decoder is left as it was."""
    try:
        # Without a packet, the decoder gives what it still holds.
        frames = [*decoder.decode(packet), *decoder.decode(None)]
    except av.FFmpegError:
        frames = []
    decoder.flush_buffers()
    if frames and not frames[0].is_corrupt:
        yield time, frames[0]


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
