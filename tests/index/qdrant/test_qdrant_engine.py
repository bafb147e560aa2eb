"""What the server computes, on its own engine (Qdrant Edge) rather than on the client's imitation of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.qdrant_engine import create_shard, search, upsert
from tests.index.made_clusters import make_queries, make_videos, mean_max_sim_by_loops
from video_colbert.index.qdrant.points import make_point, point_id
from video_colbert.index.qdrant.search import score_query


@pytest.mark.parametrize("weights", [{"frame": 1.0, "video": 1.0}, {"frame": 0.3, "video": 2.0}, {"video": 1.0}])
def test_the_engine_gives_the_weighted_sum_of_mean_max_sim(weights: dict[str, float], tmp_path: Path) -> None:
    videos, queries = make_videos(100), make_queries(4)
    shard = create_shard(tmp_path, 16, None, threads=2)
    upsert(shard, [make_point(video, encoded) for video, encoded in videos])
    while shard.optimize():
        pass
    for row in range(len(queries.texts)):
        query, mask = queries.bags_of("frame").embeds[row], queries.bags_of("frame").mask[row]
        request = score_query(
            queries.select([row]).with_level_weights({"frame": 0.0, "video": 0.0} | weights),
            dimensions={"frame": 16, "video": 16},
            candidates=100,
            limit=10,
            where=None,
        )
        exact = {}
        for video, encoded in videos:
            exact[point_id(video.id)] = sum(
                weight * mean_max_sim_by_loops(query, mask, encoded.embeds[level]) for level, weight in weights.items()
            )
        found = search(shard, request)
        # The engine rounds the query to float16 too, so neighbours of nearly equal score may change places.
        assert [score for _, score in found] == pytest.approx([exact[point] for point, _ in found], abs=3e-4)
        best = sorted(exact.values(), reverse=True)[:10]
        assert [exact[point] for point, _ in found] == pytest.approx(best, abs=3e-4)
    shard.close()
