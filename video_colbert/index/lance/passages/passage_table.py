"""Passages in a Lance table of their own: to search, a passage is what a window is of a video.

Its rows are those of videos, with one level of tokens; what a passage is stands in columns of metadata. The table says
by which text model its tokens are, and is made anew for another one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeVar

import pyarrow.compute as pc
from typing_extensions import override

from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import IndexStoreError
from video_colbert.index.lance.latest_snapshot import LatestSnapshot
from video_colbert.index.lance.passages.keyword_search import find_keywords
from video_colbert.index.lance.passages.passage_rows import CONTENT, SOURCE, TEXT, passage_rows
from video_colbert.index.lance.schema import IndexHeader, empty_schema, read_header
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.lance.token_codecs import token_codec
from video_colbert.index.passages.passage_store import FoundPassage, PassageStore, StoredPassage
from video_colbert.text.passages import SOURCES, Source

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import EncodedQueries
    from video_colbert.index.lance.snapshot import IndexSnapshot
    from video_colbert.text.text_model import EncodedText

TABLE_NAME = "passages"
"""Name of the table in the index's folder or address."""

_Result = TypeVar("_Result")


class LancePassages(PassageStore):
    """The passages of one index.

    Args:
        videos: the table of the index's videos, beside which theirs lies.
        codec: how tokens are stored in a new table.
        hold_tokens: as of `LanceIndex.open`.
    """

    def __init__(self, videos: LanceTable, codec: str, *, hold_tokens: bool = False) -> None:
        self._videos = videos
        self._codec_name = codec
        self._hold_tokens = hold_tokens
        self._opened: _OpenTable | None = None
        self._lock = threading.Lock()

    @override
    def __len__(self) -> int:
        return self._read(len, none=0)

    @property
    @override
    def model(self) -> ModelReference | None:
        opened = self._open()
        return None if opened is None else opened.header.model

    @property
    @override
    def sources(self) -> tuple[Source, ...]:
        nothing: list[str] = []
        found = self._read(_sources_of, none=nothing)
        return tuple(source for source in SOURCES if source in found)

    @override
    def keys(self) -> set[str]:
        nothing: list[str] = []
        return set(self._read(lambda snapshot: _column(snapshot, "path"), none=nothing))

    @override
    def prepare(self, model: ModelReference) -> None:
        if self.model == model:
            return
        with self._lock:
            self._videos.drop_beside(TABLE_NAME)
            header = IndexHeader(model, None, self._codec_name)
            table = self._videos.beside(TABLE_NAME, empty_schema(header))
            assert table is not None  # noqa: S101 - it was made
            self._opened = _OpenTable(table, hold_tokens=self._hold_tokens)

    @override
    def add(self, passages: Sequence[tuple[StoredPassage, EncodedText]]) -> None:
        from video_colbert.index.lance.adding import add_videos
        from video_colbert.index.lance.operations.word_index import index_words

        opened = self._open()
        if opened is None:
            raise RuntimeError("prepare makes the table of passages before any is added")
        add_videos(opened.table, opened.latest, None, passage_rows(passages), opened.codec, None)
        # Of the first passages; a search looks at later ones one by one until `finish`.
        opened.table.change(lambda table: index_words(table, TEXT, is_updated=False))

    @override
    def finish(self) -> None:
        from video_colbert.index.lance.operations.word_index import index_words

        opened = self._open()
        if opened is not None and len(self):
            opened.table.change(lambda table: index_words(table, TEXT))

    @override
    def remove(self, keys: Collection[str]) -> None:
        self._remove("path", keys)

    @override
    def remove_contents(self, contents: Collection[str]) -> None:
        self._remove(CONTENT, contents)

    @override
    def forget_contents(self, contents: Collection[str]) -> None:
        from video_colbert.index.lance.mapped.derived_files import without_derived_files
        from video_colbert.index.lance.operations.word_index import drop_words

        opened = self._open()
        if opened is None:
            return
        ids = self._ids(CONTENT, contents)
        if contents and not ids:
            return
        with without_derived_files(opened.table.location, TABLE_NAME):
            # It holds the words of what is erased too.
            opened.table.change(lambda table: drop_words(table, TEXT))
            opened.table.erase(ids)
        self.finish()

    @override
    def search(
        self, queries: EncodedQueries, source: Source, *, count: int, contents: Collection[str] | None = None
    ) -> list[list[FoundPassage]]:
        from video_colbert.index.lance.passages.passage_search import find_passages

        opened = self._open()
        if opened is None:
            return [[] for _ in queries.texts]
        return opened.latest.read(
            lambda snapshot: find_passages(
                snapshot, lambda: opened.latest.searcher_of(snapshot), queries, source, count, contents
            )
        )

    @override
    def search_keywords(
        self,
        text: str,
        *,
        count: int,
        sources: Collection[Source] | None = None,
        contents: Collection[str] | None = None,
    ) -> list[FoundPassage]:
        opened = self._open()
        if opened is None:
            return []
        return opened.latest.read(lambda snapshot: find_keywords(snapshot.table, text, count, sources, contents))

    def _remove(self, column: str, values: Collection[str]) -> None:
        opened = self._open()
        if opened is not None and (ids := self._ids(column, values)):
            opened.table.delete(ids)

    def _ids(self, column: str, values: Collection[str]) -> list[str]:
        wanted = set(values)
        if not wanted:
            return []

        def find(snapshot: IndexSnapshot) -> list[str]:
            pairs = zip(_column(snapshot, "id"), _column(snapshot, column), strict=True)
            return sorted(each for each, value in pairs if value in wanted)

        return self._read(find, none=[])

    def _read(self, reading: Callable[[IndexSnapshot], _Result], *, none: _Result) -> _Result:
        opened = self._open()
        return none if opened is None else opened.latest.read(reading)

    def _open(self) -> _OpenTable | None:
        """The table; None where there is none."""
        with self._lock:
            if self._opened is not None and not self._opened.is_there():
                self._opened = None
            if self._opened is None:
                table = self._videos.beside(TABLE_NAME)
                self._opened = None if table is None else _OpenTable(table, hold_tokens=self._hold_tokens)
            return self._opened


class _OpenTable:
    """The table with what it says of itself and its readers' snapshot."""

    def __init__(self, table: LanceTable, *, hold_tokens: bool) -> None:
        self.table = table
        self.header = read_header(table.schema, table.location)
        self.codec = token_codec(self.header.codec)
        self.latest = LatestSnapshot(table, self.codec, hold_tokens=hold_tokens)

    def is_there(self) -> bool:
        """Whether the table is the one that was opened: another process may have made it anew for another model."""
        try:
            self.table.latest_version()
            return read_header(self.table.schema, self.table.location).model == self.header.model
        except IndexStoreError:
            # What is wrong is said when it is opened again.
            return False


def _column(snapshot: IndexSnapshot, name: str) -> list[str]:
    """Values of all rows; none before the first passage, which brings the columns."""
    return snapshot.records[name].to_pylist() if name in snapshot.records.column_names else []


def _sources_of(snapshot: IndexSnapshot) -> list[str]:
    has_any = SOURCE in snapshot.records.column_names
    return pc.unique(snapshot.records[SOURCE]).to_pylist() if has_any else []
