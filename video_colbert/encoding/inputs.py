"""What users give: one text or video where a list of them is meant, and what is right where something else comes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from video_colbert.encoding.encoded import EncodedVideo, VideoClip


def as_list(given: Any, kinds: tuple[type[Any], ...], argument: str, right: str) -> list[Any]:
    """One value or several as a list, every one of which is of a kind.

    Args:
        given: a value, or an iterable of values.
        kinds: what a value may be.
        argument: name of the argument, for messages.
        right: what a value may be, in words.

    Raises:
        TypeError: it is neither; the message says what would be right.
    """
    if isinstance(given, kinds):
        return [given]
    if not isinstance(given, Iterable) or isinstance(given, bytes | Mapping):
        raise TypeError(f"{argument} must be {right} or a list of them, not {type(given).__name__}")
    values = list(given)
    for value in values:
        if not isinstance(value, kinds):
            raise TypeError(f"{argument} must be {right} or a list of them; the list holds a {type(value).__name__}")
    return values


def as_texts(given: Any, argument: str = "texts") -> list[str]:
    """One text or several as a list.

    Raises:
        TypeError: as `as_list`.
    """
    return as_list(given, (str,), argument, "a text")


def as_clips(given: Any) -> Iterator[VideoClip]:
    """Videos as clips, one by one as they are wanted.

    Args:
        given: a `VideoClip`, or anything that the processor decodes (a path, a URL, bytes, a file, an array of frames
            [T, H, W, 3], a row of a data set, a decoder of `datasets.Video()`); or an iterable of them.

    Raises:
        TypeError: it is none of these.
    """
    yield from (_as_clip(video) for video in as_videos(given))


def as_videos(given: Any) -> Iterable[Any]:
    """One video, in whatever form, or several as an iterable."""
    is_one = isinstance(given, VideoClip | EncodedVideo) or _is_source(given) or _is_decoder(given)
    if is_one:
        return [given]
    if isinstance(given, Iterable):
        return given
    raise TypeError(f"videos must be {_RIGHT_VIDEOS}, or a list of them, not {type(given).__name__}")


_RIGHT_VIDEOS = "a path, URL, VideoClip, bytes, binary file, decoder or array of frames"


def _as_clip(video: Any) -> VideoClip:
    if isinstance(video, VideoClip):
        return video
    if _is_decoder(video):
        from video_colbert.processing.video_sources import encoded_row

        return VideoClip(encoded_row(video) or video)
    if not _is_source(video):
        raise TypeError(f"videos must be {_RIGHT_VIDEOS}, or a list of them; the list holds a {type(video).__name__}")
    return VideoClip(video)


def _is_decoder(video: Any) -> bool:
    from video_colbert.processing.video_sources import is_decoder

    return is_decoder(video)


def _is_source(video: Any) -> bool:
    if isinstance(video, str | os.PathLike | bytes | Mapping) or hasattr(video, "read"):
        return True
    import numpy as np
    from torch import Tensor

    return isinstance(video, np.ndarray | Tensor) and video.ndim <= 4
