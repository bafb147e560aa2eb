"""An open index: a store of encoded videos with the encoder that takes files and texts."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, overload

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.encoding.encoding_plan import DEFAULT_TIMEOUT_SECONDS
from video_colbert.encoding.inputs import as_list, as_texts
from video_colbert.errors import IndexStoreError
from video_colbert.index.filters import Filter
from video_colbert.index.fusion.fusing import FUSION_METHODS, FusionMethod
from video_colbert.index.index_info import IndexInfo, describe_index
from video_colbert.index.indexed_video import IndexedVideo, MetadataValue
from video_colbert.index.ingest.add_videos import add_videos
from video_colbert.index.ingest.report import IndexingReport
from video_colbert.index.named_videos import find_named
from video_colbert.index.passages.asked_sources import choose_sources, searched_model, text_model_of
from video_colbert.index.passages.encode_passages import encode_passages
from video_colbert.index.passages.source_lists import note_backgrounds
from video_colbert.index.passages.source_search import VIDEO, SourceQueries, search_sources
from video_colbert.index.passages.text_collection import names_of_texts
from video_colbert.index.search.calibration import Calibration
from video_colbert.index.video_index import VideoIndex
from video_colbert.text.passages import SOURCES

if TYPE_CHECKING:
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.encoding.search_hits import SearchHits
    from video_colbert.text.passages import PassageReader
    from video_colbert.text.text_model import TextModel


class Index:
    """A searchable collection of videos; `open_index` opens or makes one.

    Args:
        stored: where the videos are.
        encoder: the model that made them; None for an index that is only searched with encoded queries.
        text_model: the model that made its passages; None to load it when it is first needed.

    Attributes:
        stored: as given.
        encoder: as given.
        text_model: as given, or as it was loaded.

    Example:
        >>> from video_colbert import open_index
        >>> index = open_index("my_index", encoder)
        >>> index.add(["my_videos"])
        2 added
        >>> [(hit.rank, hit.end) for hit in index.search("a dog catches a ball", top_k=1)]
        [(1, 3.0)]
    """

    def __init__(
        self,
        stored: VideoIndex,
        encoder: VideoColBERTEncoder | None = None,
        text_model: TextModel | None = None,
    ) -> None:
        self.stored = stored
        self.encoder = encoder
        self.text_model = text_model

    def __len__(self) -> int:
        """The number of videos, those that are cut counted by their windows."""
        return len(self.stored)

    def __repr__(self) -> str:
        return f"Index({self.stored.location!r}, {self.info().counted()}, {self.stored.model})"

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def location(self) -> str:
        """Folder or address."""
        return self.stored.location

    @property
    def videos(self) -> tuple[IndexedVideo, ...]:
        """What is known of each stored video, or window."""
        return self.stored.videos

    def info(self) -> IndexInfo:
        """What the index is, what it was made with and how much it holds."""
        return describe_index(self.stored)

    def add(
        self,
        videos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        metadata: Mapping[str, Mapping[str, MetadataValue]] | None = None,
        readers: Sequence[PassageReader] = (),
        batch_size: int = 8,
        workers: int | None = None,
        retry_bad: bool = False,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> IndexingReport:
        """Adds videos; run again, it adds what is new or changed.

        Args:
            videos: files, folders (taken at any depth) and URLs; or one of them.
            metadata: by file (a path, a URL, or a path below one of the folders), values by column, which a search
                can filter by.
            readers: what reads passages of the videos, such as `SpeechReader`, at most one a source. With a text
                model, they are encoded too.
            batch_size: clips that go through the model together, at most.
            workers: decoding processes; by default one for each core.
            retry_bad: whether to try again what an earlier run found bad.
            timeout: seconds after which a file that is read or decoded is given up and reported as bad.

        Returns:
            What became of each file. Bad files are listed there with the reason, and never stop the others; those
            whose bytes are responsible are not decoded again by a later run.

        Raises:
            FileNotFoundError: a file or folder is missing, or there is no video in the folders.
            MetadataError: metadata is given for a file that is not among the videos.
            IndexStoreError: the index was opened without an encoder, cannot take the metadata, or cannot be written.
            EncodingError: no decoding process can be started.
            ValueError: a number that is out of range.
            TypeError: a video is no path and no URL.
        """
        report = add_videos(
            self.stored,
            self._needed_encoder("add videos"),
            videos,
            metadata=metadata,
            readers=readers,
            batch_size=batch_size,
            workers=workers,
            retry_bad=retry_bad,
            timeout=timeout,
        )
        if readers and (self.text_model is not None or self.stored.passages.model is not None):
            self.text_model = self.text_model or text_model_of(self.stored, None)
            if encode_passages(self.stored.passages, self.stored.readings, self.text_model).added:
                note_backgrounds(self)
        return report

    def remove(self, videos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> int:
        """Removes videos with all their windows.

        Args:
            videos: paths, URLs or ids; or one of them. A path is looked for as it is, from the working directory, and
                then as the end of a stored path, such as `a.mp4` of `/videos/a.mp4` where no other path ends so.

        Returns:
            How many videos and windows were removed.

        Raises:
            IndexStoreError: something is not in the index, which is named, or a name fits several videos; then
                nothing is removed. Or the index cannot be written.
            TypeError: a name is no text and no path.
        """
        names = as_list(videos, (str, os.PathLike), "videos", "a path, URL or id")
        return self.stored.remove(self._named(names))

    def forget(self, videos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Sequence[str]:
        """Removes videos with all their windows, and what the index keeps of them beside: earlier versions and files.

        The files themselves stay, and `add` takes them again. No other process may use the index meanwhile.

        Args:
            videos: as of `remove`. An empty list means what videos that were removed or replaced before have left in
                the index's files, which are written anew for that.

        Returns:
            What may still hold something of them, out of this package's reach, in words.

        Raises:
            IndexStoreError: as `remove`.
            TypeError: likewise.
        """
        names = as_list(videos, (str, os.PathLike), "videos", "a path, URL or id")
        return self.stored.forget(self._named(names))

    @overload
    def search(  # type: ignore[overload-overlap] # a text is a sequence of texts to the checker
        self,
        query: str,
        *,
        top_k: int = 10,
        where: Filter | str | None = None,
        level_weights: Mapping[str, float] | None = None,
        min_score: float | None = None,
        group_windows: bool = True,
        sources: Collection[str] | None = None,
        fusion: FusionMethod = "calibrated",
    ) -> SearchHits: ...

    @overload
    def search(
        self,
        query: Sequence[str] | EncodedQueries,
        *,
        top_k: int = 10,
        where: Filter | str | None = None,
        level_weights: Mapping[str, float] | None = None,
        min_score: float | None = None,
        group_windows: bool = True,
        sources: Collection[str] | None = None,
        fusion: FusionMethod = "calibrated",
    ) -> list[SearchHits]: ...

    def search(
        self,
        query: str | Sequence[str] | EncodedQueries,
        *,
        top_k: int = 10,
        where: Filter | str | None = None,
        level_weights: Mapping[str, float] | None = None,
        min_score: float | None = None,
        group_windows: bool = True,
        sources: Collection[str] | None = None,
        fusion: FusionMethod = "calibrated",
    ) -> SearchHits | list[SearchHits]:
        """Finds the videos that fit a text best.

        Args:
            query: a text, a list of texts, or what `encoder.encode_queries` made of them.
            top_k: hits a query, at most.
            where: a condition that hits must satisfy, such as "year >= 2020 and genre = 'news'".
            level_weights: weight of each level in the score, such as `{"video": 0.5}`; 1 where none is given.
            min_score: the score that a hit has at least; by default any.
            group_windows: of the windows of one video, give the best only; without, only pictures are searched.
            sources: what is asked: "video" for pictures, "subtitles", "speech", "screen_text", "description",
                "document", and "keywords" for words, names and numbers as they are written; by default all that the
                index holds. What several find is fused to one ranking.
            fusion: how, one of `fusion.fusing.FUSION_METHODS`; a single source ranks by its own scores.

        Returns:
            The hits, best first; for a list of texts or encoded queries, a list of them for each.

        Raises:
            IndexStoreError: texts are given and the index was opened without an encoder; or it cannot be read.
            FilterError: the condition is not understood, or asks for a column that the index does not have.
            ModelMismatchError: encoded queries are of another model.
            ValueError: `top_k` is below 1, `min_score` is not finite, there is no such fusion, or the weights do not
                fit the model.
            TypeError: the query is neither a text nor a list of texts nor encoded.

        Example:
            >>> from video_colbert import open_index
            >>> index = open_index("memory://", encoder)
            >>> report = index.add(["my_videos"])
            >>> dogs, cats = index.search(["a dog runs", "a cat sleeps"], top_k=1)
            >>> len(dogs), len(cats)
            (1, 1)
        """
        from video_colbert.encoding.search_hits import SearchHits

        if min_score is not None and not math.isfinite(min_score):
            raise ValueError(f"min_score must be a finite number, got {min_score}")
        if fusion not in FUSION_METHODS:
            raise ValueError(f"fusion must be one of {', '.join(FUSION_METHODS)}, got {fusion!r}")
        chosen = (VIDEO,) if sources is None and not group_windows else choose_sources(self.stored, sources)
        if not group_windows and chosen != (VIDEO,):
            raise ValueError("group_windows=False gives windows of pictures; leave other sources out")
        texts = query.texts if isinstance(query, EncodedQueries) else as_texts(query, "query")
        if not texts:
            return []
        queries: EncodedQueries | None = None
        if VIDEO in chosen:
            if isinstance(query, EncodedQueries):
                queries = query
            else:
                queries = self._needed_encoder("search for texts").encode_queries(texts)
            if level_weights is not None:
                queries = queries.with_level_weights(level_weights)
        if queries is not None and chosen == (VIDEO,):
            found = self.stored.search(queries, top_k=top_k, where=where, group_windows=group_windows)
        else:
            asked = self._source_queries(texts, queries, chosen)
            known = self.stored.notes.fusion
            found = search_sources(
                self.stored, asked, chosen, top_k=top_k, where=where, fusion=fusion, parameters=known
            )
        hits = [
            SearchHits(
                text,
                searched_model(self.stored),
                [hit for hit in of_text if min_score is None or hit.score >= min_score],
            )
            for text, of_text in zip(texts, found, strict=True)
        ]
        return hits[0] if isinstance(query, str) else hits

    def calibrate(self, queries: str | Sequence[str] | EncodedQueries | None = None) -> Calibration:
        """Measures how many candidates a search of this index takes to find what an exact one would, and stores it.

        `add` does it where it is due, with queries made from stored videos.

        Args:
            queries: texts such as users ask, some dozens, or encoded queries.

        Raises:
            ValueError: the index holds no videos.
            IndexStoreError: it cannot be written, has nothing to calibrate, or was opened without an encoder and
                texts are given.
        """
        if queries is not None and not isinstance(queries, EncodedQueries):
            encoder = self._needed_encoder("calibrate with texts")
            queries = encoder.encode_queries(as_texts(queries, "queries"))
        return self.stored.calibrate(queries)

    def close(self) -> None:
        """Lets go of connections and memory; the index cannot be used any more."""
        self.stored.close()

    def _source_queries(
        self, texts: Sequence[str], of_pictures: EncodedQueries | None, sources: Collection[str]
    ) -> SourceQueries:
        if not set(SOURCES) & set(sources):
            return SourceQueries(texts, of_pictures, None, [1.0] * len(texts))
        self.text_model = text_model_of(self.stored, self.text_model)
        of_passages = self.text_model.encode_queries(texts)
        return SourceQueries(texts, of_pictures, of_passages, self.text_model.score_factors(of_passages))

    def _named(self, names: Iterable[str | os.PathLike[str]]) -> list[str]:
        texts = functools.partial(names_of_texts, self.stored)
        paths = [os.fspath(name) for name in names]
        return find_named(self.stored.videos, paths, self.stored.location, texts=texts)

    def _needed_encoder(self, purpose: str) -> VideoColBERTEncoder:
        if self.encoder is None:
            raise IndexStoreError(
                f"the index in {self.location} was opened without an encoder, which it takes to {purpose}; pass "
                f"VideoColBERTEncoder.from_pretrained({self.stored.model.name!r}) to open_index"
            )
        return self.encoder
