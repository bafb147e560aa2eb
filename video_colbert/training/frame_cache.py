"""A directory of decoded frames, so that a video is decoded once and not once an epoch."""

import contextlib
import hashlib
import json
import logging
import multiprocessing
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from processing import DecodedVideo

logger = logging.getLogger(__name__)

_EDGE_BYTES = 65536
# Of an .npz file with three arrays, beside the arrays.
_FILE_OVERHEAD = 2048


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
            A hexadecimal digest.
        """
        digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=20)
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

    def get(self, key: str) -> DecodedVideo | None:
        """Returns the frames stored under a key; None if there are none or their file is damaged."""
        path = self.directory / f"{key}.npz"
        try:
            with np.load(path, allow_pickle=False) as stored:
                return DecodedVideo(stored["frames"], stored["timestamps"], float(stored["duration"]))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
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
        size = video.frames.nbytes + video.timestamps.nbytes + _FILE_OVERHEAD
        with self._room.get_lock():
            if size > self._room.value:
                return False
            self._room.value -= size
        try:
            # Somebody may have deleted it.
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".tmp", delete=False) as file:
                np.savez(file, frames=video.frames, timestamps=video.timestamps, duration=np.float64(video.duration))
            Path(file.name).replace(self.directory / f"{key}.npz")
        except OSError as error:
            logger.warning("Frames cannot be stored in %s: %s", self.directory, error)
            return False
        return True


def _directory_size(directory: Path) -> int:
    """Adds up the files, what an interrupted run left half written included; some may vanish meanwhile."""
    size = 0
    for file in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):
            size += file.stat().st_size
    return size


__all__ = ["FrameCache"]
