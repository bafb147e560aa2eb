"""An open index: a store of encoded videos with the encoder that takes files and texts."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, overload

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.encoding.encoding_plan import DEFAULT_TIMEOUT_SECONDS
from video_colbert.encoding.inputs import as_list, as_texts
from video_colbert.index.filters import Filter
from video_colbert.index.fusion.fusing import FusionMethod
from video_colbert.index.index_info import IndexInfo, describe_index
from video_colbert.index.indexed_video import IndexedVideo, MetadataValue
from video_colbert.index.ingest.add_videos import add_videos
from video_colbert.index.ingest.report import IndexingReport
from video_colbert.index.named_videos import find_named
from video_colbert.index.passages.asked_sources import text_model_of
from video_colbert.index.passages.encode_passages import encode_passages
from video_colbert.index.passages.source_lists import note_backgrounds
from video_colbert.index.passages.text_collection import names_of_texts
from video_colbert.index.search.calibration import Calibration
from video_colbert.index.searching import needed_encoder, search_index
from video_colbert.index.similar_videos import similar_videos
from video_colbert.index.video_index import VideoIndex

if TYPE_CHECKING:
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.encoding.search_hits import SearchHits
    from video_colbert.index.searching import OneQuery
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
            needed_encoder(self, "add videos"),
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
        query: OneQuery,
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
        query: OneQuery | Sequence[str] | EncodedQueries,
        *,
        top_k: int = 10,
        where: Filter | str | None = None,
        level_weights: Mapping[str, float] | None = None,
        min_score: float | None = None,
        group_windows: bool = True,
        sources: Collection[str] | None = None,
        fusion: FusionMethod = "calibrated",
    ) -> SearchHits | list[SearchHits]:
        """Finds the videos that fit a text, a picture or a clip best.

        Args:
            query: a text, a list of texts, or what `encoder.encode_queries` made of them; or a picture (an image of
                Pillow, or uint8 [H, W, 3]), a `VideoClip`, or a `VisualQuery` of one of both and perhaps words. What
                is shown asks pictures alone, and words beside it all `sources`.
            top_k: hits a query, at most.
            where: a condition that hits must satisfy, such as "year >= 2020 and genre = 'news'".
            level_weights: weight of each level in the score, such as `{"video": 0.5}`; by default the model's.
            min_score: the score that a hit has at least; by default any.
            group_windows: of the windows of one video, give the best only; without, only pictures are searched.
            sources: what is asked: "video" for pictures, "subtitles", "speech", "screen_text", "description",
                "document", and "keywords" for words, names and numbers as they are written; by default all that the
                index holds. What several find is fused to one ranking.
            fusion: how, one of `fusion.fusing.FUSION_METHODS`; a single source ranks by its own scores.

        Returns:
            The hits, best first; for a list of texts or encoded queries, a list of them for each. What a picture or
            clip matches best has a moment without a word.

        Raises:
            IndexStoreError: the index was opened without an encoder, and the query is not encoded; or it cannot be
                read.
            VideoDecodingError: a clip cannot be decoded.
            FilterError: the condition is not understood, or asks for a column that the index does not have.
            ModelMismatchError: encoded queries are of another model.
            ValueError: `top_k` is below 1, `min_score` is not finite, there is no such fusion, or the weights do not
                fit the model.
            TypeError: the query is nothing of these.

        Example:
            >>> from video_colbert import open_index
            >>> index = open_index("memory://", encoder)
            >>> report = index.add(["my_videos"])
            >>> dogs, cats = index.search(["a dog runs", "a cat sleeps"], top_k=1)
            >>> len(dogs), len(cats)
            (1, 1)
        """
        return search_index(
            self,
            query,
            top_k=top_k,
            where=where,
            level_weights=level_weights,
            min_score=min_score,
            group_windows=group_windows,
            sources=sources,
            fusion=fusion,
        )

    def similar(
        self,
        video: str | os.PathLike[str],
        start: float | None = None,
        end: float | None = None,
        *,
        top_k: int = 10,
        where: Filter | str | None = None,
        min_score: float | None = None,
    ) -> SearchHits:
        """Finds videos that are like a stored one, or like a moment of it, by its stored tokens.

        Args:
            video: path, URL or id, as of `remove`; its file may be gone.
            start: where the moment starts, in seconds; by default where the video, or the window of the id, does.
            end: where it ends.
            top_k: hits, at most; the video itself is none.
            where: as of `search`.
            min_score: likewise.

        Returns:
            The hits, best first. A moment is compared by the frame level alone, whose tokens have times; a video or
            window as a whole by all of its levels.

        Raises:
            IndexStoreError: the video is not in the index, or its name fits several; or the index cannot be read.
            FilterError: as `search`.
            ValueError: `top_k` is below 1, or the moment ends before it starts or lies outside the video.

        Example:
            >>> from video_colbert import open_index
            >>> index = open_index("memory://", encoder)
            >>> report = index.add(["a.mp4", "b.mp4"])
            >>> [hit.rank for hit in index.similar("a.mp4", start=1.0, end=2.0)]
            [1]
        """
        return similar_videos(self, os.fspath(video), start, end, top_k=top_k, where=where, min_score=min_score)

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
            encoder = needed_encoder(self, "calibrate with texts")
            queries = encoder.encode_queries(as_texts(queries, "queries"))
        return self.stored.calibrate(queries)

    def close(self) -> None:
        """Lets go of connections and memory; the index cannot be used any more."""
        self.stored.close()

    def _named(self, names: Iterable[str | os.PathLike[str]]) -> list[str]:
        texts = functools.partial(names_of_texts, self.stored)
        paths = [os.fspath(name) for name in names]
        return find_named(self.stored.videos, paths, self.stored.location, texts=texts)
