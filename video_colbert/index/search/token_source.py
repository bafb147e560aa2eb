"""Where a searcher gets tokens from."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from video_colbert.index.search.candidates import pool_bags
from video_colbert.index.search.token_bags import TokenBags


class TokenSource(Protocol):
    """Where the token bags of N videos, or windows, come from; each is addressed by its position 0 to N - 1."""

    def __len__(self) -> int:
        """The number of videos, N."""
        ...

    def pooled(self) -> Tensor:
        """Normalised mean pools, float16 [N, P], as `candidates.pool_bags` makes them."""
        ...

    def bags(self, rows: Tensor | None = None) -> tuple[TokenBags, TokenBags | None]:
        """Frame and video bags of some videos.

        Args:
            rows: int64 positions, in any order; None for all videos in order.

        Returns:
            float16 bags in the order of `rows`; None for the video level of a model without one.
        """
        ...


class TokensInMemory:
    """Token bags that are held in memory.

    Args:
        frames: N bags of frame tokens.
        videos: as many bags of video tokens; None for a model without the video level.

    Raises:
        ValueError: the levels have different numbers of bags.
    """

    def __init__(self, frames: TokenBags, videos: TokenBags | None) -> None:
        if videos is not None and len(videos) != len(frames):
            raise ValueError(f"there are {len(frames)} bags of frame tokens and {len(videos)} of video tokens")
        self.frames, self.videos = frames, videos
        self._pooled: Tensor | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def pooled(self) -> Tensor:
        """Normalised mean pools, float16 [N, P]."""
        if self._pooled is None:
            self._pooled = pool_bags(self.frames, self.videos)
        return self._pooled

    def bags(self, rows: Tensor | None = None) -> tuple[TokenBags, TokenBags | None]:
        """Frame and video bags of some videos, or of all."""
        if rows is None:
            return self.frames, self.videos
        return self.frames.select(rows), None if self.videos is None else self.videos.select(rows)
