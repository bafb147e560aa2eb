"""Decoding frames from the keyframes before them, where a stream's packets tell which frames there are."""

from collections.abc import Iterator

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .video_containers import Deadline, PacketReader, error_reason, stream_decoder
from .video_packets import PacketIndex
from .video_sources import VideoDecodingError


class IndexMismatchError(Exception):
    """Decoding did not give the frames that the packets announce."""


def decode_by_seeking(
    container: InputContainer,
    stream: VideoStream,
    index: PacketIndex,
    wanted: np.ndarray,
    deadline: Deadline,
    name: str,
) -> Iterator[VideoFrame]:
    """Decodes frames, each from its keyframe.

    Args:
        container: The open file.
        stream: Its video stream.
        index: The stream's packets.
        wanted: The frames' numbers in the order of presentation, increasing.
        deadline: When to give up.
        name: What errors call the file.

    Yields:
        The wanted frames.

    Raises:
        IndexMismatchError: The frames do not come as the index says, or damage touches a wanted one.
        VideoDecodingError: The file cannot be read, or it takes too long.
    """
    try:
        for keyframe, frame_numbers in _runs(index, wanted.tolist()):
            missing = set(frame_numbers)
            for number, frame in _decode_run(container, stream, index, keyframe, max(missing), deadline):
                if number in missing:
                    missing.remove(number)
                    yield frame
            if missing:
                raise IndexMismatchError(f"frames {sorted(missing)} did not come out of the decoder")
    except (IndexMismatchError, VideoDecodingError):
        raise
    except av.FFmpegError as error:
        raise IndexMismatchError(error_reason(error)) from error
    except Exception as error:
        raise VideoDecodingError(name, error_reason(error)) from error


def _runs(index: PacketIndex, wanted: list[int]) -> Iterator[tuple[int, list[int]]]:
    """Groups frames that are decoded in one go: those between whose packets no keyframe can be skipped to."""
    run_start, run = -1, list[int]()
    for frame in wanted:
        keyframe = index.keyframe_before(frame)
        if run and keyframe > index.last_needed[run[-1]] + 1:
            yield run_start, run
            run = []
        if not run:
            run_start = keyframe
        run.append(frame)
    if run:
        yield run_start, run


def _decode_run(
    container: InputContainer,
    stream: VideoStream,
    index: PacketIndex,
    keyframe: int,
    last_frame: int,
    deadline: Deadline,
) -> Iterator[tuple[int, VideoFrame]]:
    """Decodes from a keyframe to a frame; yields every frame with its number in the order of presentation.

    Raises:
        IndexMismatchError: Another frame comes, or one that is decoded before some yielded frame is damaged, which may
            be known only later.
    """
    shown_pts = index.pts[index.shown]
    expected = int(np.searchsorted(shown_pts, index.pts[keyframe]))
    # The first packet since the keyframe that is damaged: no frame decoded from it on can be trusted.
    damaged = len(index.pts)
    last_yielded = -1
    decoder = stream_decoder(stream)
    last_packet = int(index.last_needed[last_frame])
    for number, packet in _packets_of_run(container, stream, index, keyframe, last_packet, deadline):
        if index.corrupt[number]:
            damaged = min(damaged, number)
        try:
            # Without a packet, the decoder gives what it still holds.
            frames = decoder.decode(packet)
        except av.FFmpegError:
            damaged, frames = min(damaged, number), []
        for frame in frames:
            if frame.pts is not None and frame.pts < index.pts[keyframe]:
                continue  # shown before the keyframe and referring to what was not decoded
            if expected <= last_frame and frame.pts != shown_pts[expected]:
                raise IndexMismatchError(f"frame {expected} was to come, but {frame.pts} came")
            packet_number = index.number.get(frame.pts, number) if frame.pts is not None else number
            if frame.is_corrupt:
                damaged = min(damaged, packet_number)
            if expected <= last_frame:
                last_yielded = max(last_yielded, packet_number)
            if damaged <= last_yielded:
                raise IndexMismatchError(f"damage in packet {damaged} reaches a frame before {expected}")
            if expected <= last_frame:
                yield expected, frame
            expected += 1


def _packets_of_run(
    container: InputContainer, stream: VideoStream, index: PacketIndex, keyframe: int, last: int, deadline: Deadline
) -> Iterator[tuple[int, "Packet[VideoStream] | None"]]:
    """Seeks, and yields the packets from `keyframe` to `last` with their numbers, then `last` with no packet."""
    # Containers search by presentation or by decoding time, and some only about right: the earlier a target,
    # the more is read and thrown away.
    for target in (int(index.pts[keyframe]), index.dts[keyframe], index.dts[0]):
        if target is None:
            continue
        container.seek(target, stream=stream)
        packets = iter(PacketReader(container, stream, deadline))
        number, packet = _next_packet(packets, index)
        if number <= keyframe:
            break
    else:
        raise IndexMismatchError(f"no seek reaches packet {keyframe}")
    while number <= last:
        if number >= keyframe:
            yield number, packet
        number, packet = _next_packet(packets, index)
    yield last, None


def _next_packet(
    packets: Iterator["Packet[VideoStream]"], index: PacketIndex
) -> tuple[int, "Packet[VideoStream] | None"]:
    """The next packet with its number; past the end, the number of packets and `None`."""
    packet = next(packets, None)
    if packet is None:
        return len(index.pts), None
    number = None if packet.pts is None else index.number.get(packet.pts)
    if number is None:
        raise IndexMismatchError(f"a packet at {packet.pts} is not in the index")
    return number, packet
