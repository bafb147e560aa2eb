"""Bytes a video and work a candidate on Qdrant's engine, by layout of the tokens, and what compression loses.

6,000 videos of 12 frame and 14 video tokens, 512 numbers, in 200 clusters; 20 queries of 32 tokens, rounded to
float16 as the engine rounds them. The engine is Qdrant Edge with one search thread, asked with the very queries that
`QdrantIndex` sends. A figure is taken for tokens in float16 alone, and with an int8 or a 4-bit copy, from which
the engine then scores. Recall@10 is against the exact two-level score: in the engine's order, and after the 40 best
were scored again from float16, as `QdrantIndex.search` does. Targets: float16 scores equal the formula to 1e-4; the
bytes of tokens and pooled vectors are within 3 % of those that `size_cluster.py` calculates with; recall after
scoring again at least .99 for int8.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from benchmark_report import Target, run_benchmark
from qdrant_engine import create_shard, search, upsert
from size_cluster import bytes_of_a_video
from torch import Tensor
from torch.nn.functional import normalize

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, QueryBags, VideoClip
from video_colbert.index import IndexedVideo
from video_colbert.index.qdrant.points import make_point, point_id
from video_colbert.index.qdrant.search import score_query
from video_colbert.modeling_video_colbert import mean_max_sim

VIDEOS, FRAME_TOKENS, VIDEO_TOKENS, DIM, QUERIES, QUERY_TOKENS, CLUSTERS = 6000, 12, 14, 512, 20, 32, 200
LAYOUTS = (None, "int8", "4bit")
FEW, MANY = 200, 1000
TOP_K, RESCORED = 10, 40


def make_tokens(generator: torch.Generator, centres: Tensor, tokens: int) -> Tensor:
    """Tokens around their centres, [N, tokens, D] of unit length, rounded to float16."""
    noise = torch.randn(len(centres), tokens, DIM, generator=generator)
    return normalize(centres[:, None] + noise, dim=-1).half().float()


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Stores the same videos in each layout and asks the same queries."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CLUSTERS, DIM, generator=generator)

    def around(number: int) -> Tensor:
        return centres[torch.arange(number) % CLUSTERS] + 0.7 * torch.randn(number, DIM, generator=generator)

    of_videos, of_queries = around(VIDEOS), around(QUERIES)
    frames, videos = make_tokens(generator, of_videos, FRAME_TOKENS), make_tokens(generator, of_videos, VIDEO_TOKENS)
    queries = make_tokens(generator, of_queries, QUERY_TOKENS)
    exact = mean_max_sim(queries, frames) + mean_max_sim(queries, videos)
    best = exact.topk(TOP_K).indices.tolist()
    figures: dict[str, Any] = {}
    targets: list[Target] = []
    for layout in LAYOUTS:
        name = layout or "float16"
        found = measure_layout(layout, frames, videos, queries)
        sizes, calculated = found["bytes"], bytes_of_a_video(FRAME_TOKENS, VIDEO_TOKENS, DIM, layout)
        rows, scores = found["rows"], found["scores"]
        errors = [
            abs(score - float(exact[query, row]))
            for query in range(QUERIES)
            for row, score in zip(rows[query], scores[query], strict=True)
        ]
        recall = {"engine's order": 0.0, "scored again": 0.0}
        for query in range(QUERIES):
            again = sorted(rows[query], key=lambda row: -float(exact[query, row]))
            recall["engine's order"] += len({*rows[query][:TOP_K]} & {*best[query]}) / (TOP_K * QUERIES)
            recall["scored again"] += len({*again[:TOP_K]} & {*best[query]}) / (TOP_K * QUERIES)
        figures[f"{name}: bytes a video"] = {part: round(size) for part, size in sizes.items()}
        figures[f"{name}: largest error of the engine's score"] = max(errors)
        figures[f"{name}: core-microseconds a candidate"] = 1e6 * found["seconds a candidate"]
        for kind, share in recall.items():
            figures[f"{name}: recall@10, {kind}"] = share
        for part, size in calculated.items():
            targets.append(
                Target(f"{name}: {part}, measured / calculated - 1", abs(sizes[part] / size - 1), 0.03, False)
            )
        if layout is None:
            targets.append(Target("float16: largest error of the engine's score", max(errors), 1e-4, False))
        if layout == "int8":
            targets.append(Target("int8: recall@10 after scoring again", recall["scored again"], 0.99, True))
    return figures, targets


def measure_layout(layout: str | None, frames: Tensor, videos: Tensor, queries: Tensor) -> dict[str, Any]:
    """Stores the videos in one layout: bytes by part, seconds a candidate, and the best videos of each query."""
    row_of = {}
    with tempfile.TemporaryDirectory() as folder:
        shard = create_shard(Path(folder), DIM, layout, threads=1)
        times = tuple(0.83 * frame for frame in range(FRAME_TOKENS))
        for first in range(0, VIDEOS, 500):
            points = []
            for row in range(first, min(first + 500, VIDEOS)):
                video = IndexedVideo(f"/data/videos/{row:08d}.mp4", f"{row:064x}", 10.0, times)
                encoded = EncodedVideo(
                    VideoClip(video.path),
                    10.0,
                    torch.tensor(times).numpy(),
                    {"frame": frames[row], "video": videos[row]},
                )
                points.append(make_point(video, encoded))
                row_of[point_id(video.id)] = row
            upsert(shard, points)
        while shard.optimize():
            pass
        shard.flush()
        sizes = sizes_of_parts(Path(folder))
        seconds = {FEW: 0.0, MANY: 0.0}
        rows, scores = [], []
        for query in queries:
            bags = QueryBags(query[None], torch.ones(1, len(query), dtype=torch.bool), [[]])
            for candidates in (FEW, MANY):
                request = score_query(
                    EncodedQueries.of_one_encoder([""], bags, ("frame", "video")),
                    dimensions={"frame": DIM, "video": DIM},
                    candidates=candidates,
                    limit=RESCORED,
                    where=None,
                )
                start = time.perf_counter()
                found = search(shard, request)
                seconds[candidates] += time.perf_counter() - start
            rows.append([row_of[point] for point, _ in found])
            scores.append([score for _, score in found])
        shard.close()
    slope = (seconds[MANY] - seconds[FEW]) / (len(queries) * (MANY - FEW))
    return {"bytes": sizes, "seconds a candidate": slope, "rows": rows, "scores": scores}


def sizes_of_parts(folder: Path) -> dict[str, float]:
    """Bytes a video on disk, by part of a segment, without the write-ahead log."""
    parts = {"tokens": "vector_storage-frame_tokens vector_storage-video_tokens", "pooled": "vector_storage-pooled"}
    parts |= {"graph": "vector_index-pooled", "payload": "payload_storage", "ids": "id_tracker"}
    sizes = dict.fromkeys(parts, 0.0)
    for path in folder.rglob("*"):
        place = path.relative_to(folder).parts
        if not path.is_file() or len(place) < 3:
            continue
        for part, prefixes in parts.items():
            if place[2].startswith(tuple(prefixes.split())):
                sizes[part] += path.stat().st_blocks * 512 / VIDEOS
    return sizes


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", measure))
