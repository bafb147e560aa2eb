"""The memory of bad files: which contents a run need not decode again, and which of them it found good or gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from video_colbert.encoding.encoded import BadVideo
from video_colbert.encoding.media_files import is_gone
from video_colbert.index.index_notes import BadFile
from video_colbert.index.ingest.events import Bad, Encoded, FileContent, IngestEvent, KnownBad, StaysBad
from video_colbert.index.windows import Window


class KnownBadFiles:
    """What a run is not to try again.

    Args:
        files: by digest.
    """

    def __init__(self, files: Mapping[str, BadFile]) -> None:
        self._files = files

    def as_a_whole(self, path: str, digest: str) -> KnownBad | None:
        """The event of a file of which nothing can be used; None for any other file."""
        known = self._files.get(digest)
        if known is None or known.windows:
            return None
        return KnownBad(path, digest, BadVideo(path, known.reason))

    def windows(self, digest: str) -> tuple[Window, ...]:
        """The bad windows of a content of which others are good."""
        return self._files[digest].windows if digest in self._files else ()

    def in_windows(self, content: FileContent) -> KnownBad:
        """The event of a file with such windows."""
        known = self._files[content.digest]
        number = "one of its windows" if len(known.windows) == 1 else f"{len(known.windows)} of its windows"
        return KnownBad(content.path, content.digest, BadVideo(content.path, f"{number}: {known.reason}"))


class BadMemory:
    """Follows the events of a run and says what is to be remembered after it.

    Args:
        remembered: what earlier runs found.

    Attributes:
        files: by digest, what is remembered.
    """

    def __init__(self, remembered: Iterable[BadFile]) -> None:
        self.files: Mapping[str, BadFile] = {file.digest: file for file in remembered}
        self._found: dict[str, BadFile] = {}
        self._encoded: dict[str, set[Window]] = {}
        # What each file was seen to hold, and where each content was seen last.
        self._contents: dict[str, str] = {}
        self._places: dict[str, str] = {}

    def take(self, event: IngestEvent) -> None:
        """Takes an event."""
        if isinstance(event, StaysBad):
            self._found[event.file.digest] = event.file
            self._see(event.file.path, event.file.digest)
        elif isinstance(event, KnownBad):
            self._see(event.path, event.digest)
        elif not isinstance(event, Bad):
            self._see(event.file.path, event.file.digest)
            if isinstance(event, Encoded):
                clip = event.video.clip
                self._encoded.setdefault(event.file.digest, set()).add((clip.start, clip.end))

    def remaining(self, noted: Iterable[BadFile] = ()) -> tuple[BadFile, ...]:
        """What is to be remembered, after what was seen so far.

        Args:
            noted: what is remembered by now; what another run noted meanwhile stays.
        """
        own = {**self.files, **self._found}
        files = [file for digest in own if (file := self._remaining(digest)) is not None]
        return (*files, *(file for file in noted if file.digest not in own and file.digest not in self._encoded))

    def _remaining(self, digest: str) -> BadFile | None:
        known, found, encoded = self.files.get(digest), self._found.get(digest), self._encoded.get(digest, set())
        file = found or known
        if file is None or (found is None and not self._is_as_it_was(file)):
            return None
        path = self._places.get(digest, file.path)
        if not file.windows:
            return None if encoded else replace(file, path=path)
        earlier = () if known is None else known.windows
        windows = tuple(dict.fromkeys(window for window in (*earlier, *file.windows) if window not in encoded))
        return replace(file, path=path, windows=windows) if windows else None

    def _see(self, path: str, digest: str) -> None:
        self._contents[path] = digest
        self._places[digest] = path

    def _is_as_it_was(self, file: BadFile) -> bool:
        """Whether a file that an earlier run found bad is there, with the same content as far as this run knows."""
        if file.digest in self._places:
            return True
        return self._contents.get(file.path, file.digest) == file.digest and not is_gone(file.path)
