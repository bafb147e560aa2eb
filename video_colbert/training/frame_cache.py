"""A directory of decoded frames, so that a video is decoded once and not once an epoch.

A file holds, in little-endian order, a magic number, the frames' number, height and width and the video's duration,
then the timestamps, the frames with their channels first, as the model takes them, and a CRC-32 of it all. It is
mapped into memory rather than read, so a batch is made by one copy.
"""

import contextlib
import hashlib
import json
import logging
import mmap
import multiprocessing
import os
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from video_colbert.processing import DecodedVideo

logger = logging.getLogger(__name__)

_EDGE_BYTES = 65536
_MAGIC = b"VCFRAME1"
_HEADER = struct.Struct("<8sIIId")
_CHECKSUM = struct.Struct("<I")


class FrameCache:
    """Decoded uint8 frames on disk, one file a clip, named by what they were made from.

    Safe to delete at any time and to share between runs. Once it is full, nothing more is added and videos are
    decoded as without it.

    Args:
        directory: Created if absent.
        max_bytes: Its largest size.
        num_processes: Processes that fill it at a time, each with workers of its own; they share the room.
    """

    def __init__(self, directory: Path, max_bytes: int, num_processes: int = 1) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        # Shared with the workers, which are started by this process.
        self._room = multiprocessing.Value("q", (max_bytes - _directory_size(directory)) // num_processes)

    @staticmethod
    def key(source: dict[str, Any], settings: dict[str, Any]) -> str:
        """Names the frames of a video under some settings.

        Args:
            source: `{"path": ..., "bytes": ...}` of a data set row. A file is known by its size, time of change,
                first and last 64 KiB, so that a changed file is decoded again.
            settings: Whatever else decides the frames, in JSON types.

        Returns:
            Two hexadecimal digests: of the video, and of the settings.
        """
        return f"{_digest_of_source(source)}-{_digest_of_settings(settings)}"

    def get(self, key: str) -> DecodedVideo | None:
        """Returns the frames stored under a key; None if there are none or their file is damaged."""
        path = self.directory / f"{key}.frames"
        try:
            with path.open("rb") as file:
                # Private: whoever writes into the frames writes into a copy.
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            return _unpacked(memoryview(content))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            logger.warning("Cached frames %s are damaged and are decoded again: %s", path, error)
            # In a folder that may be read only, it stays.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return None

    def put(self, key: str, video: DecodedVideo) -> bool:
        """Stores frames; a reader sees all of them or none.

        Returns:
            Whether they were stored; not if the cache is full or cannot be written, which is logged.
        """
        size = _HEADER.size + video.timestamps.nbytes + video.frames.nbytes + _CHECKSUM.size
        with self._room.get_lock():
            if size > self._room.value:
                return False
            self._room.value -= size
        try:
            # Somebody may have deleted it.
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".tmp", delete=False) as file:
                checksum = 0
                for part in _parts(video):
                    checksum = zlib.crc32(part, checksum)
                    file.write(part)
                file.write(_CHECKSUM.pack(checksum))
            Path(file.name).replace(self.directory / f"{key}.frames")
        except OSError as error:
            logger.warning("Frames cannot be stored in %s: %s", self.directory, error)
            return False
        return True


def forget_frames(directory: str | os.PathLike[str], file: str | os.PathLike[str]) -> int:
    """Deletes the frames of a video, whatever the settings that they were made with.

    Args:
        directory: Of the cache.
        file: The video's file, as it was when its frames were stored; of one that is gone nothing can be found.

    Returns:
        How many entries were deleted.

    Raises:
        OSError: There is no such directory, or a file cannot be read or deleted.
    """
    if not Path(directory).is_dir():
        raise FileNotFoundError(f"there is no folder {os.fspath(directory)} of cached frames")
    found = list(Path(directory).glob(f"{_digest_of_source({'path': os.fspath(file)})}-*"))
    for entry in found:
        entry.unlink()
    return len(found)


def _digest_of_source(source: dict[str, Any]) -> str:
    digest = hashlib.blake2b(digest_size=20)
    if source.get("bytes") is not None:
        digest.update(source["bytes"])
    elif Path(source["path"]).is_file():
        with Path(source["path"]).open("rb") as file:
            status = os.fstat(file.fileno())
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
            digest.update(file.read(_EDGE_BYTES))
            file.seek(max(status.st_size - _EDGE_BYTES, 0))
            digest.update(file.read(_EDGE_BYTES))
    else:
        # A URL or a folder of frames has no one content to look at.
        digest.update(str(source["path"]).encode())
    return digest.hexdigest()


def _digest_of_settings(settings: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=20).hexdigest()


def _parts(video: DecodedVideo) -> list[bytes]:
    """Returns the parts of a video's file, but for the checksum."""
    num_frames, height, width, _ = video.frames.shape
    return [
        _HEADER.pack(_MAGIC, num_frames, height, width, video.duration),
        video.timestamps.astype("<f8").tobytes(),
        video.frames.transpose(0, 3, 1, 2).tobytes(),
    ]


def _unpacked(content: memoryview) -> DecodedVideo:
    """Views the content of a file as a video.

    Raises:
        ValueError: If it was cut or changed.
    """
    end = len(content) - _CHECKSUM.size
    if end < _HEADER.size or _CHECKSUM.unpack_from(content, end) != (zlib.crc32(content[:end]),):
        raise ValueError("the checksum is not that of the content")
    magic, num_frames, height, width, duration = _HEADER.unpack_from(content)
    if magic != _MAGIC:
        raise ValueError(f"it begins with {magic!r} and not with {_MAGIC!r}")
    timestamps = np.frombuffer(content, "<f8", num_frames, _HEADER.size)
    pixels = np.frombuffer(content[:end], np.uint8, offset=_HEADER.size + timestamps.nbytes)
    frames = pixels.reshape(num_frames, 3, height, width).transpose(0, 2, 3, 1)
    return DecodedVideo(frames, timestamps, duration)


def _directory_size(directory: Path) -> int:
    """Adds up the files, what an interrupted run left half written included; some may vanish meanwhile."""
    size = 0
    for file in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):
            size += file.stat().st_size
    return size


__all__ = ["FrameCache", "forget_frames"]
