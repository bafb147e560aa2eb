"""The index: encoded videos in a Lance table, added to by one process and searched by any number of them.

Each change is one commit. Reading works on one version, for scores and for what is told of the videos alike, and
moves on to the latest version with the next call. Two processes that add at the same time are serialised by Lance,
and of the same video added by both, one is stored.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from typing_extensions import override

from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import IndexStoreError
from video_colbert.index.filters import Filter, parse_filter
from video_colbert.index.index_notes import IndexNotes
from video_colbert.index.indexed_video import (
    COPIES_FIELD,
    FileFacts,
    IndexedVideo,
    MetadataValue,
    copies_to_arrow,
    facts_to_arrow,
    is_fact,
    values_to_arrow,
)
from video_colbert.index.lance.latest_snapshot import LatestSnapshot, is_calibration_due
from video_colbert.index.lance.passages.passage_table import LancePassages
from video_colbert.index.lance.passages.reading_table import LanceReadings
from video_colbert.index.lance.schema import (
    IndexHeader,
    calibration_metadata,
    empty_schema,
    notes_metadata,
    read_header,
    read_notes,
)
from video_colbert.index.lance.snapshot_tokens import sampled_tokens, tokens_of
from video_colbert.index.lance.storage import has_table, is_of_earlier_format
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.lance.token_codecs import token_codec
from video_colbert.index.metadata_columns import (
    POOLED,
    columns_in_words,
    metadata_fields,
    missing_fact_fields,
    new_metadata_fields,
)
from video_colbert.index.passages.content_texts import ContentTexts
from video_colbert.index.passages.passage_store import PassageStore
from video_colbert.index.passages.reading_store import ReadingStore
from video_colbert.index.search.calibration import Calibration
from video_colbert.index.video_index import VideoIndex, check_model
from video_colbert.index.windows import WindowSettings

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
    from video_colbert.encoding.hits import SearchHit
    from video_colbert.index.lance.snapshot import IndexSnapshot
    from video_colbert.index.search.level_bags import LevelBags


class LanceIndex(VideoIndex):
    """A searchable collection of encoded videos in a folder or in object storage; make one with `create` or `open`.

    Attributes:
        location: the folder, or the address such as `s3://bucket/name`.
        model: which weights made the vectors.
        num_frames: frames sampled from each video; None for as many as there are.
        windows: how long videos are cut; None for videos as a whole.
        merge_similarity: cosine from which neighbouring tokens were merged; None where none were.

    Example:
        >>> model = ModelReference("some/model", "0123")
        >>> index = LanceIndex.create("my-index", model=model, num_frames=12)
        >>> len(LanceIndex.open("my-index", model=model))
        0
    """

    def __init__(self, table: LanceTable, *, hold_tokens: bool = False) -> None:
        header = read_header(table.schema, table.location)
        self.location = table.location
        self.model = header.model
        self.num_frames = header.num_frames
        self.windows = header.windows
        self.merge_similarity = header.merge_similarity
        self._codec = token_codec(header.codec)
        self._table = table
        self._latest = LatestSnapshot(table, self._codec, hold_tokens=hold_tokens)
        self._texts = ContentTexts(LanceReadings(table), LancePassages(table, header.codec, hold_tokens=hold_tokens))

    @override
    def __len__(self) -> int:
        return self._latest.read(len)

    @property
    @override
    def levels(self) -> Collection[str]:
        return self._latest.read(lambda snapshot: snapshot.dimensions)

    @property
    @override
    def videos(self) -> tuple[IndexedVideo, ...]:
        return self._latest.read(lambda snapshot: snapshot.videos)

    @override
    def videos_where(self, condition: Filter | str) -> tuple[IndexedVideo, ...]:
        parsed = parse_filter(condition) if isinstance(condition, str) else condition
        return self._latest.read(lambda snapshot: tuple(snapshot.videos_at(snapshot.rows_where(parsed))))

    @override
    def videos_of_contents(self, contents: Collection[str]) -> Mapping[str, IndexedVideo]:
        return self._latest.read(lambda snapshot: snapshot.videos_of_contents(contents))

    @override
    def tokens_of(self, ids: Sequence[str]) -> LevelBags:
        return self._latest.read(lambda snapshot: tokens_of(snapshot, ids))

    @override
    def sampled_tokens(self, count: int) -> LevelBags | None:
        return self._latest.read(lambda snapshot: sampled_tokens(snapshot, count))

    @property
    @override
    def columns(self) -> Mapping[str, str]:
        return self._latest.read(lambda snapshot: columns_in_words(snapshot.table.schema))

    @property
    @override
    def num_bytes(self) -> int | None:
        return self._table.num_bytes()

    @property
    @override
    def readings(self) -> ReadingStore:
        return self._texts.readings

    @property
    @override
    def passages(self) -> PassageStore:
        return self._texts.passages

    @staticmethod
    def exists(location: str | os.PathLike[str], *, storage_options: Mapping[str, str] | None = None) -> bool:
        """Whether there is an index, of this or an earlier release.

        Args:
            location: folder or address.
            storage_options: as `create`.

        Raises:
            IndexStoreError: the storage cannot be reached.
        """
        address = os.fspath(location)
        return has_table(address, storage_options) or is_of_earlier_format(address)

    @classmethod
    def create(
        cls,
        location: str | os.PathLike[str],
        *,
        model: ModelReference,
        num_frames: int | None,
        codec: str = "float16",
        merge_similarity: float | None = None,
        windows: WindowSettings | None = None,
        hold_tokens: bool = False,
        storage_options: Mapping[str, str] | None = None,
    ) -> LanceIndex:
        """Makes an empty index, and its folder if need be.

        Args:
            location: a folder, or an address in object storage such as `s3://bucket/name`.
            model: which weights will make the vectors.
            num_frames: frames that will be sampled from each video; None for as many as there are.
            codec: how tokens are stored, one of `token_codecs.CODEC_NAMES`; a smaller one loses some of each score.
            merge_similarity: cosine, above 0 and at most 1, from which neighbouring tokens are merged; None for none.
            windows: how long videos will be cut; None for videos as a whole.
            hold_tokens: as `open`.
            storage_options: LanceDB's options for object storage, such as `endpoint` or `region`; what is not
                given comes from the environment (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` and so on).

        Raises:
            IndexStoreError: there is an index already, or the location cannot be written.
            ValueError: there is no such codec, or `merge_similarity` is out of range.
        """
        address = os.fspath(location)
        if cls.exists(address, storage_options=storage_options):
            raise IndexStoreError(f"there is an index in {address} already; open it or choose another folder")
        if merge_similarity is not None and not 0.0 < merge_similarity <= 1.0:
            raise ValueError(f"merge_similarity must be above 0 and at most 1, got {merge_similarity}")
        header = IndexHeader(model, num_frames, token_codec(codec).name, merge_similarity, windows)
        return cls(LanceTable.create(address, empty_schema(header), storage_options), hold_tokens=hold_tokens)

    @classmethod
    def open(
        cls,
        location: str | os.PathLike[str],
        *,
        model: ModelReference | None = None,
        hold_tokens: bool = False,
        storage_options: Mapping[str, str] | None = None,
    ) -> LanceIndex:
        """Opens an index.

        Args:
            location: its folder or address.
            model: the model that will be used with it, checked against the one that made it.
            hold_tokens: hold the tokens of all videos in memory, three bytes a number, where a search scores
                candidates only: for a process that searches a large index many times. The first search reads them
                all, and the first after a commit what is new.
            storage_options: as `create`.

        Raises:
            ModelMismatchError: it was made by another model or another revision.
            IndexStoreError: there is no index, or it is damaged or of another schema version.
        """
        address = os.fspath(location)
        if not has_table(address, storage_options):
            if is_of_earlier_format(address):
                raise IndexStoreError(
                    f"the index in {address} was made by an earlier version; remove it or choose another folder, and "
                    "index the videos again"
                )
            raise IndexStoreError(f"there is no index in {address}; make one with `video-colbert index`")
        index = cls(LanceTable.open(address, storage_options), hold_tokens=hold_tokens)
        if model is not None:
            check_model(index, model)
        return index

    @property
    @override
    def calibration(self) -> Calibration | None:
        searcher = self._latest.searcher
        return None if searcher is None or searcher.is_exact else searcher.calibration

    @property
    def codec(self) -> str:
        """How tokens are stored, one of `token_codecs.CODEC_NAMES`."""
        return self._codec.name

    @property
    @override
    def options(self) -> Mapping[str, object]:
        return {"codec": self.codec, "merge_similarity": self.merge_similarity}

    @override
    def close(self) -> None:
        # Nothing stays open between two calls.
        return

    @override
    def add(self, videos: Sequence[tuple[IndexedVideo, EncodedVideo]], *, renews: bool = False) -> None:
        from video_colbert.index.lance.adding import add_videos

        add_videos(self._table, self._latest, self._texts, videos, self._codec, self.merge_similarity, renews=renews)

    @override
    def move(self, paths: Mapping[str, str]) -> None:
        known = self._latest.read(lambda snapshot: snapshot.paths_of(list(paths)))
        moved = {video_id: paths[video_id] for video_id, path in known.items() if path != paths[video_id]}
        if moved:
            self._table.set_text("path", moved)

    @override
    def set_copies(self, copies: Mapping[str, Sequence[str]]) -> None:
        if copies:
            self._table.add_columns([COPIES_FIELD])
            self._table.set_columns(copies_to_arrow(copies))

    @property
    @override
    def notes(self) -> IndexNotes:
        return self._latest.read(lambda snapshot: read_notes(snapshot.table.schema))

    @override
    def set_notes(self, notes: IndexNotes) -> None:
        self._table.set_field_metadata(*notes_metadata(notes))

    @override
    def set_facts(self, facts: Mapping[str, FileFacts]) -> None:
        missing = missing_fact_fields(self._table.schema)
        rows = facts_to_arrow(facts, self.videos, [*filter(is_fact, self._table.schema), *missing])
        if len(rows):
            self._table.add_columns(missing)
            self._table.set_columns(rows)

    @override
    def check_metadata(self, values: Iterable[Mapping[str, MetadataValue]]) -> None:
        new_metadata_fields(self._table.schema, values)

    @override
    def set_metadata(self, values: Mapping[str, Mapping[str, MetadataValue | None]]) -> None:
        if not values:
            return
        present = [{name: value for name, value in row.items() if value is not None} for row in values.values()]
        self._table.add_columns(new_metadata_fields(self._table.schema, present))
        rows = values_to_arrow(values, metadata_fields(self._table.schema))
        if rows.num_columns > 1:
            self._table.set_columns(rows)

    @override
    def remove(self, ids: Collection[str]) -> int:
        from video_colbert.index.lance.removal import remove_videos

        return remove_videos(self._table, self._latest, self._texts, ids)

    @override
    def forget(self, ids: Collection[str]) -> Sequence[str]:
        from video_colbert.index.lance.removal import forget_videos

        return forget_videos(self, self._table, self._latest, self._texts, ids)

    @override
    def search(
        self,
        queries: EncodedQueries,
        *,
        top_k: int = 10,
        where: Filter | str | None = None,
        group_windows: bool = True,
    ) -> list[list[SearchHit]]:
        from video_colbert.index.lance.snapshot_search import search_snapshot

        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        condition = parse_filter(where) if isinstance(where, str) else where
        searcher_of = self._latest.searcher_of
        return self._latest.read(
            lambda snapshot: search_snapshot(snapshot, searcher_of, queries, top_k, condition, groups=group_windows)
        )

    @override
    def calibrate(self, queries: EncodedQueries | None = None) -> Calibration:
        def measure(snapshot: IndexSnapshot) -> Calibration:
            if not len(snapshot):
                raise ValueError(f"the index in {self.location} holds no videos to calibrate a search on")
            return self._latest.searcher_of(snapshot).calibrate(queries=queries)

        calibration = self._latest.read(measure)
        self._table.set_field_metadata(POOLED, calibration_metadata(calibration))
        return calibration

    @property
    @override
    def needs_calibration(self) -> bool:
        return self._latest.read(is_calibration_due)
