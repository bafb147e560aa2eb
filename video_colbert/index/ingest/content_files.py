"""The contents of which passages are read: which of a content's files is read, and what columns describe it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from video_colbert.encoding.encoded import BadVideo
from video_colbert.encoding.media_files import is_remote, public_name
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.ingest.reading_tasks.reading_process import FileState
from video_colbert.index.video_index import VideoIndex
from video_colbert.text.passages import BesideReader, PassageReader, one_line


@dataclass(frozen=True)
class ReadContent:
    """A content whose file can be read.

    Attributes:
        video: what the index knows of it, with the file that is read.
        copies: further files of the same content.
        described: what columns of its metadata say of it, each text once.
    """

    video: IndexedVideo
    copies: tuple[str, ...] = ()
    described: tuple[str, ...] = ()

    def file_for(self, reader: PassageReader) -> tuple[str, FileState]:
        """The file that a reader is given, and what it was when it had the content.

        A file that lies beside a copy alone is read there.
        """
        facts = self.video.facts
        if isinstance(reader, BesideReader) and not reader.has_file_beside(self.video.path):
            # Of a copy, the index knows no time.
            of_copy = FileState(facts.size, None)
            for copy in self.copies:
                if reader.has_file_beside(copy) and _is_as(copy, of_copy):
                    return copy, of_copy
        return self.video.path, FileState(facts.size, facts.modified)

    def settings_for(self, reader: PassageReader) -> str:
        """A reader's settings for the content; another description is another reading."""
        settings = reader.settings_of(self.file_for(reader)[0])
        if reader.source != "description" or not self.described:
            return settings
        return f"{settings} {descriptions_digest(self.described)}"


def contents_to_read(
    videos: Sequence[IndexedVideo], files: Iterable[str | os.PathLike[str]], columns: Sequence[str]
) -> tuple[dict[str, ReadContent], list[BadVideo]]:
    """The contents of files.

    Args:
        videos: what is known of them; of one content, the first that is among the files is read.
        files: paths.
        columns: of the metadata, those that are descriptions.

    Returns:
        The contents by digest, and files of which nothing can be read.
    """
    given = {public_name(os.fspath(file)) for file in files}
    contents: dict[str, ReadContent] = {}
    bad = []
    for video in videos:
        if video.path not in given:
            continue
        if is_remote(video.path):
            if video.digest not in contents:
                bad.append(BadVideo(video.path, "text is read of files of this machine only, not of an address"))
            continue
        known = contents.setdefault(video.digest, ReadContent(video))
        copies = [path for path in (video.path, *video.copies) if path != known.video.path and not is_remote(path)]
        contents[video.digest] = replace(
            known,
            copies=tuple(dict.fromkeys((*known.copies, *copies))),
            described=known.described or descriptions_of(video, columns),
        )
    return contents, bad


def descriptions_of(video: IndexedVideo, columns: Sequence[str]) -> tuple[str, ...]:
    """What columns of a video's metadata say of it, each text once."""
    texts = [one_line(str(video.metadata[name])) for name in columns if video.metadata.get(name) is not None]
    return tuple(dict.fromkeys(text for text in texts if text))


def descriptions_digest(described: Sequence[str]) -> str:
    """Which descriptions a reading holds, in sixteen letters: the last word of its settings where it holds any."""
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:16]


def note_description_column(index: VideoIndex, column: str | None) -> Sequence[str]:
    """The columns that are descriptions in an index, those that earlier runs named first; a new one is noted.

    Args:
        index: the index.
        column: that of this run; None for no other than before.

    Raises:
        IndexStoreError: the index cannot be read or written.
    """
    noted = index.notes
    if column is None or column in noted.description_columns:
        return noted.description_columns
    columns = (*noted.description_columns, column)
    index.set_notes(replace(noted, description_columns=columns))
    return columns


def _is_as(path: str, state: FileState) -> bool:
    """Whether a file is there, and what it was as far as that is known."""
    try:
        return FileState.of(path).fits(state)
    except OSError:
        return False
