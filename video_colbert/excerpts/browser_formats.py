"""Which files every browser plays as they are."""

from __future__ import annotations

import os
from pathlib import Path

_MP4_PICTURES = frozenset({"h264"})
_MP4_SOUND = frozenset({"aac", "mp3"})
_WEBM_PICTURES = frozenset({"vp8", "vp9", "av1"})
_WEBM_SOUND = frozenset({"opus", "vorbis"})
# Of H.264, what has four times the colours or more bits plays nowhere.
_PIXELS = frozenset({"yuv420p", "yuvj420p"})
# The type of document is among the first bytes of a Matroska file.
_HEADER_BYTES = 64


def browser_plays(source: str | os.PathLike[str]) -> bool:
    """Whether every browser of today plays a file: mp4 of H.264 with AAC or MP3, and webm of VP8, VP9 or AV1.

    Reads the header alone.

    Args:
        source: path of the file; what is no video that is read here does not play.

    Example:
        >>> browser_plays("a.mp4"), browser_plays("none.mp4")
        (True, False)
    """
    from video_colbert.excerpts.codec_names import codec_name
    from video_colbert.processing.video_containers import main_video_stream, open_container
    from video_colbert.processing.video_sources import VideoDecodingError, open_source

    name = os.fspath(source)
    try:
        with open_source(name) as file, open_container(file, name) as container:
            pictures = main_video_stream(container, name).codec_context
            kinds = set(container.format.name.split(","))
            sounds = {codec_name(each.codec_context) for each in container.streams.audio if each.codec_context}
            codec = codec_name(pictures)
            brand = container.metadata.get("major_brand", "")
            pixels = pictures.pix_fmt
    except (VideoDecodingError, OSError, ValueError):
        return False
    if "mp4" in kinds:
        return not brand.startswith("qt") and codec in _MP4_PICTURES and pixels in _PIXELS and sounds <= _MP4_SOUND
    return "webm" in kinds and _is_webm(Path(name)) and codec in _WEBM_PICTURES and sounds <= _WEBM_SOUND


def _is_webm(path: Path) -> bool:
    with path.open("rb") as file:
        return b"webm" in file.read(_HEADER_BYTES)
