"""Notes of an index on what was indexed into it: the folders, and files that turned out to be bad."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from video_colbert.index.confidence.search_confidence import SearchConfidence
from video_colbert.index.fusion.parameters import NO_PARAMETERS, FusionParameters
from video_colbert.index.windows import Window


@dataclass(frozen=True)
class BadFile:
    """A content that another run would find bad again: its bytes are responsible.

    Attributes:
        digest: SHA-256 of the content.
        path: the file, or its URL.
        reason: what is wrong with it.
        windows: those that are bad; none where nothing of the file can be used.
    """

    digest: str
    path: str
    reason: str
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True)
class IndexNotes:
    """What an index notes of what was indexed into it.

    Attributes:
        folders: absolute paths of the folders that were given, in which relative paths of a filter are looked for.
        bad_files: contents that are left until somebody asks to try them again.
        number_formats: what videos were encoded in by those who indexed them, as far as that is known.
        fusion: what is known of the sources that a search fuses.
        texts_due: digests of contents of which something was read since they were encoded, by a model that encodes
            texts with the pictures.
        description_columns: columns of metadata that are read as descriptions, in the order in which they were named.
        confidence: how far its searches are to be believed; None where it was not learned.
    """

    folders: tuple[str, ...] = ()
    bad_files: tuple[BadFile, ...] = ()
    number_formats: tuple[str, ...] = ()
    fusion: FusionParameters = NO_PARAMETERS
    texts_due: tuple[str, ...] = ()
    description_columns: tuple[str, ...] = ()
    confidence: SearchConfidence | None = None

    def with_folders(self, folders: Iterable[str]) -> IndexNotes:
        """The same with further folders."""
        return replace(self, folders=tuple(dict.fromkeys((*self.folders, *folders))))

    def with_number_formats(self, formats: Iterable[str]) -> IndexNotes:
        """The same with further number formats."""
        return replace(self, number_formats=tuple(dict.fromkeys((*self.number_formats, *formats))))

    def without_contents(self, digests: Collection[str]) -> IndexNotes:
        """The same without what is noted of some contents."""
        bad_files = tuple(file for file in self.bad_files if file.digest not in digests)
        return replace(self, bad_files=bad_files, texts_due=tuple(due for due in self.texts_due if due not in digests))

    def to_text(self) -> str:
        """The notes in few characters, for what an index says of itself."""
        bad = [[each.digest, each.path, each.reason, each.windows] for each in self.bad_files]
        facts: dict[str, Any] = {"folders": self.folders, "bad_files": bad, "number_formats": self.number_formats}
        if self.fusion != NO_PARAMETERS:
            facts["fusion"] = self.fusion.to_json()
        if self.texts_due:
            facts["texts_due"] = self.texts_due
        if self.description_columns:
            facts["description_columns"] = self.description_columns
        if self.confidence is not None:
            facts["confidence"] = self.confidence.to_json()
        written = json.dumps(facts)
        return base64.b85encode(zlib.compress(written.encode())).decode()

    @classmethod
    def from_text(cls, text: str | None) -> IndexNotes:
        """Reads notes that `to_text` wrote; there are none in what is no such text, as of another release."""
        if not text:
            return cls()
        try:
            read = json.loads(zlib.decompress(base64.b85decode(text)))
            bad = [
                BadFile(str(digest), str(path), str(reason), tuple((start, end) for start, end in windows))
                for digest, path, reason, windows in read["bad_files"]
            ]
            formats = tuple(map(str, read.get("number_formats", ())))
            fusion = FusionParameters.from_json(read["fusion"]) if "fusion" in read else NO_PARAMETERS
            due = tuple(map(str, read.get("texts_due", ())))
            columns = tuple(map(str, read.get("description_columns", ())))
            known = SearchConfidence.from_json(read["confidence"]) if "confidence" in read else None
            return cls(tuple(map(str, read["folders"])), tuple(bad), formats, fusion, due, columns, known)
        except (ValueError, TypeError, KeyError, zlib.error, RecursionError):
            return cls()
