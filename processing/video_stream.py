"""Exact frames out of a video file with PyAV: index its packets, seek to the nearest keyframes, decode.

What is returned equals decoding everything and picking. Where the packets do not tell which frames there are (no
presentation times, packets without a frame, clocks that restart), or damage is met on the way to a wanted frame,
everything is decoded instead: once to know the frames, and once more for all windows that follow each other, so that
only the wanted frames are ever held in memory. Only damage that a wanted
frame shows is an error.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from av.video.frame import VideoFrame

from .frame_pictures import HDR_TRANSFERS, FramePictures, HdrTransfer, may_be_transparent, shown_aspect
from .seek_decoding import IndexMismatchError, decode_by_seeking
from .video_clock import TimeLine
from .video_containers import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_TIME_LIMIT,
    Deadline,
    decoding_errors,
    has_alpha_layer,
    main_video_stream,
    open_container,
    readable_file,
)
from .video_packets import PacketIndex, index_packets, read_packets
from .video_sources import VideoDecodingError
from .whole_decoding import DecodedList, FramePicker, decode_in_order, decode_keyframes, list_frames

FrameChooser = Callable[[np.ndarray, float], np.ndarray]
FramePreparation = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ChosenFrames:
    """The frames that were wanted of a video.

    Attributes:
        frames: Each uint8 `[H, W, 3]`, RGB, as players show it, or what a preparation made of that.
        times: float64 `[frames]`, seconds since the start of the video at which each appears.
        duration: Seconds from the start of the video to the end of its last frame.
        transfer: `"PQ"` or `"HLG"` where they are of high dynamic range.
    """

    frames: list[np.ndarray]
    times: np.ndarray
    duration: float
    transfer: HdrTransfer | None


class OpenVideoFile:
    """A video file whose packets are read once, so that any number of its windows can be decoded.

    Args:
        file: A local path, or a seekable binary file that stays open.
        name: What errors call it.
        max_pixels: The most pixels that a frame may have; more is an error before one is decoded.
        time_limit: Seconds after which reading the packets, or one call of `decode`, is given up.

    Raises:
        VideoDecodingError: The file is no video or is truncated, its frames are too large, or it takes too long.

    Example:
        >>> with OpenVideoFile("a.mp4", "a.mp4") as film:
        ...     first_second = film.decode(lambda times, duration: np.flatnonzero(times < 1.0))
        >>> first_second.times
        array([0.  , 0.25, 0.5 , 0.75])
    """

    def __init__(
        self,
        file: str | BinaryIO,
        name: str,
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        time_limit: float = DEFAULT_TIME_LIMIT,
    ) -> None:
        self.name = name
        with decoding_errors(name):
            file = readable_file(file, name, max_pixels)
        self._file = file
        self._max_pixels = max_pixels
        self._deadline = Deadline(time_limit, name)
        self._picker = FramePicker(file, name, max_pixels, self._deadline)
        self._decoded: DecodedList | None = None
        self._first_size: tuple[int, int] | None = None
        with decoding_errors(name):
            self._container = open_container(file, name, max_pixels)
        try:
            with decoding_errors(name):
                self._stream = main_video_stream(self._container, name, max_pixels)
                codec = self._stream.codec_context
                self._size, self._aspect = (codec.width, codec.height), self._stream.sample_aspect_ratio
                packets = read_packets(file, self._container, self._stream, name, self._deadline)
                self._line = TimeLine(self._container, self._stream, packets.facts, packets.declared_end)
                self._index = index_packets(packets)
                self._missing = packets.missing
                self._facts = [] if packets.is_lossy else packets.facts
        except VideoDecodingError:
            self._container.close()
            raise

    def __enter__(self) -> "OpenVideoFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the container; a file that was given stays open."""
        self._picker.close()
        self._container.close()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its frames as the stream declares them."""
        return self._size

    @property
    def has_plain_pictures(self) -> bool:
        """Whether its pixels are square, opaque and of ordinary dynamic range, as far as its header says."""
        context = self._stream.codec_context
        return (
            shown_aspect(self._aspect) == 1
            and not has_alpha_layer(self._stream)
            and context.color_trc not in HDR_TRANSFERS
            and context.format is not None
            and not may_be_transparent(context.format)
        )

    def decode(
        self, choose: FrameChooser, *, prepare: FramePreparation | None = None, tone_map: bool = False
    ) -> ChosenFrames:
        """Decodes chosen frames, from the keyframes before them where the packets tell which these are.

        Args:
            choose: Given the times of all frames (seconds, increasing, `[frames]`) and the video's duration in
                seconds, returns the increasing indices of the wanted ones.
            prepare: What is made of each frame, uint8 `[H, W, 3]`, as soon as it is decoded, so that no two are held
                at their full size.
            tone_map: Whether frames of high dynamic range are brought to the range of ordinary video.

        Returns:
            The wanted frames.

        Raises:
            VideoDecodingError: A wanted frame cannot be decoded, or it takes too long.
        """
        self._deadline.restart()
        pictures = FramePictures(self._size, self._size_of_first, self._aspect, tone_map)

        def finished(frame: VideoFrame) -> np.ndarray:
            with decoding_errors(self.name):
                picture = pictures(frame)
            return picture if prepare is None else prepare(picture)

        chosen = None if self._index is None else self._decode_by_index(self._index, choose, finished)
        if chosen is None:
            chosen = self._decode_whole(choose, finished)
        return ChosenFrames(*chosen, pictures.transfer)

    def frame_times(self) -> tuple[np.ndarray, float]:
        """When each frame appears, without decoding where the packets tell.

        Returns:
            The times of all frames in seconds, increasing, `[frames]`, and the video's duration in seconds.

        Raises:
            VideoDecodingError: The frames have to be decoded to be counted, and there are none.
        """
        found: list[np.ndarray] = []

        def choose_none(times: np.ndarray, _duration: float) -> np.ndarray:
            found.append(times)
            return np.zeros(0, dtype=np.int64)

        duration = self.decode(choose_none).duration
        return found[-1], duration

    def duration(self) -> float:
        """Seconds from the start of the video to the end of its last frame.

        Raises:
            VideoDecodingError: As `frame_times`.
        """
        return self.frame_times()[1]

    def keyframes(self, spacing: float) -> Iterator[tuple[float, VideoFrame]]:
        """Decodes keyframes alone, which is cheap; how many there are is up to what made the file.

        Args:
            spacing: Seconds of video of which the last keyframe is decoded, where they hold several.

        Yields:
            Seconds since the start of the video at which a keyframe appears, and its picture as it is stored. One that
            is damaged is passed over.

        Raises:
            VideoDecodingError: The file cannot be read, or it takes too long.
        """
        self._deadline.restart()
        for pts, frame in decode_keyframes(self._file, self.name, self._max_pixels, self._deadline, spacing):
            yield float(self._line.seconds(np.array([pts]))[0]), frame

    def _decode_by_index(
        self, index: PacketIndex, choose: FrameChooser, finished: Callable[[VideoFrame], np.ndarray]
    ) -> tuple[list[np.ndarray], np.ndarray, float] | None:
        """Decodes by seeking; `None` where what comes is not what the packets announce."""
        pts = index.pts[index.shown]
        # Of packets that cannot be read, and of those that may be shown among them, only about the time is known.
        readable = int(np.searchsorted(pts, self._missing[0])) if self._missing else len(pts)
        missing = np.array(self._missing, dtype=np.int64)
        unreadable = np.sort(np.concatenate([pts[readable:], missing]))
        times = self._line.seconds(np.concatenate([pts[:readable], unreadable]))
        duration = self._line.duration(times)
        wanted = self._choose(choose, times, duration)
        if len(wanted) and wanted[-1] >= readable:
            raise VideoDecodingError(
                self.name,
                f"is truncated: {len(index.pts)} of {len(index.pts) + len(missing)} video packets can be read",
            )
        try:
            found = decode_by_seeking(self._container, self._stream, index, wanted, self._deadline, self.name)
            return [finished(frame) for frame in found], times[wanted], duration
        except IndexMismatchError:
            return None

    def _decode_whole(
        self, choose: FrameChooser, finished: Callable[[VideoFrame], np.ndarray]
    ) -> tuple[list[np.ndarray], np.ndarray, float]:
        if self._decoded is None:
            self._decoded = list_frames(self._file, self.name, self._max_pixels, self._deadline, self._facts)
        decoded = self._decoded
        times = self._line.seconds_of_frames(decoded.pts)
        if decoded.is_intact:
            # The decoder's order stands, whatever the times say of it (avi has none of its own).
            times = np.sort(times)
        absent = np.array(decoded.lost + self._missing, dtype=np.int64)
        times = np.concatenate([times, self._line.seconds(absent)])
        # Frames of one time stay in the decoder's order.
        order = np.argsort(times, kind="stable")
        wanted = self._choose(choose, times[order], self._line.duration(times[order]))
        positions = order[wanted]
        for position in positions.tolist():
            if position >= len(decoded.pts) or decoded.is_damaged[position]:
                raise VideoDecodingError(
                    self.name, f"is damaged: the frame at {times[position]:.3f} s cannot be decoded"
                )
        in_order = sorted(positions.tolist())
        found = self._picker.pick(in_order)
        frames = {position: finished(frame) for position, frame in zip(in_order, found, strict=True)}
        chosen = [frames[position] for position in positions.tolist()]
        return chosen, times[positions], self._line.duration(times[order])

    def _choose(self, choose: FrameChooser, times: np.ndarray, duration: float) -> np.ndarray:
        if not len(times):
            raise VideoDecodingError(self.name, "has a video stream without any frame that is shown")
        return choose(times, duration)

    def _size_of_first(self) -> tuple[int, int]:
        """Width and height of the video's first frame."""
        if self._first_size is None:
            for _, frame in decode_in_order(self._file, self.name, self._max_pixels, self._deadline):
                if isinstance(frame, VideoFrame):
                    self._first_size = (frame.width, frame.height)
                    break
        return self._first_size or self._size
