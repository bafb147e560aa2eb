"""Token bags of videos on any number of named levels, and where a searcher gets them from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.index.search.token_bags import TokenBags

if TYPE_CHECKING:
    from video_colbert.index.search.cells.video_cells import VideoCells
    from video_colbert.index.search.quantized_bags import StoredBags


class LevelBags(Mapping[str, TokenBags]):
    """The bags of N videos on each level, by its name; a mapping that keeps the order of levels.

    Levels may differ in the dimension of their tokens, and a video may have no tokens on a level.

    Args:
        levels: bags by level, at least one level.

    Raises:
        ValueError: there is no level, or the levels have different numbers of bags.

    Example:
        >>> frames = TokenBags.from_bags([torch.ones(2, 4), torch.ones(1, 4)])
        >>> speech = TokenBags.from_bags([torch.zeros(0, 3), torch.ones(5, 3)])
        >>> LevelBags({"frame": frames, "speech": speech}).select([1, 1])
        LevelBags(2 videos; tokens frame: 2 of 4, speech: 10 of 3)
    """

    def __init__(self, levels: Mapping[str, TokenBags]) -> None:
        if not levels:
            raise ValueError("bags need at least one level")
        counts = {level: len(bags) for level, bags in levels.items()}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{count} on level {level}" for level, count in counts.items())
            raise ValueError(f"all levels must have the same number of bags, got {listed}")
        self._levels = dict(levels)

    def __getitem__(self, level: str) -> TokenBags:
        return self._levels[level]

    def __iter__(self) -> Iterator[str]:
        return iter(self._levels)

    def __len__(self) -> int:
        """The number of levels."""
        return len(self._levels)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{level}: {len(bags.tokens)} of {bags.dimension}" for level, bags in self.items())
        return f"LevelBags({self.num_videos} videos; tokens {sizes})"

    @property
    def num_videos(self) -> int:
        """The number of videos, N."""
        return len(next(iter(self._levels.values())))

    @property
    def dimensions(self) -> dict[str, int]:
        """Numbers of a token by level."""
        return {level: bags.dimension for level, bags in self.items()}

    @classmethod
    def empty(cls, dimensions: Mapping[str, int]) -> LevelBags:
        """No videos, on levels of these dimensions."""
        none = torch.zeros(1, dtype=torch.int64)
        return cls({level: TokenBags(torch.zeros(0, size).half(), none) for level, size in dimensions.items()})

    @classmethod
    def concatenate(cls, parts: Sequence[LevelBags]) -> LevelBags:
        """The videos of several parts, at least one, with the same levels, one part after another."""
        return cls({level: TokenBags.concatenate([part[level] for part in parts]) for level in parts[0]})

    def select(self, rows: Sequence[int] | Tensor) -> LevelBags:
        """The videos of these rows, in this order; a row may come again."""
        return LevelBags({level: bags.select(rows) for level, bags in self.items()})

    def part(self, first: int, stop: int) -> LevelBags:
        """Videos `first` to `stop` (excluded) without copying their tokens."""
        return LevelBags({level: bags.part(first, stop) for level, bags in self.items()})

    @torch.inference_mode()
    def pooled(self) -> Tensor:
        """One vector a video: the means of its bags, each of unit length, one level behind another.

        Returns:
            float16 [N, P], where P is the sum of the levels' dimensions; zeros for a bag without tokens.
        """
        return torch.cat([F.normalize(bags.means(), dim=1).half() for bags in self.values()], dim=1)


class TokenSource(Protocol):
    """Where the token bags of N videos, or windows, come from; each is addressed by its row 0 to N - 1."""

    def __len__(self) -> int:
        """The number of videos, N."""
        ...

    @property
    def dimensions(self) -> Mapping[str, int]:
        """Numbers of a token by level; empty only where there are no videos."""
        ...

    def pooled(self) -> Tensor:
        """Pooled vectors, float16 [N, P], as `LevelBags.pooled` makes them."""
        ...

    def bags(self, rows: Tensor | None = None) -> LevelBags:
        """The bags of some videos.

        Args:
            rows: int64 [n], in any order; None for all videos in order.

        Returns:
            float16 bags in the order of `rows`.
        """
        ...

    def quantized_bags(self, rows: Tensor, levels: Collection[str]) -> Mapping[str, StoredBags] | None:
        """The bags of some videos in the number format int8, by level; None where they are not kept so.

        Args:
            rows: int64 [n], in any order.
            levels: that are wanted.
        """
        ...

    def cells(self, *, anew: bool = False) -> VideoCells | None:
        """The videos in cells, which are made when they are first wanted; None where they cannot be had.

        Args:
            anew: find cells for what is there now, rather than add to those that were found before.
        """
        ...

    def replace_cells(self, cells: VideoCells) -> None:
        """Gives up cells that turned out not to be what was written."""
        ...


class TokensInMemory:
    """Token bags that are held in memory.

    Args:
        levels: bags of N videos.
    """

    def __init__(self, levels: LevelBags) -> None:
        self.levels = levels
        self._pooled: Tensor | None = None

    def __len__(self) -> int:
        return self.levels.num_videos

    @property
    def dimensions(self) -> Mapping[str, int]:
        """Numbers of a token by level."""
        return self.levels.dimensions

    def pooled(self) -> Tensor:
        """Pooled vectors, float16 [N, P]."""
        if self._pooled is None:
            self._pooled = self.levels.pooled()
        return self._pooled

    def bags(self, rows: Tensor | None = None) -> LevelBags:
        """The bags of some videos, or of all."""
        return self.levels if rows is None else self.levels.select(rows)

    def quantized_bags(self, rows: Tensor, levels: Collection[str]) -> None:
        """None: they are kept as float16 alone."""
        return

    def cells(self, *, anew: bool = False) -> None:
        """None: what fits into memory is searched without."""
        return

    def replace_cells(self, cells: VideoCells) -> None:
        """There are none."""
