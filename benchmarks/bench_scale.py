"""Search of 10,000 to 1,000,000 made videos of 26 tokens of 128 dimensions: what grows with an index, and how.

Two collections: videos that are distributed as those of a trained model (`fitted_tokens.py`) and clustered ones
(`clustered_tokens.py`), each asked 100 queries, one at a time. An index in a folder is made and added to by one
process and searched by another, as `video-colbert index` and `search` do: the latter opens it, answers all queries
twice and tells the median of either time, the recall of the ten best of an exact scan of the tokens, and the memory
that is its own (anonymous; pages of mapped files, which the system takes back when it wants, are told apart). Storing,
calibrating (which makes the cells above 300,000 videos), the first search (which maps the tokens) and adding 1,000
videos are timed.

Targets, on both: recall@10 of at least .99; with a million videos also at most 3 times the latency of 100,000
and anonymous memory of at most an eighth of what the float16 tokens take. The million takes half an hour of a core a
collection and 40 GB of disk, so a run without arguments does without; `--videos`, `--collections` and `--folder`
choose.
"""

import argparse
import gc
import re
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import torch
from benchmark_report import Target, run_benchmark
from clustered_tokens import ClusteredTokens
from fitted_tokens import FittedTokens
from own_process import run_in_own_process

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, VideoClip
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.index import IndexedVideo, LanceIndex
from video_colbert.index.lance.storage import TABLE_NAME
from video_colbert.index.search.cells.cell_calibration import exact_best
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.rescoring import single_query

SIZES = (10_000, 100_000)
MILLION = 1_000_000
COLLECTIONS = ("fitted", "clustered")
# Commits after which the versions before them are dropped.
COMMITS_OF_AN_HOUR = 50
QUERIES, TOP_K, ADDED, WIDTH, TOKENS = 100, 10, 1000, 128, 26
LATENCY, RECALL, MEMORY_SHARE = 3.0, 0.99, 1 / 8


def made(collection: str, num_videos: int) -> tuple[Iterator[LevelBags], EncodedQueries]:
    """The videos of a collection, some at a time, and its queries."""
    if collection == "fitted":
        tokens = FittedTokens.of(num_videos)
        return tokens.blocks(), tokens.queries(QUERIES)
    clustered = ClusteredTokens(num_videos, width=WIDTH)
    return clustered.blocks(QUERIES)


def measured(collection: str, num_videos: int, folder: Path) -> dict[str, float]:
    """Makes an index, and tells what a process that searches it takes."""
    figures: dict[str, float] = {}
    index = LanceIndex.create(folder / "index", model=ModelReference("made", collection), num_frames=12)
    blocks, _ = made(collection, num_videos + ADDED)
    later: list[tuple[IndexedVideo, EncodedVideo]] = []
    started = time.perf_counter()
    first = 0
    for bags in blocks:
        videos = [video_of(bags, row, first + row) for row in range(bags.num_videos)]
        kept = max(0, min(len(videos), num_videos - first))
        if kept:
            index.add(videos[:kept])
        later += videos[kept:]
        first += bags.num_videos
        if first % (COMMITS_OF_AN_HOUR * len(videos)) == 0:
            drop_old_versions(folder / "index")
    drop_old_versions(folder / "index")
    figures["seconds to make and store"] = time.perf_counter() - started
    started = time.perf_counter()
    if index.needs_calibration:
        print(f"  {index.calibrate()}", flush=True)
    figures["seconds to calibrate, cells included"] = time.perf_counter() - started
    del index
    gc.collect()
    figures |= run_in_own_process(search_side, f"{collection} {num_videos}", str(folder))
    index = LanceIndex.open(folder / "index")
    query = made(collection, num_videos)[1].select([0])
    index.search(query, top_k=TOP_K)
    started = time.perf_counter()
    index.add(later)
    index.search(query, top_k=TOP_K)
    figures[f"seconds to add {ADDED}, with the next search"] = time.perf_counter() - started
    files = [file for file in (folder / "index").rglob("*") if file.is_file()]
    figures["GB on disk"] = sum(file.stat().st_size for file in files) / 1e9
    figures["GB of it cells"] = sum(file.stat().st_size for file in files if "_cells" in file.parts) / 1e9
    return figures


def drop_old_versions(folder: Path) -> None:
    """Deletes what commits replaced, as an index does after an hour: encoding so many videos takes longer."""
    with warnings.catch_warnings():
        # Nobody reads them.
        warnings.filterwarnings("ignore", message=".*removes every version")
        table = lancedb.connect(str(folder)).open_table(TABLE_NAME)
        table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)


def search_side(side: str, folder: str) -> None:
    """Searches as a process of its own."""
    collection, _, size = side.partition(" ")
    num_videos = int(size)
    queries = made(collection, num_videos)[1]
    started = time.perf_counter()
    index = LanceIndex.open(Path(folder) / "index")
    index.search(queries.select([0]), top_k=TOP_K)
    opened = time.perf_counter() - started
    # What one index holds is measured.
    del index
    gc.collect()
    index = LanceIndex.open(Path(folder) / "index")
    started = time.perf_counter()
    index.search(queries.select([0]), top_k=TOP_K)
    opened_again = time.perf_counter() - started
    index.search(queries.select([1]), top_k=TOP_K)
    first, _ = answered(index, queries)
    # What a system keeps of files in its memory after they were made differs with their size; now all was read.
    seconds, found = answered(index, queries)
    memory = {name: int(value) / 1e6 for name, value in _memory()}
    best = exact_best(queries, stored_parts(collection, num_videos), TOP_K).tolist()
    result = {
        "seconds of the first search": opened,
        "seconds of opening again and searching": opened_again,
        "ms a search, asked for the first time": 1000 * statistics.median(first),
        "ms a search": 1000 * statistics.median(seconds),
        "recall@10": statistics.mean(len(rows & set(of)) / TOP_K for rows, of in zip(found, best, strict=True)),
        "MB anonymous": memory["RssAnon"],
        "MB of mapped files": memory["RssFile"],
    }
    torch.save(result, Path(folder) / side)


def answered(index: LanceIndex, queries: EncodedQueries) -> tuple[list[float], list[set[int]]]:
    """Seconds of each query, and the numbers of the videos that it found."""
    seconds, found = [], []
    for query in range(QUERIES):
        asked = single_query(queries, query)
        started = time.perf_counter()
        hits = index.search(asked, top_k=TOP_K)[0]
        seconds.append(time.perf_counter() - started)
        found.append({int(Path(hit.video).stem) for hit in hits})
    return seconds, found


def stored_parts(collection: str, num_videos: int) -> Iterator[LevelBags]:
    """The bags of the videos that were stored, without those that are added later."""
    first = 0
    for bags in made(collection, num_videos + ADDED)[0]:
        if first < num_videos:
            yield bags.part(0, min(bags.num_videos, num_videos - first))
        first += bags.num_videos


def video_of(bags: LevelBags, row: int, number: int) -> tuple[IndexedVideo, EncodedVideo]:
    """A video as it is added."""
    times = np.arange(12.0)
    path = f"/videos/{number:08d}.mp4"
    embeds = {level: of_level.bag(row) for level, of_level in bags.items()}
    return (
        IndexedVideo(path, f"{number:032x}", 12.0, tuple(times.tolist())),
        EncodedVideo(VideoClip(path), 12.0, times, embeds),
    )


def _memory() -> list[tuple[str, int]]:
    """Kilobytes of this process's memory in bytes, by the names of `/proc/self/status`."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return [(name, 1000 * int(size)) for name, size in re.findall(r"(Rss\w+):\s+(\d+) kB", status)]


def measure(sizes: tuple[int, ...], collections: tuple[str, ...]) -> tuple[dict[str, Any], list[Target]]:
    """Measures all collections of all sizes."""
    figures: dict[str, Any] = {}
    targets: list[Target] = []
    for collection in collections:
        found: dict[int, dict[str, float]] = {}
        for size in sizes:
            folder = Path(tempfile.mkdtemp(dir=FOLDER))
            try:
                found[size] = measured(collection, size, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            print(f"{collection}, {size} videos")
            for name, value in found[size].items():
                print(f"  {name}: {value:.4g}", flush=True)
            figures |= {f"{collection}, {size}: {name}": value for name, value in found[size].items()}
        size = max(sizes)
        last = found[size]
        allowed = MEMORY_SHARE * 2 * size * TOKENS * WIDTH / 1e6
        targets.append(Target(f"{collection}: recall@10", last["recall@10"], RECALL, at_least=True))
        if size >= MILLION:
            targets.append(Target(f"{collection}: MB anonymous", last["MB anonymous"], allowed, at_least=False))
        if size >= MILLION and SIZES[-1] in found:
            name = f"{collection}: latency over that of {SIZES[-1]}"
            ratio = last["ms a search"] / found[SIZES[-1]]["ms a search"]
            figures[name] = ratio
            targets.append(Target(name, ratio, LATENCY, at_least=False))
    return figures, targets


FOLDER: str | None = None

if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--videos", type=int, nargs="+", default=SIZES)
    parser.add_argument("--collections", nargs="+", choices=COLLECTIONS, default=COLLECTIONS)
    parser.add_argument("--folder", help="where indexes are made and deleted")
    chosen, rest = parser.parse_known_args()
    FOLDER = chosen.folder
    sys.argv[1:] = rest
    sys.exit(run_benchmark(__doc__ or "", lambda: measure(tuple(sorted(chosen.videos)), tuple(chosen.collections))))
