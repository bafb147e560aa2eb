"""Archives in several files: which files are parts of one archive, and all of them read as one file."""

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO

# name.tar.part-000, name.tar.gz.part_aa, name.zip.001: the archive's name and the part's place.
_PART = re.compile(
    r"(?P<archive>.+\.(?:tar|tgz|tar\.gz|zip))\.(?:part[-_.]?(?P<named>[0-9a-z]+)|(?P<numbered>[0-9]{2,}))",
    re.IGNORECASE,
)


class JoinedParts(io.RawIOBase):
    """Several files read as one, without copying them together.

    Args:
        parts: The files in order.
    """

    def __init__(self, parts: Sequence[Path]) -> None:
        super().__init__()
        self._parts = [(path, path.stat().st_size) for path in parts]
        self._size = sum(size for _, size in self._parts)
        self._position = 0
        self._open_index = -1
        self._open_file: IO[bytes] | None = None

    def readable(self) -> bool:
        """Says that the file can be read."""
        return True

    def seekable(self) -> bool:
        """Says that the file has positions."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a position in the whole."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        """The position in the whole."""
        return self._position

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override] # the stub says Buffer
        """Reads from one part at most; a buffered reader asks again."""
        start = 0
        for index, (path, size) in enumerate(self._parts):
            if self._position < start + size:
                if index != self._open_index:
                    self._close_part()
                    self._open_file, self._open_index = path.open("rb"), index
                assert self._open_file is not None  # noqa: S101 - opened above
                self._open_file.seek(self._position - start)
                data = self._open_file.read(min(len(buffer), start + size - self._position))
                buffer[: len(data)] = data
                self._position += len(data)
                return len(data)
            start += size
        return 0

    def close(self) -> None:
        """Closes the part that is open."""
        self._close_part()
        super().close()

    def _close_part(self) -> None:
        if self._open_file is not None:
            self._open_file.close()
            self._open_file, self._open_index = None, -1


def group_parts(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Finds out which files are parts of one archive.

    Args:
        files: Archives and parts of archives.

    Returns:
        The files of each archive in order, under the archive's name.
    """
    groups: dict[str, list[tuple[int, str, Path]]] = {}
    for file in files:
        match = _PART.fullmatch(file.name)
        place = (match["named"] or match["numbered"]) if match else ""
        # Longer places come later: part 10 follows part 9.
        groups.setdefault(match["archive"] if match else file.name, []).append((len(place), place, file))
    return {name: [file for _, _, file in sorted(group)] for name, group in sorted(groups.items())}
