"""Where the scenes of a video change, as far as its keyframes show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

    from video_colbert.processing import OpenVideoFile

STAY_SECONDS = 300.0
"""How long a frame stays on show, at least, for the windows that show nothing else to be one window."""

# Width and height of the pictures that are compared.
_WIDTH, _HEIGHT = 32, 24
# Where every frame is a keyframe, two a second are looked at.
_SPACING_SECONDS = 0.5
# So many pixels are decoded at most, those of 20,000 keyframes of 1920x1080: about three minutes of work.
_MAX_PIXELS = 20_000 * 1920 * 1080
_MAX_KEYFRAMES = 20_000
# The farthest that one is shifted against the other; half of each has to lie on the other.
_MOST_DOWN, _MOST_ASIDE = _HEIGHT // 3, _WIDTH // 2
# Of 255.
_COLOURS = 8.0
_PIXEL = 24.0
# Of all pixels.
_CHANGED = 0.38
# By so much exposure changes within a scene: a factor of contrast, and levels of brightness.
_MOST_CONTRAST = 2.0
_MOST_BRIGHTNESS = 60.0

_Picture = npt.NDArray[np.float32]


@dataclass(frozen=True)
class VideoScenes:
    """The length of a video, and where its scenes change.

    Attributes:
        duration: in seconds.
        changes: seconds at which another scene begins, increasing; empty where they were not asked for.
        stays: start and end, in seconds, of the stretches of five minutes and more in which one frame stays on show.
    """

    duration: float
    changes: tuple[float, ...] = ()
    stays: tuple[tuple[float, float], ...] = ()


def find_stays(times: npt.NDArray[np.float64], duration: float) -> tuple[tuple[float, float], ...]:
    """Finds the stretches of five minutes and more in which one frame stays on show.

    A recording whose clock leaps has them, or whose picture ends before its sound.

    Args:
        times: seconds at which each frame appears, increasing.
        duration: of the video, in seconds.

    Returns:
        Start and end of each, in order.

    Example:
        >>> find_stays(np.array([0.0, 0.5, 900.0]), 900.5)
        ((0.5, 900.0),)
    """
    ends = np.append(times[1:], duration)
    return tuple((float(times[row]), float(ends[row])) for row in np.flatnonzero(ends - times >= STAY_SECONDS))


def find_scene_changes(video: OpenVideoFile, duration: float) -> tuple[float, ...]:
    """Finds the keyframes with which another scene begins.

    Each keyframe is compared with the one before it, both shrunk to 32 x 24 pixels of brightness and two differences
    of colours. What exposure and flicker may change within a scene, contrast by a factor of up to 2 and brightness by
    up to 60 of 255 levels, is taken out. The scene changes where

    - more than 38 % of the pixels differ by more than 24 levels, however one picture is shifted against the other by
      up to half its width and a third of its height: things that move do not change as many, and where a camera pans,
      the part that stays fits; and
    - the colours differ, wherever they are: the values of all pixels in increasing order lie more than 8 levels apart.

    Args:
        video: the open video.
        duration: in seconds; of a very long video, or a very large one, not every keyframe is looked at.

    Returns:
        Seconds, increasing, all of them within the video.

    Raises:
        VideoDecodingError: the file cannot be read, or it takes too long.
    """
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    changes: list[float] = []
    width, height = video.size
    most = min(_MAX_KEYFRAMES, _MAX_PIXELS / max(width * height, 1))
    spacing = max(_SPACING_SECONDS, duration / most)
    before: _Picture | None = None
    for time, frame in video.keyframes(spacing):
        picture = _small_picture(reformatter, frame)
        is_later = max([0.0, *changes[-1:]]) < time < duration
        if before is not None and is_later and is_other_scene(before, picture):
            changes.append(time)
        before = picture
    return tuple(changes)


def is_other_scene(before: _Picture, after: _Picture) -> bool:
    """Whether two pictures are of different scenes, by the rule of `find_scene_changes`.

    Args:
        before: float32 [24, 32, 3], RGB from 0 to 255.
        after: likewise.
    """
    before, after = _equally_exposed(_opponent_channels(before), _opponent_channels(after))
    ordered = [np.sort(picture.reshape(-1, 3), axis=0) for picture in (before, after)]
    colours = np.abs(ordered[0] - ordered[1]).mean(axis=0).sum()
    return bool(colours > _COLOURS) and _least_share_changed(before, after) > _CHANGED


def _small_picture(reformatter: VideoReformatter, frame: VideoFrame) -> _Picture:
    from av.video.reformatter import Interpolation

    small = reformatter.reformat(frame, _WIDTH, _HEIGHT, format="rgb24", interpolation=Interpolation.AREA, threads=1)
    return small.to_ndarray().astype(np.float32)


def _opponent_channels(picture: _Picture) -> _Picture:
    """[24, 32, 3]: brightness, red against green, blue against both."""
    red, green, blue = np.moveaxis(picture, -1, 0)
    return np.stack([0.299 * red + 0.587 * green + 0.114 * blue, red - green, blue - (red + green) / 2], axis=-1)


def _equally_exposed(before: _Picture, after: _Picture) -> tuple[_Picture, _Picture]:
    """The pictures with the contrast of the flatter one and the brightness of the first, as far as one scene goes."""
    # A little is added to the contrast, of which a picture of one colour has none.
    contrast = (before[..., 0].std() + 4) / (after[..., 0].std() + 4)
    contrast = float(np.clip(contrast, 1 / _MOST_CONTRAST, _MOST_CONTRAST))
    before, after = before / max(contrast, 1.0), after * min(contrast, 1.0)
    brightness = before[..., 0].mean() - after[..., 0].mean()
    after[..., 0] += np.clip(brightness, -_MOST_BRIGHTNESS, _MOST_BRIGHTNESS)
    return before, after


def _least_share_changed(before: _Picture, after: _Picture) -> float:
    """The share of pixels that differ where the pictures lie on each other, at the shift at which it is least."""
    before, after = np.moveaxis(before, -1, 0), np.moveaxis(after, -1, 0)
    here = np.abs(before - after).max(axis=0) > _PIXEL
    if here.mean() <= _CHANGED:
        return float(here.mean())
    # What lies on nothing differs from it, and is taken off again.
    around = np.full((3, _HEIGHT + 2 * _MOST_DOWN, _WIDTH + 2 * _MOST_ASIDE), 1e4, dtype=np.float32)
    around[:, _MOST_DOWN:-_MOST_DOWN, _MOST_ASIDE:-_MOST_ASIDE] = before
    shifted = np.lib.stride_tricks.sliding_window_view(around, (_HEIGHT, _WIDTH), axis=(1, 2))
    differs = np.zeros(shifted.shape[1:], dtype=bool)
    for channel in range(3):
        differs |= np.abs(shifted[channel] - after[channel]) > _PIXEL
    rows = _HEIGHT - np.abs(np.arange(-_MOST_DOWN, _MOST_DOWN + 1))
    columns = _WIDTH - np.abs(np.arange(-_MOST_ASIDE, _MOST_ASIDE + 1))
    pixels = rows[:, None] * columns
    shares = (differs.sum(axis=(2, 3)) - (_HEIGHT * _WIDTH - pixels)) / pixels
    return float(shares[2 * pixels >= _HEIGHT * _WIDTH].min())
