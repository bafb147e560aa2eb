from __future__ import annotations

from pathlib import Path

import pytest
import torch
from qdrant_client import QdrantClient

from tests.index.made_clusters import MODEL, make_queries, make_videos, mean_max_sim_by_loops
from tests.index.qdrant.made_indexes import URI, Videos, make_index, windows_of
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
from video_colbert.encoding.hits import SearchHit
from video_colbert.index import LanceIndex
from video_colbert.index.qdrant.qdrant_index import QdrantIndex

# The client's local mode says of every payload index that it has no effect there.
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


def scores_by_loops(
    queries: EncodedQueries, row: int, videos: Videos, weights: dict[str, float]
) -> list[tuple[float, str]]:
    """Every video with the score that the formula gives it, best first."""
    scored = []
    for video, encoded in videos:
        total = 0.0
        for level, weight in weights.items():
            of_level, bag = queries.bags_of(level), encoded.embeds[level]
            if len(bag):
                total += weight * mean_max_sim_by_loops(of_level.embeds[row], of_level.mask[row], bag)
        scored.append((total, video.path))
    return sorted(scored, reverse=True)


def assert_equals(hits: list[SearchHit], expected: list[tuple[float, str]]) -> None:
    assert [hit.video for hit in hits] == [path for _, path in expected]
    assert [hit.score for hit in hits] == pytest.approx([score for score, _ in expected], abs=1e-5)


def test_fifty_queries_give_the_hits_of_the_local_index(client: QdrantClient, tmp_path: Path) -> None:
    videos, queries = make_videos(150), make_queries(50)
    local = LanceIndex.create(tmp_path / "local", model=MODEL, num_frames=12)
    local.add(videos)
    expected = local.search(queries, top_k=10)
    found = make_index(client, videos).search(queries, top_k=10)
    for ours, theirs in zip(found, expected, strict=True):
        assert [hit.video for hit in ours] == [hit.video for hit in theirs]
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.score == pytest.approx(other.score, abs=1e-6)
            assert mine.level_scores == pytest.approx(other.level_scores, abs=1e-6)
            assert mine.moments == other.moments
            assert mine.ranges == other.ranges


def test_the_servers_own_scores_are_the_weighted_sum_of_mean_max_sim(client: QdrantClient) -> None:
    from video_colbert.index.qdrant.search import score_query

    videos, queries = make_videos(60), make_queries(5)
    make_index(client, videos)
    weights = {"frame": 0.4, "video": 1.6}
    for row in range(5):
        request = score_query(
            queries.select([row]).with_level_weights(weights),
            dimensions={"frame": 16, "video": 16},
            candidates=60,
            limit=10,
            where=None,
        )
        [response] = client.query_batch_points("videos", [request])
        expected = scores_by_loops(queries, row, videos, weights)[:10]
        assert [(point.payload or {})["path"] for point in response.points] == [path for _, path in expected]
        assert [point.score for point in response.points] == pytest.approx([s for s, _ in expected], abs=1e-5)


@pytest.mark.parametrize(
    "weights", [{"frame": 1.0, "video": 0.0}, {"frame": 0.0, "video": 1.0}, {"frame": 2.0, "video": 0.5}]
)
def test_level_weights_weigh_the_levels(client: QdrantClient, weights: dict[str, float]) -> None:
    videos, queries = make_videos(80), make_queries(6)
    found = make_index(client, videos).search(queries.with_level_weights(weights), top_k=7)
    for row, hits in enumerate(found):
        assert_equals(hits, scores_by_loops(queries, row, videos, weights)[:7])


def test_a_model_without_the_video_level_is_scored_by_its_frames(client: QdrantClient) -> None:
    videos, queries = make_videos(40, has_video_level=False), make_queries(4, levels=("frame",))
    found = make_index(client, videos).search(queries, top_k=5)
    for row, hits in enumerate(found):
        assert_equals(hits, scores_by_loops(queries, row, videos, {"frame": 1.0})[:5])
        assert all(hit.level_scores == {"frame": hit.score} for hit in hits)


def test_only_the_nearest_pooled_vectors_are_scored_by_their_tokens(client: QdrantClient) -> None:
    videos, queries = make_videos(120), make_queries(8)
    make_index(client, videos)
    found = QdrantIndex.open(f"{URI}?candidates=15", client=client).search(queries, top_k=10)
    for row, hits in enumerate(found):
        query = queries.bags_of("frame").embeds[row][queries.bags_of("frame").mask[row]].mean(dim=0)

        def pooled_score(encoded: EncodedVideo, query: torch.Tensor = query) -> float:
            means = [bag.mean(dim=0) for bag in encoded.embeds.values()]
            return sum(float(query @ mean / mean.norm()) for mean in means)

        nearest = sorted(videos, key=lambda entry: -pooled_score(entry[1]))[:15]
        assert_equals(hits, scores_by_loops(queries, row, nearest, {"frame": 1.0, "video": 1.0})[:10])


def test_more_hits_than_candidates_are_found_when_asked_for(client: QdrantClient) -> None:
    index = make_index(client, make_videos(30), f"{URI}?candidates=5")
    assert len(index.search(make_queries(1), top_k=20)[0]) == 20


def test_a_video_shows_up_once_with_its_best_window(client: QdrantClient) -> None:
    videos = make_videos(60)
    stored = windows_of(videos[:40], 10.0) + videos[40:]
    queries = make_queries(6)
    found = make_index(client, stored).search(queries, top_k=8)
    for row, hits in enumerate(found):
        best: dict[str, float] = {}
        for score, path in scores_by_loops(queries, row, stored, {"frame": 1.0, "video": 1.0}):
            best.setdefault(path, score)
        assert_equals(hits, [(score, path) for path, score in best.items()][:8])


def test_windows_are_hits_of_their_own_when_they_are_not_grouped(client: QdrantClient) -> None:
    stored = windows_of(make_videos(12), 10.0)
    hits = make_index(client, stored).search(make_queries(1), top_k=12, group_windows=False)[0]
    assert sorted((hit.start, hit.end) for hit in hits) == [(row * 10.0, (row + 1) * 10.0) for row in range(12)]


def test_a_top_k_below_one_is_refused(client: QdrantClient) -> None:
    index = make_index(client, make_videos(1))
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        index.search(make_queries(1), top_k=0)


def test_a_query_without_a_token_is_refused(client: QdrantClient) -> None:
    index = make_index(client, make_videos(1))
    queries = make_queries(2)
    queries.bags_of("frame").mask[1] = False
    with pytest.raises(ValueError, match="'query 1' has no token that counts"):
        index.search(queries)
