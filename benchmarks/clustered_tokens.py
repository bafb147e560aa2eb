"""Made token bags that lie in clusters, as the videos of a collection do, and queries for some of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.token_bags import TokenBags

CLUSTERS = 20
# Videos made at once.
BLOCK = 2048


@dataclass(frozen=True)
class ClusteredTokens:
    """Describes made bags; equal descriptions give equal bags.

    A video's centre is the centre of one of 20 clusters, drawn at random, plus a direction of length 0.5, at unit
    length. A token is the centre plus a direction of length 1 that 3 neighbouring tokens share (they show the same)
    and one of length 1 of its own. The tokens of a query are a video's centre plus a direction of length 3 of their
    own, so that a text is far from every token. All are brought to unit length; directions are uniform.

    Attributes:
        num_videos: number of videos.
        width: dimensions.
        frame_tokens: tokens of the frame level.
        video_tokens: tokens of the video level.
        dtype: of the tokens; float16 as they are stored, or float32.
        seed: of everything drawn.
    """

    num_videos: int
    width: int = 512
    frame_tokens: int = 12
    video_tokens: int = 14
    dtype: torch.dtype = torch.float16
    seed: int = 0

    def make(self, num_queries: int, query_tokens: int = 32) -> tuple[LevelBags, EncodedQueries]:
        """Makes the bags of both levels and queries for the first videos of a random order."""
        generator = torch.Generator().manual_seed(self.seed)
        clusters = _directions(generator, CLUSTERS, self.width)
        chosen = torch.randint(len(clusters), (self.num_videos,), generator=generator)
        centres = F.normalize(clusters[chosen] + 0.5 * _directions(generator, self.num_videos, self.width), dim=-1)
        sizes = {"frame": self.frame_tokens, "video": self.video_tokens}
        levels = {level: self._level(centres, tokens, generator) for level, tokens in sizes.items()}
        asked = centres[torch.randperm(self.num_videos, generator=generator)[:num_queries]]
        noise = 3.0 * _directions(generator, num_queries, query_tokens, self.width)
        embeds = F.normalize(asked[:, None] + noise, dim=-1)
        return LevelBags(levels), queries_of(embeds)

    def blocks(self, num_queries: int, query_tokens: int = 32) -> tuple[Iterator[LevelBags], EncodedQueries]:
        """The same, but for what is drawn, some videos at a time, for more than memory holds.

        Equal descriptions give equal bags, and those of fewer videos begin those of more.
        """
        clusters = _directions(torch.Generator().manual_seed(self.seed), CLUSTERS, self.width)

        def centres_of(number: int, count: int) -> tuple[Tensor, torch.Generator]:
            generator = torch.Generator().manual_seed(1_000_003 * self.seed + 1 + number)
            chosen = torch.randint(len(clusters), (BLOCK,), generator=generator)
            spread = 0.5 * _directions(generator, BLOCK, self.width)
            return F.normalize(clusters[chosen] + spread, dim=-1)[:count], generator

        def made() -> Iterator[LevelBags]:
            for number, first in enumerate(range(0, self.num_videos, BLOCK)):
                centres, generator = centres_of(number, min(BLOCK, self.num_videos - first))
                sizes = {"frame": self.frame_tokens, "video": self.video_tokens}
                yield LevelBags({level: self._level(centres, tokens, generator) for level, tokens in sizes.items()})

        generator = torch.Generator().manual_seed(self.seed + 7)
        asked = centres_of(0, BLOCK)[0][torch.randperm(BLOCK, generator=generator)[:num_queries]]
        noise = 3.0 * _directions(generator, num_queries, query_tokens, self.width)
        return made(), queries_of(F.normalize(asked[:, None] + noise, dim=-1))

    def _level(self, centres: Tensor, tokens: int, generator: torch.Generator) -> TokenBags:
        made = torch.empty(len(centres) * tokens, self.width, dtype=self.dtype)
        filled = 0
        for part in torch.split(centres, BLOCK):
            shared = _directions(generator, len(part), -(-tokens // 3), self.width)
            own = _directions(generator, len(part), tokens, self.width)
            bags = part[:, None] + shared.repeat_interleave(3, dim=1)[:, :tokens] + own
            made[filled : filled + len(part) * tokens] = F.normalize(bags, dim=-1).flatten(0, 1)
            filled += len(part) * tokens
        return TokenBags(made, torch.arange(len(centres) + 1) * tokens)


def queries_of(embeds: Tensor) -> EncodedQueries:
    """Query tokens [Nq, Lq, D], all of which count, as encoded queries without words."""
    bags = QueryBags(embeds, torch.ones(embeds.shape[:2], dtype=torch.bool), [[] for _ in embeds])
    return EncodedQueries.of_one_encoder([""] * len(embeds), bags, ("frame", "video"))


def exact_scores(queries: EncodedQueries, levels: LevelBags) -> Iterator[Tensor]:
    """The float32 two-level scores [N] of each query, by plain products of even bags."""
    for embeds in queries.bags_of("frame").embeds:
        scores = torch.zeros(levels.num_videos)
        for bags in levels.values():
            length = len(bags.tokens) // len(bags)
            for number, tokens in enumerate(torch.split(bags.tokens, BLOCK * length)):
                similarities = (tokens.float() @ embeds.T).view(-1, length, len(embeds))
                scores[number * BLOCK : number * BLOCK + len(similarities)] += similarities.amax(1).mean(1)
        yield scores


def _directions(generator: torch.Generator, *shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=generator), dim=-1)
