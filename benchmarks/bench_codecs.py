"""What codecs for tokens cost: bytes a token, and recall@10 of a search of what is stored against float32 tokens.

Two collections: 5,300 clips of moving shapes through the model of `demo.py`, asked with the 200 captions of its test
clips (`trained_tokens.py`), and 4,000 clustered videos of 512 dimensions, asked with 200 queries
(`clustered_tokens.py`), each of 12 frame and 14 video tokens. They are stored by the codecs of an index
(`token_codecs.py`), whose `compact` learns a code a level from 2,048 of the videos; by the same transform code at
other sizes (`transform_code.py`); and, for comparison, by what needs no learning: a random rotation of each token, the
best 16 levels for a normal distribution, and a scale. Then tokens that are merged with their neighbours before.

Targets. Moving shapes: `compact` at most 33 bytes a token with a recall of .98, the recall of int8 by a transform code
of 44 bytes, and the ten best among the 50 best by a code of 10 bytes in 99.5 % of the cases. Clustered: `compact`
takes no more bytes than the rotation, loses no more, and finds as much to a percent. The script runs for some minutes,
without the demo.
"""

import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from benchmark_report import Target, run_benchmark
from clustered_tokens import ClusteredTokens
from torch import Tensor
from trained_tokens import trained_tokens

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.lance.token_codecs import CompactCodec, TokenCodec, encode_bags, token_codec
from video_colbert.index.lance.token_merging import merge_neighbours
from video_colbert.index.search.axis_bits import normal_levels
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.scoring import score_bags
from video_colbert.index.search.token_bags import TokenBags
from video_colbert.index.search.transform_code import TransformCode

CLUSTERED_VIDEOS, QUERIES = 4000, 200
LEARNED_FROM = 2048
TOP_K, CANDIDATES = 10, 50
SIMILARITIES = (0.95, 0.8)

Store = Callable[[str, TokenBags], TokenBags]
"""Gives the bags of a level as they are found after they were stored."""


@dataclass(frozen=True)
class Stored:
    """What a way to store tokens costs.

    Attributes:
        bytes_a_token: its size.
        lost: share of the tokens' energy that is lost.
        recall: share of the ten best videos that are the ten best of what was stored.
        among_candidates: share of them that are among its 50 best.
    """

    bytes_a_token: float
    lost: float
    recall: float
    among_candidates: float

    def __str__(self) -> str:
        return (
            f"{self.bytes_a_token:7.1f} bytes   lost {self.lost:.6f}   recall@10 {self.recall:.4f}   "
            f"among {CANDIDATES} {self.among_candidates:.4f}"
        )


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Compares codecs on both collections."""
    shapes = codec_table("moving shapes", *trained_tokens(), sizes=(8, 10, 32, 44))
    made = ClusteredTokens(CLUSTERED_VIDEOS, dtype=torch.float32).make(QUERIES)
    clustered = codec_table("clustered", *made, sizes=(256, 352))
    figures = {f"moving shapes: {name}": str(stored) for name, stored in shapes.items()}
    figures |= {f"clustered: {name}": str(stored) for name, stored in clustered.items()}
    rotation = clustered["rotation, 4 bits"]
    targets = [
        Target("moving shapes: bytes a token of compact", shapes["compact"].bytes_a_token, 33, at_least=False),
        Target("moving shapes: recall@10 of compact", shapes["compact"].recall, 0.98, at_least=True),
        Target("moving shapes: recall@10 of 44 bytes", shapes["code of 44 bytes"].recall, shapes["int8"].recall, True),
        Target(
            f"moving shapes: ten best among {CANDIDATES} by 10 bytes",
            shapes["code of 10 bytes"].among_candidates,
            0.995,
            at_least=True,
        ),
        Target("clustered: bytes of compact", clustered["compact"].bytes_a_token, rotation.bytes_a_token, False),
        Target("clustered: share lost by compact", clustered["compact"].lost, rotation.lost, at_least=False),
        Target("clustered: recall@10 of compact", clustered["compact"].recall, rotation.recall - 0.01, at_least=True),
    ]
    return figures, targets


def codec_table(name: str, bags: LevelBags, queries: EncodedQueries, sizes: tuple[int, ...]) -> dict[str, Stored]:
    """Prints and returns what each way to store float32 tokens costs."""
    exact = score_bags(queries, bags).scores.topk(TOP_K).indices
    width = bags["frame"].dimension
    order = torch.randperm(bags.num_videos, generator=torch.Generator().manual_seed(0))
    sample = bags.select(order[:LEARNED_FROM])
    print(f"\n{name}: {bags.num_videos} videos, {width} dimensions", flush=True)
    found: dict[str, Stored] = {}

    def add(title: str, levels: LevelBags, bytes_a_token: float, store: Store) -> None:
        stored = LevelBags({level: store(level, of_level) for level, of_level in levels.items()})
        pairs = [(of_level.tokens.float(), stored[level].tokens.float()) for level, of_level in levels.items()]
        lost = sum(float((was - now).square().sum()) for was, now in pairs)
        energy = sum(float(was.square().sum()) for was, _ in pairs)
        best = score_bags(queries, stored).scores.topk(CANDIDATES).indices
        recall, among = recall_of(best[:, :TOP_K], exact), recall_of(best, exact)
        found[title] = Stored(bytes_a_token, lost / energy, recall, among)
        print(f"  {title:44} {found[title]}", flush=True)

    for codec in ("float16", "int8"):
        plain = token_codec(codec)
        add(codec, bags, plain.bytes_per_token(width), partial(as_stored, plain))
    compact = {
        level: CompactCodec({0: TransformCode.learn(of_level.tokens, CompactCodec.code_bytes(width))}, 0)
        for level, of_level in sample.items()
    }
    add("compact", bags, CompactCodec().bytes_per_token(width), lambda level, of: encode_bags(compact[level], of))
    add("rotation, 4 bits", bags, width / 2 + 2, rotated)
    for size in sizes:
        codes = {level: TransformCode.learn(of_level.tokens, size) for level, of_level in sample.items()}
        add(f"code of {size} bytes", bags, size, partial(decoded, codes))
    for similarity in SIMILARITIES:
        fewer = LevelBags({level: merged(of, similarity) for level, of in bags.items()})
        share = sum(len(of.tokens) for of in fewer.values()) / sum(len(of.tokens) for of in bags.values())
        title = f"neighbours of cosine {similarity} merged, float16"
        add(title, fewer, share * 2 * width, partial(as_stored, token_codec("float16")))
    return found


def as_stored(codec: TokenCodec, _: str, bags: TokenBags) -> TokenBags:
    """Bags after they were stored by the same codec on every level."""
    return encode_bags(codec, bags)


def decoded(codes: Mapping[str, TransformCode], level: str, bags: TokenBags) -> TokenBags:
    """Bags after they were encoded by the code of their level."""
    code = codes[level]
    return TokenBags(code.decode(code.encode(bags.tokens)), bags.offsets)


def rotated(_: str, bags: TokenBags) -> TokenBags:
    """Bags after each token was turned at random and each number stored by 4 bits, with the best scale a token."""
    generator = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(bags.dimension, bags.dimension, generator=generator)).Q
    turned = bags.tokens @ turn
    levels = normal_levels(4)[0].float()
    deviations = turned.square().mean(dim=1, keepdim=True).sqrt()
    chosen = levels[torch.bucketize(turned / deviations, (levels[1:] + levels[:-1]) / 2)]
    scales = (turned * chosen).sum(dim=1) / chosen.square().sum(dim=1)
    return TokenBags((chosen * scales.half().float()[:, None]) @ turn.T, bags.offsets)


def merged(bags: TokenBags, similarity: float) -> TokenBags:
    """Bags whose first 12 tokens, those of frames, are merged where neighbours are similar."""
    made = []
    for row in range(len(bags)):
        tokens = bags.bag(row)
        made.append(torch.cat([merge_neighbours(tokens[:12], similarity).tokens, tokens[12:]]))
    lengths = torch.tensor([0, *(len(bag) for bag in made)])
    return TokenBags(torch.cat(made), lengths.cumsum(0))


def recall_of(found: Tensor, exact: Tensor) -> float:
    """Share of the exact best rows that were found."""
    return statistics.mean(
        len(set(rows) & set(best)) / len(best) for rows, best in zip(found.tolist(), exact.tolist(), strict=True)
    )


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", measure))
