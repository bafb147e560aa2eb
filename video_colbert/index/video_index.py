"""What every store of an index can do, wherever it keeps its videos."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from video_colbert.encoding.stored_model.model_reference import NO_VIDEO_MODEL, ModelReference
from video_colbert.errors import ModelMismatchError
from video_colbert.index.filters import Filter
from video_colbert.index.index_notes import IndexNotes
from video_colbert.index.indexed_video import FileFacts, IndexedVideo, MetadataValue
from video_colbert.index.passages.passage_store import PassageStore
from video_colbert.index.passages.reading_store import ReadingStore
from video_colbert.index.search.calibration import Calibration
from video_colbert.index.search.interaction import INTERACTIONS, LEVEL_SCORINGS
from video_colbert.index.windows import WindowSettings

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
    from video_colbert.encoding.hits import SearchHit
    from video_colbert.index.search.level_bags import LevelBags


class VideoIndex(Protocol):
    """A store of encoded videos: what is known of each, and its tokens, which queries are scored against.

    `open_index` gives it an encoder and the methods that take files and texts.

    Attributes:
        location: folder or address.
        model: which weights made the vectors.
        num_frames: frames sampled from each video; None for as many as there are.
        windows: how long videos are cut; None for videos as a whole.
        interactions: the ways in which it scores queries, by their names in a model's configuration.
        level_scorings: the ways in which it makes one score of levels, likewise.
    """

    interactions: Collection[str] = INTERACTIONS
    level_scorings: Collection[str] = LEVEL_SCORINGS
    location: str
    model: ModelReference
    num_frames: int | None
    windows: WindowSettings | None

    def __len__(self) -> int:
        """The number of videos, or windows, that are stored."""
        ...

    @property
    def levels(self) -> Collection[str]:
        """The levels that stored videos have tokens of; none before the first."""
        return ()

    @property
    def options(self) -> Mapping[str, object]:
        """What else the index was made with, by name, such as the codec of its tokens."""
        ...

    @property
    def videos(self) -> tuple[IndexedVideo, ...]:
        """What is known of each stored video, or window, as of the latest commit."""

    def videos_where(self, condition: Filter | str) -> tuple[IndexedVideo, ...]:
        """Those of `videos` of which a condition holds.

        Args:
            condition: as of `search`.

        Raises:
            FilterError: as `search`.
            IndexStoreError: likewise.
        """
        ...

    def videos_of_contents(self, contents: Collection[str]) -> Mapping[str, IndexedVideo]:
        """The first video or window of each of some contents.

        Args:
            contents: digests; those that are not stored are left out.

        Returns:
            By digest.

        Raises:
            IndexStoreError: as `search`.
        """
        return {video.digest: video for video in reversed(self.videos) if video.digest in contents}

    def tokens_of(self, ids: Sequence[str]) -> LevelBags:
        """The tokens of some stored videos or windows, float16, in the order of their ids.

        Raises:
            IndexStoreError: one is not stored, or as `search`.
        """
        ...

    def sampled_tokens(self, count: int) -> LevelBags | None:
        """The tokens of at most `count` videos or windows, the same ones each time; None of an empty index.

        Raises:
            IndexStoreError: as `search`.
        """
        ...

    @property
    def columns(self) -> Mapping[str, str]:
        """What `search` can filter by: by column, in words what it holds."""
        ...

    @property
    def num_bytes(self) -> int | None:
        """What the index takes where it is stored, earlier versions included; None where that is not known."""
        ...

    def add(self, videos: Sequence[tuple[IndexedVideo, EncodedVideo]], *, renews: bool = False) -> None:
        """Stores videos; when this returns they are stored for good.

        What is there already (same content and window) is left; another content at a known path and window takes
        the old one's place. Metadata may have columns that are new to the index.

        Args:
            videos: what to know of each video, and its tokens.
            renews: whether what is there already gets these tokens; what else is known of it stays.

        Raises:
            ModelMismatchError: tokens have another size or other levels than those stored.
            IndexStoreError: the index cannot be written or reached, or metadata does not fit its columns.
        """
        ...

    def move(self, paths: Mapping[str, str]) -> None:
        """Records new paths of files that were moved or renamed.

        What else is stored at a new path stays, since it may be about to move too, as when two files swap names.

        Args:
            paths: id of a video to the absolute path it has now; ids that are not stored are passed over.

        Raises:
            IndexStoreError: the index cannot be written or reached.
        """
        ...

    def set_copies(self, copies: Mapping[str, Sequence[str]]) -> None:
        """Records which other files hold the content of videos that are stored.

        Args:
            copies: by id, their absolute paths; ids that are not stored are passed over.

        Raises:
            IndexStoreError: as `add`.
        """
        ...

    @property
    def readings(self) -> ReadingStore:
        """What was read of the videos' contents; it goes with them."""
        ...

    @property
    def passages(self) -> PassageStore:
        """What was read as it is searched: texts and their tokens."""
        ...

    @property
    def notes(self) -> IndexNotes:
        """What the index notes of what was indexed into it, as of the latest commit."""
        ...

    def set_notes(self, notes: IndexNotes) -> None:
        """Notes what was indexed into it, in place of what is noted.

        Raises:
            IndexStoreError: the index cannot be written or reached.
        """
        ...

    def set_facts(self, facts: Mapping[str, FileFacts]) -> None:
        """Records what is known of the files of videos that are stored.

        Args:
            facts: by id; ids that are not stored are passed over.

        Raises:
            IndexStoreError: as `add`.
        """
        ...

    def remove(self, ids: Collection[str]) -> int:
        """Removes videos.

        Args:
            ids: of the videos; those that are not stored are passed over.

        Returns:
            How many of them were stored.

        Raises:
            IndexStoreError: the index cannot be written or reached.
        """
        ...

    def forget(self, ids: Collection[str]) -> Sequence[str]:
        """Removes videos, and what this store keeps of them beside: earlier versions and files.

        Args:
            ids: of the videos; those that are not stored are passed over. Without any, what videos that were removed
                or replaced before have left goes, as far as the store can tell.

        Returns:
            What may still hold something of them, out of this package's reach, in words.

        Raises:
            IndexStoreError: the index cannot be written or reached.
        """
        ...

    def check_metadata(self, values: Iterable[Mapping[str, MetadataValue]]) -> None:
        """Checks, before any work, that metadata can be stored here.

        Raises:
            IndexStoreError: a name or a value cannot be stored, or does not fit the column of that name; or the
                index cannot be reached.
        """
        ...

    def set_metadata(self, values: Mapping[str, Mapping[str, MetadataValue | None]]) -> None:
        """Sets metadata of videos that are stored.

        Args:
            values: by id, the value of each column; every id has the same columns, and None where it has no value.
                Other columns are left as they are, and ids that are not stored are passed over.

        Raises:
            IndexStoreError: as `add`.
        """
        ...

    def search(
        self,
        queries: EncodedQueries,
        *,
        top_k: int = 10,
        where: Filter | str | None = None,
        group_windows: bool = True,
    ) -> list[list[SearchHit]]:
        """Finds the best videos for each query, as the latest commit left them.

        Args:
            queries: from the encoder of the model that made this index.
            top_k: hits a query, at most.
            where: a condition that hits must satisfy, such as "year >= 2020"; `filters.py` describes the language.
                The best are chosen among those that satisfy it.
            group_windows: of the windows of one video, give the best only.

        Returns:
            For each query its hits, best first.

        Raises:
            ValueError: `top_k` is below 1.
            FilterError: the condition is not understood, or asks for a column that the index does not have.
            ModelMismatchError: the queries' tokens have another size than those stored.
            IndexStoreError: the index is damaged, cannot be read or cannot be reached.
        """
        ...

    @property
    def calibration(self) -> Calibration | None:
        """How the last search chose its candidates; None where it scored all videos or needs no calibration."""
        ...

    @property
    def needs_calibration(self) -> bool:
        """Whether `calibrate` would make searches faster: there are many videos, and none or few were measured."""
        ...

    def calibrate(self, queries: EncodedQueries | None = None) -> Calibration:
        """Measures how many candidates a search takes to find what an exact one would, and stores it.

        Args:
            queries: queries such as users ask; by default they are made from stored tokens.

        Raises:
            ValueError: the index holds no videos.
            IndexStoreError: the index cannot be written, or has nothing to calibrate.
        """
        ...

    def close(self) -> None:
        """Lets go of connections and memory; the index cannot be used any more."""
        ...


def check_model(index: VideoIndex, model: ModelReference) -> None:
    """Checks that vectors of a model can be compared with those that an index stores.

    Args:
        index: the index.
        model: the model that will be used with it.

    Raises:
        ModelMismatchError: the index was made by another model or another revision, or holds texts only.
    """
    check_takes_videos(index.model, index.location)
    if model.revision != index.model.revision:
        raise ModelMismatchError(
            f"the index in {index.location} was made with {index.model}, not with {model}; use that model or another "
            "index"
        )


def check_takes_videos(model: ModelReference, location: str) -> None:
    """Checks that an index is one of videos.

    Args:
        model: of the index.
        location: of the index, for the error.

    Raises:
        ModelMismatchError: it holds texts only.
    """
    if model == NO_VIDEO_MODEL:
        raise ModelMismatchError(f"the index in {location} holds texts only and takes no videos; choose another index")


def forget_notes(index: VideoIndex, ids: Collection[str]) -> None:
    """Drops what an index notes of the contents of videos that are to be forgotten.

    Args:
        index: the index, which still holds them.
        ids: of the videos.

    Raises:
        IndexStoreError: the index cannot be written or reached.
    """
    noted = index.notes
    notes = noted.without_contents({video.digest for video in index.videos if video.id in ids})
    if notes != noted:
        index.set_notes(notes)
