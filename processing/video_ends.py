"""Whether the end of a video file is there: what its header declares, and what its own structure says."""

import io
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

# A file that ends this much before the length its header declares has lost its end.
_MISSING_SECONDS = 1.0
_MISSING_SHARE = 0.05

_EBML_HEADER = 0x1A45DFA3
_SEGMENT = 0x18538067


def missing_end(
    file: str | BinaryIO, container: InputContainer, stream: VideoStream, reached: float, stopped: bool
) -> str | None:
    """Says what is missing at the end of a file.

    A declared length that the packets do not reach is not enough where a last picture may stay on (Matroska, FLV):
    there the structure of the file has to be cut short too.

    Args:
        file: A local path, or a seekable binary file.
        container: The file, opened.
        stream: Its video stream.
        reached: Seconds on the file's own clock at which the last packet ends.
        stopped: Whether FFmpeg stopped reading at content that makes no sense.

    Returns:
        What is wrong, or `None` where nothing is known to be missing.
    """
    declared = declared_end(container)
    if container.format.name == "avi":
        # FFmpeg works out a truncated file's duration anew from its size; the header's count stands.
        declared = stream.frames * float(stream.time_base) if stream.frames and stream.time_base else None
    elif declared is not None:
        declared = declared if stopped or _is_cut_short(file) else None
    elif stopped and container.duration is not None:
        declared = container.duration / av.time_base
    if declared is None or reached >= declared - max(_MISSING_SECONDS, _MISSING_SHARE * declared):
        return None
    return f"is truncated: its video ends at {reached:.1f} s of the {declared:.1f} s that it declares"


def declared_end(container: InputContainer) -> float | None:
    """Seconds on the file's own clock at which its header says that it ends; `None` where it says nothing certain."""
    if container.duration is not None and container.format.name.split(",")[0] in ("matroska", "flv"):
        return container.duration / av.time_base
    return None


def _is_cut_short(file: str | BinaryIO) -> bool:
    if isinstance(file, str):
        with Path(file).open("rb") as opened:
            return _is_cut_short(opened)
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    is_flv = file.read(3) == b"FLV"
    return _ends_within_flv_tag(file, size) if is_flv else _ends_within_segment(file, size)


def _ends_within_flv_tag(file: BinaryIO, size: int) -> bool:
    """Each tag is followed by its size, and begins with its type and the size of its data."""
    if size < 24:
        return True
    file.seek(size - 4)
    tag_size = int.from_bytes(file.read(4), "big")
    if not 11 <= tag_size <= size - 17:
        return True
    file.seek(size - 4 - tag_size)
    tag = file.read(4)
    return int.from_bytes(tag[1:], "big") + 11 != tag_size


def _ends_within_segment(file: BinaryIO, size: int) -> bool:
    """Matroska's one segment holds all the rest and says how long it is, unless it was written as a live stream.

    Source: RFC 8794 (EBML), section 4, and RFC 9559 (Matroska), section 5.1.
    """
    offset = 0
    for _ in range(8):
        file.seek(offset)
        element = file.read(12)
        id_length = _vint_length(element[:1])
        length = _vint_length(element[id_length : id_length + 1])
        if not id_length or not length:
            return False
        identifier = int.from_bytes(element[:id_length], "big")
        bits = 7 * length
        content = int.from_bytes(element[id_length : id_length + length], "big") & ((1 << bits) - 1)
        end = offset + id_length + length + content
        if identifier == _SEGMENT:
            is_unknown = content == (1 << bits) - 1
            return not is_unknown and end > size
        if offset == 0 and identifier != _EBML_HEADER:
            return False
        offset = end
    return False


def _vint_length(first: bytes) -> int:
    """How many bytes a number of variable length takes, by its first; 0 where it is none."""
    return 9 - first[0].bit_length() if first and first[0] else 0
