"""One index as it is served: open, with its models, and what goes on in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from video_colbert.app.background import BackgroundWork
from video_colbert.app.index_state import GoneFiles, IndexState, describe_state
from video_colbert.app.media.stored_files import find_stored_video
from video_colbert.app.service_query import StoredMoment
from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.hits import SearchHit
from video_colbert.encoding.search_hits import SearchHits
from video_colbert.encoding.stored_model.model_reference import NO_VIDEO_MODEL
from video_colbert.encoding.visual_query import VisualQuery
from video_colbert.encoding.visual_query.decode_apart import decode_apart
from video_colbert.errors import EncodingError, QueryError, WorkerError
from video_colbert.index.filters import Membership
from video_colbert.index.index import Index
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.opening import open_index
from video_colbert.index.passages.asked_sources import choose_sources, text_model_of
from video_colbert.index.passages.source_search import VIDEO
from video_colbert.index.searching import encode_visual
from video_colbert.index.similar_videos import stored_query
from video_colbert.index.video_index import VideoIndex
from video_colbert.processing import VideoDecodingError
from video_colbert.text.passages import SOURCES

if TYPE_CHECKING:
    from video_colbert.index.search.level_bags import LevelBags

LoadEncoder = Callable[[VideoIndex], VideoColBERTEncoder]
"""Loads the encoder of the model that made an index, or gives the one that is loaded."""

# Windows beside the best of a video that are looked for, for each hit.
_WINDOWS_A_HIT = 4
# Videos over which a query's score of a video picked at random is taken: the median is known to a tenth of the spread.
_SAMPLE = 128
# What came in since changes little of it.
_SECONDS_SAMPLED = 60.0
# A state that is asked for again within this time is the same.
_SECONDS_KEPT = 1.0


class ServedIndex:
    """An index that is open for searches, with the models that they take.

    Args:
        name: by which it is asked.
        location: its folder or address.
        load_encoder: gives the encoder of its model; not called for an index that holds texts only.
        device: a torch device for its text model; by default the best one there is.

    Attributes:
        name: as given.
        index: the index.
        work: what goes on in it beside searches.

    Raises:
        IndexStoreError: there is no index, or it cannot be read or reached.
        ModelLoadError: a model cannot be loaded.
    """

    def __init__(self, name: str, location: str, load_encoder: LoadEncoder, *, device: str | None = None) -> None:
        self.name = name
        self.work = BackgroundWork()
        stored = open_index(location).stored
        encoder = None if stored.model == NO_VIDEO_MODEL else load_encoder(stored)
        self.index = Index(stored, encoder)
        if set(SOURCES) & set(choose_sources(stored, None)):
            # Here, so that the first search does not wait for it.
            self.index.text_model = text_model_of(stored, None, device=device)
        if len(stored):
            # Here too: what a search reads and compiles once.
            self.index.search("a", top_k=1)
        self._gone = GoneFiles(stored)
        self._state_lock = threading.Lock()
        self._state: tuple[float, IndexState] | None = None
        self._sample: tuple[float, LevelBags] | None = None

    @property
    def zero_shot(self) -> bool:
        """Whether its model was never trained on clips, so that words are not told apart."""
        return self.index.encoder is not None and self.index.encoder.is_zero_shot

    def sources_of(self, asked: Sequence[str]) -> tuple[str, ...]:
        """The sources that a search asks.

        Args:
            asked: names of sources; none for all that the index holds.

        Raises:
            IndexStoreError: there is no such source, or the index holds nothing of it.
        """
        return choose_sources(self.index.stored, tuple(asked) or None)

    def encode(self, query: str | VisualQuery, sources: Sequence[str]) -> EncodedQueries | None:
        """A query as it is compared with pictures; None where these are not asked.

        Args:
            query: a text, or what is shown, perhaps with words.
            sources: of `sources_of`.

        Raises:
            QueryError: a clip cannot be decoded, or the model takes no such query.
        """
        if VIDEO not in sources or self.index.encoder is None:
            if isinstance(query, VisualQuery):
                raise QueryError(f"the index {self.name} holds no pictures, or these are not asked; look for words")
            return None
        if isinstance(query, str):
            return self.index.encoder.encode_queries([query])
        try:
            return encode_visual(self.index, query, decode_apart)
        except (VideoDecodingError, EncodingError, WorkerError) as error:
            raise QueryError(str(error)) from error

    def similar(
        self, moment: StoredMoment, top_k: int, where: str, min_score: float | None
    ) -> tuple[SearchHits, EncodedQueries]:
        """The videos that are like a moment of a stored one, by its stored tokens.

        Args:
            moment: the moment.
            top_k: hits, at most; the video itself is none.
            where: a condition that hits must satisfy; empty for none.
            min_score: the score that a hit has at least; None for any.

        Returns:
            The hits, and the query that found them.

        Raises:
            NotServedError: the index holds no such video.
            QueryError: the moment lies outside the video, or the index holds texts only.
        """
        path = find_stored_video(self.index.stored, moment.video).path
        try:
            hits = self.index.similar(
                path, moment.start, moment.end, top_k=top_k, where=where.strip() or None, min_score=min_score
            )
            return hits, stored_query(self.index, path, moment.start, moment.end)[0]
        except ValueError as error:
            raise QueryError(str(error)) from error

    def sample(self) -> LevelBags | None:
        """The tokens of some videos, evenly over the index as it was a minute ago at most; None while it is empty.

        Raises:
            IndexStoreError: the index cannot be read.
        """
        now = time.monotonic()
        if self._sample is None or now - self._sample[0] > _SECONDS_SAMPLED:
            found = self.index.stored.sampled_tokens(_SAMPLE)
            self._sample = None if found is None else (now, found)
        return None if self._sample is None else self._sample[1]

    def videos_at(self, paths: Sequence[str]) -> Mapping[str, IndexedVideo]:
        """What the index knows of some videos, by path.

        Args:
            paths: of files, or URLs; names of texts have no video and are left out.
        """
        if not paths:
            return {}
        found = self.index.stored.videos_where(Membership("path", tuple(paths)))
        # The condition holds of copies too, which are stored under another path.
        return {video.path: video for video in reversed(found) if video.path in paths}

    def further_windows(self, encoded: EncodedQueries, hits: Sequence[SearchHit]) -> Mapping[str, list[SearchHit]]:
        """The windows beside the best one of each hit's video that match best, by path, best first.

        Args:
            encoded: one query.
            hits: of it.
        """
        if self.index.stored.windows is None or not hits:
            return {}
        paths = {hit.video: hit.start for hit in hits}
        [windows] = self.index.stored.search(
            encoded,
            top_k=_WINDOWS_A_HIT * len(hits),
            where=Membership("path", tuple(paths)),
            group_windows=False,
        )
        found: dict[str, list[SearchHit]] = {}
        for window in windows:
            if paths.get(window.video, window.start) != window.start:
                found.setdefault(window.video, []).append(window)
        return found

    def state(self) -> IndexState:
        """What the index is at the moment, as of a second ago at most.

        Raises:
            IndexStoreError: it cannot be read or reached.
        """
        with self._state_lock:
            now = time.monotonic()
            if self._state is None or now - self._state[0] > _SECONDS_KEPT:
                stored = self.index.stored
                state = describe_state(
                    self.name,
                    stored,
                    sources=choose_sources(stored, None),
                    zero_shot=self.zero_shot,
                    gone=self._gone.find(),
                    bad=self.work.bad,
                    progress=self.work.progress,
                    notices=self.work.notices,
                )
                self._state = (now, state)
            return self._state[1]
