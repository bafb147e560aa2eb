"""What happens to files on their way into an index: the events of a plan, which the writer and the report follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from video_colbert.encoding.encoded import BadVideo, EncodedVideo
from video_colbert.index.index_notes import BadFile
from video_colbert.index.indexed_video import FileFacts
from video_colbert.index.windows import Window


@dataclass(frozen=True)
class FileContent:
    """What a file holds.

    Attributes:
        path: the file's path or URL.
        digest: SHA-256 of its content.
        windows: what is to be in the index of it; empty where another file stands for the same content.
        facts: what else was seen of the file when it was read.
    """

    path: str
    digest: str
    windows: tuple[Window, ...] = ()
    facts: FileFacts = field(default_factory=FileFacts)


@dataclass(frozen=True)
class Encoded:
    """A video, or a window of one, that goes into the index."""

    file: FileContent
    video: EncodedVideo


@dataclass(frozen=True)
class Renewed:
    """A stored video, or a window of one, that was encoded again since texts that go with its pictures were read."""

    file: FileContent
    video: EncodedVideo


@dataclass(frozen=True)
class Present:
    """A file whose content is in the index under this path, in all of its windows."""

    file: FileContent


@dataclass(frozen=True)
class Moved:
    """A file whose content is in the index under a path that no longer holds it.

    Attributes:
        file: where it is now.
        ids: what is stored of it.
    """

    file: FileContent
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Duplicate:
    """A file with the same content as another one that is in the index or goes into it.

    Attributes:
        file: the file.
        original: path of the other one.
    """

    file: FileContent
    original: str


@dataclass(frozen=True)
class Bad:
    """A file, or one window of it, that could not be read, decoded or encoded; what is stored of the file stays.

    Attributes:
        path: the file's path or URL.
        video: what is wrong.
    """

    path: str
    video: BadVideo


@dataclass(frozen=True)
class StaysBad:
    """A content that another run would find as bad as this one: what is worth remembering of it."""

    file: BadFile


@dataclass(frozen=True)
class KnownBad:
    """A file, or windows of it, that an earlier run found bad and that was left; what is stored of the file stays.

    Attributes:
        path: the file's path or URL.
        digest: of its content.
        video: what is wrong.
    """

    path: str
    digest: str
    video: BadVideo


IngestEvent: TypeAlias = Encoded | Renewed | Present | Moved | Duplicate | Bad | StaysBad | KnownBad
