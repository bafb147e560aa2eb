"""Text on the screen: what can be read in the frames of a video, recognised with the models that rapidocr holds."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from video_colbert.errors import MissingExtraError
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.processing.video_stream import FrameChooser, OpenVideoFile
from video_colbert.text.passages import ReadPassages, one_line
from video_colbert.text.screen_lines import LineTracker, ScreenLine

if TYPE_CHECKING:
    from rapidocr import RapidOCR

Picture = npt.NDArray[np.uint8]
"""A frame, RGB, [H, W, 3]."""
Seconds = npt.NDArray[np.float64]
"""Times of frames."""

# Letters of a size that people read in a video are told apart in frames of this size.
_LONGEST_SIDE = 1280
# Frames in memory at once.
_FRAMES_AT_ONCE = 8
# A frame is read anew if the mean of any square of so many pixels differs by so many levels from the last one read.
_SQUARE = 16
_SAME_LEVELS = 4.0


class ScreenTextReader:
    """Recognises text in frames, one every so often; a line that stays over several of them is one stretch.

    Lines that come and go together are one passage, so a slide is. A frame that looks like the one before is not read
    again.

    Args:
        every: seconds between two frames that are looked at.
        least_score: lines of which the recogniser is less sure are left out; from 0 to 1.

    Raises:
        MissingExtraError: rapidocr or onnxruntime is not installed.
        ValueError: a number is out of range.
    """

    source: Literal["screen_text"] = "screen_text"

    def __init__(self, *, every: float = 1.0, least_score: float = 0.7) -> None:
        if not every > 0 or not 0 <= least_score <= 1:
            raise ValueError(f"every must be above 0 and least_score from 0 to 1, got {every} and {least_score}")
        # rapidocr looks for onnxruntime late, and by itself installs none.
        for package in ("rapidocr", "onnxruntime"):
            if find_spec(package) is None:
                raise MissingExtraError(
                    f"reading text on the screen needs the package {package}, which is not installed: "
                    "pip install 'video-colbert[screen-text]'"
                )
        self._recognise: RapidOCR | None = None
        self.every = every
        self.least_score = least_score

    def __getstate__(self) -> dict[str, Any]:
        # Other processes load models of their own: what is loaded does not travel.
        return {**self.__dict__, "_recognise": None}

    def settings_of(self, path: str) -> str:
        """As `PassageReader.settings_of`."""
        return f"screen_text 1 rapidocr {metadata.version('rapidocr')} every={self.every} score={self.least_score}"

    def load(self, threads: int = 0) -> None:
        """Loads the models.

        Args:
            threads: processor threads; 0 for as many as there are cores.
        """
        self._loaded(threads)

    def _loaded(self, threads: int) -> RapidOCR:
        from rapidocr import RapidOCR

        self._recognise = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.text_score": self.least_score,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads or -1,
            }
        )
        return self._recognise

    def read(self, path: str, progress: Callable[[float], None] | None = None) -> ReadPassages:
        """Recognises the text in a file's frames.

        Args:
            path: of a local video file.
            progress: called with the seconds that are read.
        """
        recognise = self._recognise or self._loaded(0)
        tracker = LineTracker(step=self.every)
        duration: float | None = None
        try:
            with OpenVideoFile(path, path) as video:
                frames, duration = self._frames_of(video)
                self._follow(recognise, tracker, video, frames, progress)
        except VideoDecodingError as error:
            return ReadPassages(tracker.passages(tracker.last_second + self.every), error.reason)
        return ReadPassages(tracker.passages(duration))

    def _frames_of(self, video: OpenVideoFile) -> tuple[npt.NDArray[np.int64], float]:
        """Which frames are looked at, and the duration of the video."""
        found = []

        def choose(times: Seconds, duration: float) -> npt.NDArray[np.int64]:
            found.append(_frames_on_show(times, duration, self.every))
            return found[0][:1]

        duration = video.decode(choose, prepare=_smaller).duration
        return found[0], duration

    def _follow(
        self,
        recognise: RapidOCR,
        tracker: LineTracker,
        video: OpenVideoFile,
        frames: npt.NDArray[np.int64],
        progress: Callable[[float], None] | None,
    ) -> None:
        seen: npt.NDArray[np.float32] | None = None
        for first in range(0, len(frames), _FRAMES_AT_ONCE):
            part = frames[first : first + _FRAMES_AT_ONCE]
            decoded = video.decode(_chooser_of(part), prepare=_smaller)
            for second, picture in zip(decoded.times.tolist(), decoded.frames, strict=True):
                squares = _squares(picture)
                if seen is None or squares.shape != seen.shape or np.abs(squares - seen).max() >= _SAME_LEVELS:
                    tracker.show(second, self._lines(recognise, picture))
                    seen = squares
                else:
                    tracker.stay(second)
                if progress is not None:
                    progress(second)

    def _lines(self, recognise: RapidOCR, picture: Picture) -> list[ScreenLine]:
        """The lines of a frame, from the top down."""
        found = recognise(np.ascontiguousarray(picture[:, :, ::-1]))
        lines: list[ScreenLine] = []
        if found.txts is None or found.scores is None or found.boxes is None:
            return lines
        for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True):
            line = one_line(text)
            if score >= self.least_score and sum(map(str.isalnum, line)) > 1:
                left, top = np.asarray(box).min(axis=0).tolist()
                lines.append(ScreenLine(line, float(score), top, left))
        return sorted(lines, key=lambda line: (line.top, line.left))


def _frames_on_show(times: Seconds, duration: float, every: float) -> npt.NDArray[np.int64]:
    """The frames that are on show at the first moment and every so often from then on, int64 [frames].

    Args:
        times: of all frames, increasing.
        duration: of the video.
        every: seconds.
    """
    moments = np.arange(times[0], max(duration, times[0] + every / 2), every)
    return np.unique(np.searchsorted(times, moments, side="right") - 1)


def _chooser_of(frames: npt.NDArray[np.int64]) -> FrameChooser:
    return lambda _times, _duration: frames


def _smaller(frame: Picture) -> Picture:
    longest = max(frame.shape[:2])
    if longest <= _LONGEST_SIDE:
        return frame
    height, width = (max(round(side * _LONGEST_SIDE / longest), 1) for side in frame.shape[:2])
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))


def _squares(picture: Picture) -> npt.NDArray[np.float32]:
    """The mean brightness of squares of pixels, [h, w]."""
    height, width = (side // _SQUARE * _SQUARE for side in picture.shape[:2])
    grey: npt.NDArray[np.float32] = picture.mean(axis=2, dtype=np.float32)
    if not height or not width:
        return grey
    squares = grey[:height, :width].reshape(height // _SQUARE, _SQUARE, width // _SQUARE, _SQUARE)
    means: npt.NDArray[np.float32] = squares.mean(axis=(1, 3))
    return means
