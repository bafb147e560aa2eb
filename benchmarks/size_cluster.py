"""How much memory, disk and processor an index needs: a local index, and a Qdrant cluster.

    python benchmarks/size_cluster.py                            the tables of docs/scale.md
    python benchmarks/size_cluster.py --videos 5e6 --frame-tokens 12 --replicas 2 --queries-per-second 50

Every constant says whether it was measured here, is advice of Qdrant's documentation, or is a guess to replace.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from benchmark_report import script_parser

from video_colbert.index.lance.token_codecs import CODEC_NAMES, token_codec

GB = 1e9
PINNED = ("pooled", "4bit", "int8", "float16")

# Measured (bench_qdrant_layout.py): bytes that the engine needs beyond the numbers themselves.
_BESIDE_A_MULTIVECTOR = 18
_BESIDE_A_CODE = {"int8": 4.7, "4bit": 9.0}
_BYTES_A_NUMBER = {"int8": 1.0, "4bit": 0.5}
_ID_BYTES = 30
_PAYLOAD_BYTES = 280
# Measured there too (21 to 31 microseconds), with room: a core's seconds for a candidate, 32 query tokens.
_CANDIDATE_SECONDS = 50e-6
# Derived: twice m = 16 links of at most 4 bytes. (At 6,000 videos it was 42 bytes: links are packed.)
_GRAPH_BYTES = 128
# Guessed: the path, kept twice, in the index by which uploads look it up.
_PATH_INDEX_BYTES = 200
# Advice of Qdrant's documentation: on both totals, for temporary segments, page cache and write-ahead log.
_HEADROOM = 1.2
_SHARDS_A_NODE = 2
# Measured (tests/test_sizing.py): path, digest and 12 times of a video in a local index, and what Lance adds.
_RECORD_BYTES = 480.0
# Measured on two cores (bench_search.py): 231 ms for 100,000 videos of 26 tokens, int8, one query of 32 tokens.
_SCAN_SECONDS = 2 * 0.231 / 1e5
# In memory each bag of a level has a scale, an offset and two norms.
_BESIDE_TWO_BAGS = 40


def bytes_of_a_video(frame_tokens: int, video_tokens: int, dim: int, token_copy: str | None) -> dict[str, float]:
    """Bytes of one video in a Qdrant collection, by part; the pooled vector is compressed as the tokens are.

    Args:
        frame_tokens: tokens of the frame level.
        video_tokens: tokens of the video level.
        dim: numbers in a token.
        token_copy: "int8" or "4bit" for a compressed copy beside float16, or None.
    """
    tokens = frame_tokens + video_tokens
    sizes = {"tokens": 2.0 * tokens * dim + 2 * _BESIDE_A_MULTIVECTOR, "pooled": 2.0 * 2 * dim}
    if token_copy is not None:
        copy = copy_bytes(tokens, dim, token_copy)
        sizes = {"tokens": sizes["tokens"] + copy["tokens"], "pooled": sizes["pooled"] + copy["pooled"]}
    return sizes


def copy_bytes(tokens: int, dim: int, kind: str) -> dict[str, float]:
    """Bytes of one video's compressed copies: of its tokens, and of its pooled vector of 2 `dim` numbers."""
    beside, number = _BESIDE_A_CODE[kind], _BYTES_A_NUMBER[kind]
    return {"tokens": tokens * (dim * number + beside), "pooled": 2 * dim * number + beside}


@dataclass(frozen=True)
class Workload:
    """What is stored and asked.

    Attributes:
        videos: videos, or windows of long ones.
        frame_tokens: tokens of the frame level.
        video_tokens: tokens of the video level.
        dim: numbers in a token.
        candidates: videos that a query scores by their tokens, over all shards together.
        queries_per_second: at the busiest time.
        replicas: copies of each shard.
        node_memory: bytes of memory of a machine.
        node_cores: its cores.
    """

    videos: float
    frame_tokens: int = 12
    video_tokens: int = 14
    dim: int = 512
    candidates: int = 1000
    queries_per_second: float = 100.0
    replicas: int = 2
    node_memory: float = 256 * GB
    node_cores: int = 32

    @property
    def tokens(self) -> int:
        """Tokens of both levels."""
        return self.frame_tokens + self.video_tokens


@dataclass(frozen=True)
class Need:
    """What it takes.

    Attributes:
        memory: bytes that must be in memory, all copies together.
        disk: bytes on disk, all copies together.
        nodes: machines, by memory or by processor, whichever needs more; at least one a copy.
        shards: two a machine.
        candidates_a_shard: what each shard must select so that all together hold the workload's candidates.
        core_seconds: of one query, over all machines.
    """

    memory: float
    disk: float
    nodes: int
    shards: int
    candidates_a_shard: int
    core_seconds: float


def local_bytes(workload: Workload, codec: str) -> dict[str, float]:
    """Bytes of one video in a local index on disk: its tokens by codec, its pooled vector, what is known of it.

    Args:
        workload: what is stored.
        codec: one of `token_codecs.CODEC_NAMES`.
    """
    tokens = workload.tokens * token_codec(codec).bytes_per_token(workload.dim)
    return {"tokens": float(tokens), "pooled": 2.0 * 2 * workload.dim, "record": _RECORD_BYTES}


def cluster_need(workload: Workload, pinned: str) -> Need:
    """What a Qdrant cluster needs.

    Args:
        workload: what is stored and asked.
        pinned: what is held in memory besides ids, graph and an int8 copy of the pooled vectors: "pooled" for
            nothing (tokens are read from disk), "4bit" or "int8" for that copy of the tokens, "float16" for the
            tokens themselves.
    """
    shape = (workload.frame_tokens, workload.video_tokens, workload.dim)
    stored = sum(bytes_of_a_video(*shape, None).values())
    pooled_copy = copy_bytes(workload.tokens, workload.dim, "int8")["pooled"]
    token_copy = copy_bytes(workload.tokens, workload.dim, pinned)["tokens"] if pinned in _BYTES_A_NUMBER else 0.0
    in_memory = _ID_BYTES + _GRAPH_BYTES + pooled_copy + token_copy
    if pinned == "float16":
        in_memory += bytes_of_a_video(*shape, None)["tokens"]
    on_disk = stored + pooled_copy + token_copy + _ID_BYTES + _GRAPH_BYTES + _PAYLOAD_BYTES + _PATH_INDEX_BYTES
    copies = workload.videos * workload.replicas * _HEADROOM
    by_memory = math.ceil(copies * in_memory / workload.node_memory)
    nodes = max(by_memory, workload.replicas)
    # More machines mean more shards, and those more candidates: a few rounds settle it.
    for _ in range(20):
        shards = max(1, math.ceil(nodes * _SHARDS_A_NODE / workload.replicas))
        each = candidates_a_shard(workload.candidates, shards)
        seconds = shards * each * _CANDIDATE_SECONDS * (workload.tokens * workload.dim) / (26 * 512)
        nodes = max(nodes, math.ceil(workload.queries_per_second * seconds / workload.node_cores))
    return Need(copies * in_memory, copies * on_disk, nodes, shards, each, seconds)


def candidates_a_shard(candidates: int, shards: int) -> int:
    """How many of the nearest videos each shard must select so that all together hold the nearest `candidates`.

    Videos are spread over shards at random, so a shard's part of them is about Poisson; four standard deviations
    more than the mean leave out one part in some ten thousand.

    Args:
        candidates: over all shards.
        shards: parts of the collection.
    """
    mean = candidates / shards
    return candidates if shards == 1 else min(candidates, math.ceil(mean + 4 * math.sqrt(mean)))


def tables() -> dict[str, str]:
    """The tables of docs/scale.md, by what they are about."""
    return {"local": _local_table(), "cluster": _cluster_table()}


def _local_table() -> str:
    heads = [f"disk, {codec}" for codec in CODEC_NAMES]
    rows = [["videos", *heads, "memory, all scored", "core-seconds a query", "memory, candidates", "read a query"]]
    for videos, name in ((1e5, "100,000"), (1e6, "1 M"), (1e7, "10 M"), (1e8, "100 M")):
        workload = Workload(videos)
        sizes = [videos * sum(local_bytes(workload, codec).values()) for codec in CODEC_NAMES]
        # Int8 to scan, float16 to score the best again.
        scanned = videos * (3 * workload.tokens * workload.dim + _BESIDE_TWO_BAGS)
        pooled = videos * 2 * 2 * workload.dim
        seconds = videos * _SCAN_SECONDS
        rows.append([name, *map(amount, sizes), amount(scanned), f"{seconds:.3g}", amount(pooled), amount(pooled)])
    return _markdown(rows)


def _cluster_table() -> str:
    rows = [
        ["videos", "in memory", "memory", "disk", "machines", "shards", "`candidates`", "core-ms a query", "reads/s"]
    ]
    for videos, name in ((1e6, "1 M"), (1e8, "100 M"), (1e9, "1 B")):
        for pinned in PINNED:
            workload = Workload(videos)
            need = cluster_need(workload, pinned)
            # The two levels of each candidate; where a copy is in memory, only the hits' own tokens are read.
            reads = workload.queries_per_second * need.shards * need.candidates_a_shard * 2
            sizes = [amount(need.memory), amount(need.disk)]
            counts = [str(count) for count in (need.nodes, need.shards, need.candidates_a_shard)]
            work = [f"{1e3 * need.core_seconds:.0f}", f"{reads:,.0f}" if pinned == "pooled" else "few"]
            rows.append([name, pinned, *sizes, *counts, *work])
    return _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def amount(size: float) -> str:
    """Bytes in GB or TB, to three digits."""
    return f"{size / 1e12:.3g} TB" if size >= 1e12 else f"{size / GB:.3g} GB"


def main() -> int:
    """Prints the tables, or what one workload needs."""
    parser = script_parser(__doc__)
    parser.add_argument("--videos", type=float, help="videos, or windows of long ones")
    for name in ("frame-tokens", "video-tokens", "dim", "candidates", "replicas", "node-cores"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("queries-per-second", "node-memory"):
        parser.add_argument(f"--{name}", type=float)
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    if not given:
        print("\n\n".join(tables().values()))
        return 0
    workload = Workload(**({"videos": 1e6} | given))
    for pinned in PINNED:
        need = cluster_need(workload, pinned)
        print(
            f"{pinned:>6} in memory: {amount(need.memory)} memory, {amount(need.disk)} disk, {need.nodes} machines, "
            f"{need.shards} shards, candidates={need.candidates_a_shard}, "
            f"{1e3 * need.core_seconds:.0f} core-ms a query"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
