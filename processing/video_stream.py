"""Exact frames out of a video file with PyAV: index its packets, seek to the nearest keyframes, decode.

What is returned equals decoding everything and picking. Where the packets do not tell which frames there are
(no presentation times, packets without a frame), everything is decoded instead, twice, so that only the
wanted frames are ever held in memory.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from .video_packets import (
    Clock,
    PacketIndex,
    error_reason,
    index_packets,
    main_video_stream,
    open_container,
    read_packets,
)
from .video_sources import VideoDecodingError

FrameChooser = Callable[[np.ndarray], np.ndarray]


class _IndexMismatchError(Exception):
    """Decoding did not give the frames that the packets announce."""


class OpenVideoFile:
    """A video file whose packets are read once, so that any number of its windows can be decoded.

    Args:
        file: A local path, or a seekable binary file that stays open.
        name: What errors call it.

    Raises:
        VideoDecodingError: The file is no video or is truncated.

    Example:
        with OpenVideoFile("film.mp4", "film.mp4") as film:
            frames, times, duration = film.decode(lambda times: np.flatnonzero(times < 1.0))
    """

    def __init__(self, file: str | BinaryIO, name: str) -> None:
        self.name = name
        self._file = file
        self._pts: list[int | None] | None = None
        self._container = open_container(file, name)
        try:
            self._stream = main_video_stream(self._container, name)
            packets = read_packets(self._container, self._stream, name)
            self._clock = Clock(self._container, self._stream, packets)
            self._index = index_packets(packets)
        except (av.FFmpegError, OSError) as error:
            self._container.close()
            raise VideoDecodingError(name, error_reason(error)) from error
        except VideoDecodingError:
            self._container.close()
            raise

    def __enter__(self) -> "OpenVideoFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the container; a file that was given stays open."""
        self._container.close()

    def decode(self, choose: FrameChooser) -> tuple[list[np.ndarray], np.ndarray, float]:
        """Decodes chosen frames, from the keyframes before them where the packets tell which these are.

        Args:
            choose: Given the times of all frames (seconds, increasing, `[frames]`), returns the increasing
                indices of the wanted ones.

        Returns:
            The wanted frames, each uint8 `[H, W, 3]`, RGB and upright; their times in seconds; the video's
            duration in seconds.

        Raises:
            VideoDecodingError: A wanted frame cannot be decoded.
        """
        try:
            if self._index is not None:
                times = self._clock.seconds(self._index.pts[self._index.shown])
                wanted = choose(times)
                try:
                    frames = list(_decode_by_seeking(self._container, self._stream, self._index, wanted))
                    return frames, times[wanted], self._clock.duration(times)
                except _IndexMismatchError:
                    pass
            if self._pts is None:
                self._pts = [frame.pts for frame in _decode_in_order(self._file, self.name)]
            times = self._clock.seconds_of_frames(self._pts)
            wanted = choose(times)
            frames = list(_pick(_decode_in_order(self._file, self.name), wanted))
            return frames, times[wanted], self._clock.duration(times)
        except (av.FFmpegError, OSError) as error:
            raise VideoDecodingError(self.name, error_reason(error)) from error

    def duration(self) -> float:
        """Seconds from the start of the video to the end of its last frame.

        Raises:
            VideoDecodingError: The frames have to be decoded to be counted, and one cannot be.
        """
        _, _, seconds = self.decode(lambda _: np.zeros(0, dtype=np.int64))
        return seconds


def decode_frames(file: str | BinaryIO, name: str, choose: FrameChooser) -> tuple[list[np.ndarray], np.ndarray, float]:
    """Decodes chosen frames of a video file.

    Args:
        file: A local path, or a seekable binary file.
        name: What errors call it.
        choose: As of `OpenVideoFile.decode`.

    Returns:
        As `OpenVideoFile.decode`.

    Raises:
        VideoDecodingError: The file is no video, is truncated, or a wanted frame cannot be decoded.
    """
    with OpenVideoFile(file, name) as video:
        return video.decode(choose)


def frame_times(file: str | BinaryIO, name: str) -> tuple[np.ndarray, float]:
    """Reads when each frame of a video file appears, without decoding where its packets tell.

    Args:
        file: A local path, or a seekable binary file.
        name: What errors call it.

    Returns:
        The times of all frames in seconds, increasing, `[frames]`, and the video's duration in seconds.

    Raises:
        VideoDecodingError: The file is no video or is truncated.
    """
    found: list[np.ndarray] = []

    def choose_none(times: np.ndarray) -> np.ndarray:
        found.append(times)
        return np.zeros(0, dtype=np.int64)

    _, _, duration = decode_frames(file, name, choose_none)
    return found[-1], duration


def _decode_by_seeking(
    container: InputContainer, stream: VideoStream, index: PacketIndex, wanted: np.ndarray
) -> Iterator[np.ndarray]:
    """Decodes the `wanted` frames, each from its keyframe.

    Raises:
        _IndexMismatchError: The frames do not come as the index says, or damage touches a wanted one.
    """
    to_rgb = _RgbConverter()
    for keyframe, frame_numbers in _runs(index, wanted.tolist()):
        missing = set(frame_numbers)
        for number, frame in _decode_run(container, stream, index, keyframe, max(missing)):
            if number in missing:
                missing.remove(number)
                yield to_rgb(frame)
        if missing:
            raise _IndexMismatchError(f"frames {sorted(missing)} did not come out of the decoder")


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
    container: InputContainer, stream: VideoStream, index: PacketIndex, keyframe: int, last_frame: int
) -> Iterator[tuple[int, VideoFrame]]:
    """Decodes from a keyframe to a frame; yields every frame with its number in the order of presentation."""
    shown_pts = index.pts[index.shown]
    expected = int(np.searchsorted(shown_pts, index.pts[keyframe]))
    # The first packet since the keyframe that is damaged: no frame decoded from it on can be trusted.
    damaged = len(index.pts)
    for number, packet in _packets_of_run(container, stream, index, keyframe, int(index.last_needed[last_frame])):
        if index.corrupt[number]:
            damaged = min(damaged, number)
        try:
            # Without a packet, the decoder gives what it still holds.
            frames = stream.codec_context.decode(packet)
        except av.FFmpegError:
            damaged, frames = min(damaged, number), []
        for frame in frames:
            if frame.pts is not None and frame.pts < index.pts[keyframe]:
                continue  # shown before the keyframe and referring to what was not decoded
            if expected >= len(shown_pts) or frame.pts != shown_pts[expected]:
                raise _IndexMismatchError(f"frame {expected} was to come, but {frame.pts} came")
            packet_number = int(index.shown[expected])
            if frame.is_corrupt:
                damaged = min(damaged, packet_number)
            if damaged <= packet_number:
                raise _IndexMismatchError(f"frame {expected} is damaged")
            yield expected, frame
            if expected == last_frame:
                return
            expected += 1


def _packets_of_run(
    container: InputContainer, stream: VideoStream, index: PacketIndex, keyframe: int, last: int
) -> Iterator[tuple[int, "Packet[VideoStream] | None"]]:
    """Seeks, and yields the packets from `keyframe` to `last` with their numbers, then `last` with no packet."""
    # Containers search by presentation or by decoding time, and some only about right: the earlier a target,
    # the more is read and thrown away.
    for target in (int(index.pts[keyframe]), index.dts[keyframe], index.dts[0]):
        if target is None:
            continue
        container.seek(target, stream=stream)
        packets = container.demux(stream)
        number, packet = _next_packet(packets, index)
        if number <= keyframe:
            break
    else:
        raise _IndexMismatchError(f"no seek reaches packet {keyframe}")
    while number <= last:
        if number >= keyframe:
            yield number, packet
        number, packet = _next_packet(packets, index)
    yield last, None


def _next_packet(
    packets: Iterator["Packet[VideoStream]"], index: PacketIndex
) -> tuple[int, "Packet[VideoStream] | None"]:
    """The next packet that is not empty, with its number; past the end, the number of packets and `None`."""
    for packet in packets:
        if packet.size:
            number = None if packet.pts is None else index.number.get(packet.pts)
            if number is None:
                raise _IndexMismatchError(f"a packet at {packet.pts} is not in the index")
            return number, packet
    return len(index.pts), None


def _decode_in_order(file: str | BinaryIO, name: str) -> Iterator[VideoFrame]:
    """Decodes every frame from the start; any sign of damage is an error."""
    shown = 0
    with open_container(file, name) as container:
        stream = main_video_stream(container, name)
        try:
            for packet in container.demux(stream):
                frames = packet.decode()
                if packet.is_corrupt or any(frame.is_corrupt for frame in frames):
                    raise VideoDecodingError(name, f"is damaged: frame {shown} or one near it cannot be decoded")
                for frame in frames:
                    yield frame
                    shown += 1
        except av.FFmpegError as error:
            raise VideoDecodingError(
                name, f"is damaged: frame {shown} or one near it cannot be decoded ({error_reason(error)})"
            ) from error
    if not shown:
        raise VideoDecodingError(name, "has a video stream without any frame that can be decoded")


def _pick(frames: Iterator[VideoFrame], wanted: np.ndarray) -> Iterator[np.ndarray]:
    to_rgb = _RgbConverter()
    missing = set(wanted.tolist())
    for number, frame in enumerate(frames):
        if number in missing:
            missing.remove(number)
            yield to_rgb(frame)
        if not missing:
            return


class _RgbConverter:
    """Turns decoded frames into upright RGB arrays."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        # One thread: starting one per core costs ten times the conversion of a small frame.
        pixels = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        return _upright(pixels, frame)


def _upright(pixels: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """Applies the display matrix: quarter turns and mirror images; other angles stay as they are."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return pixels
    # Row-major 3 x 3, little-endian on every platform that FFmpeg runs on here: a pixel (x, y) is shown at
    # (a x + c y, b x + d y), up to a shift.
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
    if b == c == 0:
        return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    if a == d == 0:
        return pixels.transpose(1, 0, 2)[:: -1 if b < 0 else 1, :: -1 if c < 0 else 1]
    return pixels
