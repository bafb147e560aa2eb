"""Where the video of a data set's row is: in the row, in the data set, or in a folder that the user names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from video_colbert.dataset_builders.video_files import VIDEO_EXTENSIONS, find_videos, user_path
from video_colbert.errors import DatasetError

Video = Mapping[str, Any]
"""A video as data sets hold it, `{"path": ..., "bytes": ...}`."""


def content_name(video: Video | str) -> str:
    """A name for a row's video: of its content, which the same bytes have anywhere, or else its path.

    Args:
        video: What the row holds.
    """
    held: Video = {"path": video} if isinstance(video, str) else video
    content, path = held.get("bytes"), held.get("path")
    if content is None:
        return str(path)
    suffix = PurePosixPath(path or "").suffix.lower()
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    return digest + (suffix if suffix in VIDEO_EXTENSIONS else "")


class RowVideos:
    """Finds the video of each row, and never opens what a row of others names on this machine or elsewhere.

    Args:
        name: Of the data set, for errors.
        kept: Folder that content of rows is written to; made when it is needed.
        are_of_builder: Whether paths are those of the data set's own files, as the layout `videofolder` gives them.
        video_dir: Folder of the videos that rows name and do not hold.
    """

    def __init__(
        self, name: str, kept: Path, *, are_of_builder: bool, video_dir: str | os.PathLike[str] | None = None
    ) -> None:
        self.name = name
        self.kept = kept
        self.are_of_builder = are_of_builder
        self.video_dir = None if video_dir is None else user_path(video_dir).absolute()
        self.missing: dict[str, None] = {}
        self._by_name: dict[str, Path] | None = None

    def find(self, video: Video | str | None) -> dict[str, Any] | None:
        """Where a row's video is, `{"path", "bytes": None}`.

        Args:
            video: What the row holds.

        Returns:
            A file here or, of a data set that is streamed, its address on the Hub. None where the row holds none, or
            the folder has no such file; its name is then in `missing`.

        Raises:
            DatasetError: The row names a file outside the data set, or a file of a folder that was not given.
            OSError: Its content cannot be written.
        """
        held: Video = {"path": video} if isinstance(video, str) else video or {}
        content, path = held.get("bytes"), held.get("path")
        if content is not None:
            return {"path": str(self._written(content, content_name(held))), "bytes": None}
        if path is None:
            return None
        if self.are_of_builder:
            return {"path": path, "bytes": None}
        relative = PurePosixPath(path)
        if relative.is_absolute() or ".." in relative.parts or "://" in path or "\\" in path:
            raise DatasetError(
                f"a row of the data set {self.name} names the video {path}; it may name files below a folder, or hold "
                "their content"
            )
        if self.video_dir is None:
            raise DatasetError(
                f"the data set {self.name} does not hold its videos, such as {path}; say with --data-dir (data_dir "
                "in Python) which folder holds them"
            )
        found = self._in_folder(self.video_dir, relative)
        if found is None:
            self.missing[path] = None
            return None
        return {"path": str(found), "bytes": None}

    def _in_folder(self, folder: Path, relative: PurePosixPath) -> Path | None:
        """The file at a path below the folder, or else of its name at any depth."""
        if (folder / relative).is_file():
            return folder / relative
        if self._by_name is None:
            self._by_name = {path.name: path for path in reversed(find_videos(folder))}
        return self._by_name.get(relative.name)

    def _written(self, content: bytes, name: str) -> Path:
        """The file with the content of a row, which is named after it, so that no content is written twice."""
        file = self.kept / name
        if not file.is_file():
            self.kept.mkdir(parents=True, exist_ok=True)
            unfinished = self.kept / f".{name}.{os.getpid()}.unfinished"
            try:
                unfinished.write_bytes(content)
                unfinished.replace(file)
            finally:
                unfinished.unlink(missing_ok=True)
        return file


__all__ = ["RowVideos", "content_name"]
