"""What every index can do, wherever it stores its videos."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
from video_colbert.encoding.pretrained import ModelReference
from video_colbert.index.filters import Filter
from video_colbert.index.hits import SearchHit
from video_colbert.index.indexed_video import IndexedVideo, MetadataValue


class VideoIndex(Protocol):
    """What every index can do, wherever it stores its videos.

    Attributes:
        location: folder or address.
        model: which weights made the vectors.
        num_frames: frames sampled from each video; None for as many as there are.
    """

    location: str
    model: ModelReference
    num_frames: int | None

    def __len__(self) -> int:
        """The number of videos, or windows, that are stored."""
        ...

    @property
    def videos(self) -> tuple[IndexedVideo, ...]:
        """What is known of each stored video."""
        ...

    def check_model(self, model: ModelReference) -> None:
        """As `Index.check_model`."""
        ...

    def add(self, videos: Sequence[tuple[IndexedVideo, EncodedVideo]]) -> None:
        """As `Index.add`."""
        ...

    def move(self, paths: Mapping[str, str]) -> None:
        """As `Index.move`."""
        ...

    def set_copies(self, copies: Mapping[str, Sequence[str]]) -> None:
        """As `Index.set_copies`."""
        ...

    def remove(self, ids: Collection[str]) -> int:
        """As `Index.remove`."""
        ...

    def check_metadata(self, values: Iterable[Mapping[str, MetadataValue]]) -> None:
        """As `Index.check_metadata`."""
        ...

    def set_metadata(self, values: Mapping[str, Mapping[str, MetadataValue | None]]) -> None:
        """As `Index.set_metadata`."""
        ...

    def search(
        self,
        queries: EncodedQueries,
        *,
        top_k: int = 10,
        where: Filter | str | None = None,
        group_windows: bool = True,
    ) -> list[list[SearchHit]]:
        """As `Index.search`."""
        ...
