"""Search of 100,000 made videos and of the clips of a trained model, against Qdrant Edge and LanceDB.

Two collections: 100,000 clustered videos of 12 frame and 14 video tokens, 512 dimensions, asked with queries of 32
tokens (`clustered_tokens.py`, seed 0), and 5,300 clips of moving shapes through the model of `demo.py`, asked with
captions of test clips (`trained_tokens.py`). The ten best by the exact two-level sum of the stored float16 tokens are
the truth; latency is the median of single queries, every side in turn, two threads for each, after it has answered
all of them once: a system gives the memory of files that nobody reads to others, and building a side takes minutes.

This project searches a Lance index on disk with `open_index(folder).search` and nothing else said, hits with their
moments included: above 20,000 videos candidates, as many as its own calibration says, scored from mapped files, and
the best again in float32. The same with tokens held in memory (`hold_tokens=True`) is printed beside it, and, on
tokens in memory, the searcher alone and a scan of all videos; for the clips, what candidates would give. Qdrant Edge
finds candidates by its graph over the same pooled vectors, or compares all of them, and scores both levels natively in
the same query; of all its settings tried, the fastest with a recall@10 of at least .99 counts, or the one of highest
recall where none reaches that. LanceDB's own multivector search, without an index, is asked for 1,000 of the videos.
What building costs is printed, not compared.

Targets, on both collections: recall@10 of at least .99 and at most 0.7 of Qdrant Edge's time. The script runs for
about ten minutes, without the demo, and needs 12 GB of memory and 7 GB of disk.
"""

import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from benchmark_report import Target, run_benchmark
from clustered_tokens import ClusteredTokens, exact_scores
from qdrant_edge_peer import QdrantEdgePeer, pooled_mean
from trained_tokens import trained_tokens

from video_colbert import open_index
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, VideoClip
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.index import Index, IndexedVideo, LanceIndex
from video_colbert.index.search.level_bags import LevelBags, TokensInMemory
from video_colbert.index.search.rescoring import single_query
from video_colbert.index.search.searcher import Searcher
from video_colbert.index.search.token_bags import TokenBags

VIDEOS, TOP_K, QUERIES = 100_000, 10, 32
LANCE_VIDEOS, LANCE_QUERIES = 1000, 3
STORED_AT_ONCE = 5000
RECALL = 0.99
LATENCY = 0.7
CANDIDATES = (200, 500, 1000, 2000, 4000)

SearchOfOne = Callable[[int], list[int]]
"""Gives the best rows for the query of this number."""


@dataclass(frozen=True)
class Answers:
    """What a side found and how long a query took, in milliseconds."""

    recall: float
    milliseconds: float

    def __str__(self) -> str:
        return f"{self.milliseconds:8.1f} ms   recall@10 {self.recall:.3f}"


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Compares all sides on both collections."""
    figures: dict[str, Any] = {}
    targets: list[Target] = []
    bags, captions = trained_tokens()
    queries = captions.select(range(QUERIES))
    halved = {level: TokenBags(of_level.tokens.half(), of_level.offsets) for level, of_level in bags.items()}
    compare("moving_shapes", TokensInMemory(LevelBags(halved)), queries, figures, targets)
    bags, queries = ClusteredTokens(VIDEOS).make(QUERIES)
    compare("clustered", TokensInMemory(bags), queries, figures, targets)
    lance(bags.part(0, LANCE_VIDEOS), queries, figures)
    return figures, targets


def compare(
    name: str, source: TokensInMemory, queries: EncodedQueries, figures: dict[str, Any], targets: list[Target]
) -> None:
    """Times this project and Qdrant Edge on one collection."""
    exact = [scores.topk(TOP_K).indices.tolist() for scores in exact_scores(queries, source.levels)]
    print(f"\n{name}: {len(source)} videos")
    searchers = {"searcher": Searcher(source, hold_tokens=True)}
    if searchers["searcher"].is_exact:
        searchers["searcher, by candidates"] = Searcher(source, exact_limit=0, hold_tokens=True)
    else:
        searchers["searcher, all videos scored"] = Searcher(source, exact_limit=len(source))
    sides = {side: rows_from_memory(searcher, queries) for side, searcher in searchers.items()}
    for side, search in sides.items():
        first_search(side, search)
    print(f"  {searchers['searcher'].calibration}")
    is_large = not searchers["searcher"].is_exact
    answers = ask(sides, exact)
    # Their tokens would push the files of the others out of memory.
    del searchers, sides, search
    gc.collect()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        store(Path(folder) / "index", source)
        print(f"  Lance index: stored in {time.perf_counter() - started:.0f} s", flush=True)
        indexes = {"ours": open_index(Path(folder) / "index")}
        if is_large:
            indexes["ours, tokens held"] = open_index(Path(folder) / "index", hold_tokens=True)
        sides = {side: rows_from_index(index, queries) for side, index in indexes.items()}
        for side, search in sides.items():
            first_search(side, search)
        started = time.perf_counter()
        edge = QdrantEdgePeer(Path(folder) / "edge", source)
        ingested = time.perf_counter()
        edge.optimize()
        print(
            f"  Qdrant Edge: stored in {ingested - started:.0f} s, optimised in {time.perf_counter() - ingested:.0f} s"
        )
        gc.collect()
        for candidates in CANDIDATES:
            for is_exact in (False, True):
                side = f"Qdrant Edge, {candidates} of {'all' if is_exact else 'the graph'}"
                sides[side] = rows_from_edge(edge, queries, min(candidates, len(source)), is_exact)
        answers |= ask(sides, exact)
        edge.close()
    for side, found in answers.items():
        print(f"  {side:36} {found}")
    peers = [found for side, found in answers.items() if side.startswith("Qdrant")]
    reaching = [found for found in peers if found.recall >= RECALL]
    best_peer = (
        min(reaching, key=lambda found: found.milliseconds) if reaching else max(peers, key=lambda found: found.recall)
    )
    ratio = answers["ours"].milliseconds / best_peer.milliseconds
    figures |= {f"{name}: {side}": str(found) for side, found in answers.items()}
    figures |= {f"{name}: best Qdrant Edge": str(best_peer), f"{name}: ours over Qdrant Edge": ratio}
    targets += [
        Target(f"{name}: recall@10", answers["ours"].recall, RECALL, at_least=True),
        Target(f"{name}: latency over that of Qdrant Edge", ratio, LATENCY, at_least=False),
    ]


def store(folder: Path, source: TokensInMemory) -> None:
    """Adds all videos to a new index; the path of a video is its row."""
    index = LanceIndex.create(folder, model=ModelReference("made/by-this-benchmark", "0" * 40), num_frames=None)
    lengths = source.levels["frame"].lengths.tolist()
    for first in range(0, len(source), STORED_AT_ONCE):
        added = []
        for row in range(first, min(first + STORED_AT_ONCE, len(source))):
            times = tuple(float(second) for second in range(lengths[row]))
            video = IndexedVideo(path=str(row), digest=f"{row:064x}", duration=float(len(times)), timestamps=times)
            embeds = {level: bags.bag(row) for level, bags in source.levels.items()}
            added.append((video, EncodedVideo(VideoClip(str(row)), video.duration, np.array(times), embeds)))
        index.add(added)


def rows_from_memory(searcher: Searcher, queries: EncodedQueries) -> SearchOfOne:
    """A searcher's best rows for one of the queries."""
    return lambda query: searcher.top(single_query(queries, query), TOP_K).rows[0].tolist()


def rows_from_index(index: Index, queries: EncodedQueries) -> SearchOfOne:
    """An index's best rows, which are its paths."""
    return lambda query: [int(hit.video) for hit in index.search(single_query(queries, query), top_k=TOP_K)[0]]


def rows_from_edge(edge: QdrantEdgePeer, queries: EncodedQueries, candidates: int, is_exact: bool) -> SearchOfOne:
    """Qdrant Edge's best rows among so many candidates, found by its graph or by comparing all."""

    def search(query: int) -> list[int]:
        embeds = queries.bags_of("frame").embeds[query]
        return edge.search(embeds, pooled_mean(embeds), TOP_K, candidates=candidates, is_exact=is_exact)

    return search


def first_search(side: str, search: SearchOfOne) -> None:
    """Lets a side read, and calibrate, what it needs."""
    started = time.perf_counter()
    search(0)
    print(f"  {side}: first search {time.perf_counter() - started:.1f} s", flush=True)


def ask(sides: Mapping[str, SearchOfOne], exact: Sequence[Sequence[int]]) -> dict[str, Answers]:
    """Asks all sides the same queries in turn, each twice; the second time counts, when what it reads is in memory."""
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    recalls: dict[str, list[float]] = {side: [] for side in sides}
    for side, search in sides.items():
        for query in range(len(exact)):
            search(query)
        for query, best in enumerate(exact):
            started = time.perf_counter()
            rows = search(query)
            seconds[side].append(time.perf_counter() - started)
            recalls[side].append(len(set(rows) & set(best)) / len(best))
    return {side: Answers(statistics.mean(recalls[side]), 1000 * statistics.median(seconds[side])) for side in sides}


def lance(bags: LevelBags, queries: EncodedQueries, figures: dict[str, Any]) -> None:
    """Times LanceDB's own multivector search on some videos, a search a level, and this project on the same."""
    columns = {
        level: pa.array(
            [of_level.bag(row).float().tolist() for row in range(len(of_level))],
            pa.list_(pa.list_(pa.float32(), of_level.dimension)),
        )
        for level, of_level in bags.items()
    }
    searcher = Searcher(TokensInMemory(bags))
    exact = [scores.topk(TOP_K).indices.tolist() for scores in exact_scores(queries, bags)][:LANCE_QUERIES]
    with tempfile.TemporaryDirectory() as folder:
        table = lancedb.connect(folder).create_table("videos", pa.table({"row": range(bags.num_videos), **columns}))

        def own_search(query: int) -> list[int]:
            distances: dict[int, float] = {}
            for level in columns:
                asked: Any = table.search(queries.bags_of("frame").embeds[query].numpy(), vector_column_name=level)
                for hit in asked.distance_type("cosine").select(["row", "_distance"]).limit(bags.num_videos).to_list():
                    distances[hit["row"]] = distances.get(hit["row"], 0.0) + hit["_distance"]
            return sorted(distances, key=distances.__getitem__)[:TOP_K]

        def ours(query: int) -> list[int]:
            return searcher.top(single_query(queries, query), TOP_K).rows[0].tolist()

        answers = ask({"LanceDB multivector": own_search, "ours": ours}, exact)
    print(f"\n{LANCE_VIDEOS} of the clustered videos")
    for side, found in answers.items():
        print(f"  {side:36} {found}")
    figures |= {f"{LANCE_VIDEOS} clustered: {side}": str(found) for side, found in answers.items()}
    figures["LanceDB multivector over ours"] = (
        answers["LanceDB multivector"].milliseconds / answers["ours"].milliseconds
    )


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", measure))
