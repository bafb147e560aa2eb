"""From scores to hits: the best windows or videos of a version, with what is known of them and their moments."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.encoded import EncodedQueries
from video_colbert.index.scoring import score_bags
from video_colbert.index.search import SearchHit, find_moments
from video_colbert.index.snapshot import IndexSnapshot
from video_colbert.index.token_bags import TokenBags


def find_hits(
    snapshot: IndexSnapshot,
    queries: EncodedQueries,
    top_k: int,
    *,
    rows: Tensor | None,
    level_weights: Mapping[str, float] | None,
    group_windows: bool,
) -> list[list[SearchHit]]:
    if rows is not None and not len(rows):
        return [[] for _ in queries.texts]
    frames, videos = snapshot.bags()
    scores = score_bags(queries, frames, videos)
    levels = {"frame": scores.frame_scores, "video": scores.video_scores}
    total = torch.stack([levels[name] * (level_weights or {}).get(name, 1.0) for name in queries.score_levels]).sum(0)
    if rows is not None:
        mask = torch.full_like(total, float("-inf"))
        mask[:, rows] = 0
        total = total + mask
    count = len(snapshot) if rows is None else len(rows)
    order = total.argsort(dim=1, descending=True, stable=True)[:, :count]
    results = []
    for query, positions in enumerate(order):
        hits, seen = [], set()
        for row, video in zip(positions.tolist(), snapshot.videos_at(positions), strict=True):
            if len(hits) == top_k or (group_windows and video.path in seen):
                continue
            seen.add(video.path)
            hits.append(
                SearchHit(
                    video=video.path,
                    start=video.start or 0.0,
                    end=video.duration if video.end is None else video.end,
                    score=float(total[query, row]),
                    frame_score=float(scores.frame_scores[query, row]),
                    video_score=None if scores.video_scores is None else float(scores.video_scores[query, row]),
                    moments=find_moments(queries, query, frames.bag(row), video.timestamps),
                )
            )
        results.append(hits)
    return results


def pool_bags(frames: TokenBags, videos: TokenBags | None) -> Tensor:
    levels = [frames] if videos is None else [frames, videos]
    means = [torch.stack([b.bag(i).float().mean(0) for i in range(len(b))]) for b in levels]
    return torch.cat([F.normalize(m, dim=1) for m in means], dim=1).half()
