"""A folder of excerpts and pictures, each made once and kept while there is room."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from video_colbert.errors import ExcerptError
from video_colbert.excerpts.excerpts import (
    DEFAULT_TIME_LIMIT,
    UNFINISHED,
    cut_video,
    frame_picture,
    playable_excerpt,
)


@dataclass
class _Work:
    """One file that is being made, and who waits for it."""

    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


class ExcerptCache:
    """A folder of excerpts and pictures, each made once and kept while there is room.

    What was not used longest leaves. Whoever asks for what is being made waits for that work; others wait for a place.
    A video that was changed is another. Used by any number of threads; by one process at a time.

    Args:
        folder: made if need be; nothing else may be in it.
        max_bytes: what the files together may take; the one that was made last stays.
        works: files that are made at once.
        time_limit: seconds after which making one is given up.

    Raises:
        ValueError: a number below 1.

    Example:
        >>> cache = ExcerptCache("excerpts", max_bytes=2**30)
        >>> first = cache.excerpt("a.mp4", 0.0, 1.0)
        >>> cache.excerpt("a.mp4", 0.0, 1.0) == first
        True
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        max_bytes: int,
        *,
        works: int = 2,
        time_limit: float = DEFAULT_TIME_LIMIT,
    ) -> None:
        if max_bytes < 1 or works < 1:
            raise ValueError(f"max_bytes and works must be at least 1, got {max_bytes} and {works}")
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._time_limit = time_limit
        self._places = threading.BoundedSemaphore(works)
        self._lock = threading.Lock()
        self._in_work: dict[Path, _Work] = {}
        # What a process that was killed has left.
        for left in self._folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)

    def excerpt(self, source: str | os.PathLike[str], start: float, end: float, *, max_height: int = 720) -> Path:
        """An excerpt as `playable_excerpt` makes it; the errors are its."""

        def make(file: Path) -> None:
            playable_excerpt(source, start, end, file, max_height=max_height, time_limit=self._time_limit)

        return self._file(("excerpt", _state(source), f"{start:.3f}", f"{end:.3f}", str(max_height)), ".mp4", make)

    def cut(self, source: str | os.PathLike[str], start: float, end: float, *, exact: bool = False) -> Path:
        """A stretch as `cut_video` cuts it, in a container that takes the video's packets; the errors are its."""
        suffix = cut_suffix(source, exact=exact)

        def make(file: Path) -> None:
            cut_video(source, start, end, file, exact=exact, time_limit=self._time_limit)

        return self._file(("cut", _state(source), f"{start:.3f}", f"{end:.3f}", str(exact)), suffix, make)

    def picture(self, source: str | os.PathLike[str], second: float, height: int) -> Path:
        """A picture as `frame_picture` makes it; the errors are its."""

        def make(file: Path) -> None:
            unfinished = file.with_suffix(".unfinished")
            unfinished.write_bytes(frame_picture(source, second, height, time_limit=self._time_limit))
            unfinished.replace(file)

        return self._file(("picture", _state(source), f"{second:.3f}", str(height)), ".jpg", make)

    def _file(self, key: tuple[str, ...], suffix: str, make: Callable[[Path], None]) -> Path:
        """The file of a key, made if need be."""
        digest = hashlib.sha256("\0".join(key).encode("utf-8", "surrogateescape")).hexdigest()
        file = self._folder / f"{digest[:32]}{suffix}"
        while True:
            with self._lock:
                with contextlib.suppress(OSError):
                    # When it was used last.
                    os.utime(file)
                    return file
                work = self._in_work.get(file)
                is_own = work is None
                if work is None:
                    work = self._in_work[file] = _Work()
            if is_own:
                return self._make(file, work, make)
            work.done.wait()
            if work.error is not None:
                raise work.error

    def _make(self, file: Path, work: _Work, make: Callable[[Path], None]) -> Path:
        try:
            with self._places:
                self._folder.mkdir(parents=True, exist_ok=True)
                make(file)
        except Exception as error:
            work.error = error
            raise
        finally:
            with self._lock:
                del self._in_work[file]
                self._make_room(file)
            work.done.set()
        return file

    def _make_room(self, kept: Path) -> None:
        """Removes what was not used longest, until the rest fits."""
        files = []
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                if entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        files.append((status.st_mtime_ns, status.st_size, Path(entry.path)))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self._max_bytes:
                return
            if path != kept:
                path.unlink(missing_ok=True)
                total -= size


def cut_suffix(source: str | os.PathLike[str], *, exact: bool) -> str:
    """The ending of a file that a cut of a video is written to, so that its packets can be copied if they can at all.

    Args:
        source: path of the video.
        exact: whether it is encoded again.
    """
    own = Path(source).suffix.lower()
    # Matroska takes what has to be encoded again, too, and webm does not.
    return {".mp4": own, ".m4v": own, ".mov": own, ".mkv": own, ".webm": ".mkv"}.get("" if exact else own, ".mp4")


def _state(source: str | os.PathLike[str]) -> str:
    """A file as it is now.

    Raises:
        ExcerptError: it cannot be looked at.
    """
    name = os.fspath(source)
    try:
        status = Path(name).stat()
    except (OSError, ValueError) as error:
        raise ExcerptError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return f"{name}\0{status.st_size}\0{status.st_mtime_ns}"
