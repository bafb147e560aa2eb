from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from qdrant_client import QdrantClient, models

from tests.index.made_clusters import MODEL, make_queries, make_videos, mean_max_sim_by_loops
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
from video_colbert.encoding.pretrained import ModelReference
from video_colbert.errors import FilterError, IndexStoreError, ModelMismatchError
from video_colbert.index import Index, IndexedVideo
from video_colbert.index.hits import SearchHit
from video_colbert.index.qdrant.qdrant_index import QdrantIndex

URI = "qdrant://host:6333/videos"

# The client's local mode says of every payload index that it has no effect there.
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")

Videos = list[tuple[IndexedVideo, EncodedVideo]]


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    client = QdrantClient(":memory:")
    yield client
    client.close()


def make_index(client: QdrantClient, videos: Videos, uri: str = URI) -> QdrantIndex:
    index = QdrantIndex.create(uri, model=MODEL, num_frames=12, client=client)
    index.add(videos)
    return QdrantIndex.open(uri, model=MODEL, client=client)


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
    local = Index.create(tmp_path / "local", model=MODEL, num_frames=12)
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


def windows_of(videos: Videos, length: float) -> Videos:
    """The videos as windows of the first of them, one after another."""
    path = videos[0][0].path
    return [
        (
            dataclasses.replace(video, path=path, digest="one", start=row * length, end=(row + 1) * length),
            encoded,
        )
        for row, (video, encoded) in enumerate(videos)
    ]


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


def test_adding_again_changes_nothing(client: QdrantClient) -> None:
    videos = make_videos(20)
    index = make_index(client, videos)
    before = index.search(make_queries(3))
    index.add(videos)
    index.add([*videos[:5], *videos[:5]])
    assert len(index) == 20
    assert index.search(make_queries(3)) == before
    assert sorted(video.id for video in index.videos) == sorted(video.id for video, _ in videos)
    assert {video.id: video for video in index.videos} == {video.id: video for video, _ in videos}


def test_another_content_takes_the_place_of_the_old_one_at_its_path(client: QdrantClient) -> None:
    old, new = make_videos(6), make_videos(2, seed=1)
    index = make_index(client, old)
    changed = dataclasses.replace(new[0][0], path=old[2][0].path)
    index.add([(changed, new[0][1])])
    assert len(index) == 6
    assert changed.id in {video.id for video in index.videos}
    assert old[2][0].id not in {video.id for video in index.videos}


def test_a_window_does_not_replace_another_window_of_the_video(client: QdrantClient) -> None:
    windows = windows_of(make_videos(5), 10.0)
    index = make_index(client, windows[:3])
    index.add(windows[2:])
    assert len(index) == 5


def test_content_that_is_stored_under_another_path_leaves_what_is_at_the_new_one(client: QdrantClient) -> None:
    videos = make_videos(3)
    index = make_index(client, videos)
    index.add([(dataclasses.replace(videos[0][0], path=videos[1][0].path), videos[0][1])])
    assert {video.id: video.path for video in index.videos} == {video.id: video.path for video, _ in videos}


def test_an_interrupted_upload_goes_on_with_what_is_missing(
    client: QdrantClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from video_colbert.index.qdrant import changes

    monkeypatch.setattr(changes, "_CHUNK", 8)
    videos = make_videos(30)
    upload, sent = client.upload_points, []

    def interrupted(name: str, points: Iterator[models.PointStruct], **options: object) -> None:
        batch = list(points)
        if len(sent) == 16:
            upload(name, iter(batch[:3]))
            raise KeyboardInterrupt
        sent.extend(batch)
        upload(name, iter(batch))

    monkeypatch.setattr(client, "upload_points", interrupted)
    index = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    with pytest.raises(KeyboardInterrupt):
        index.add(videos)
    assert len(index) == 19
    sent.clear()
    again: list[models.PointStruct] = []

    def counted(name: str, points: Iterator[models.PointStruct], **options: object) -> None:
        batch = list(points)
        again.extend(batch)
        upload(name, iter(batch))

    monkeypatch.setattr(client, "upload_points", counted)
    QdrantIndex.open(URI, client=client).add(videos)
    assert len(again) == 11
    undisturbed = make_index(QdrantClient(":memory:"), videos)
    assert index.search(make_queries(4)) == undisturbed.search(make_queries(4))
    assert {video.id for video in index.videos} == {video.id for video in undisturbed.videos}


def test_removed_videos_are_gone_and_counted(client: QdrantClient) -> None:
    videos = make_videos(12)
    index = make_index(client, videos)
    assert index.remove([videos[3][0].id, videos[7][0].id, "not stored"]) == 2
    assert len(index) == 10
    paths = {hit.video for hits in index.search(make_queries(4), top_k=12) for hit in hits}
    assert paths == {video.path for video, _ in videos} - {videos[3][0].path, videos[7][0].path}
    assert index.remove([videos[3][0].id]) == 0


def test_moved_videos_are_found_under_their_new_path(client: QdrantClient) -> None:
    videos = make_videos(5)
    index = make_index(client, videos)
    index.move({videos[1][0].id: "/elsewhere/a.mp4", "not stored": "/elsewhere/b.mp4"})
    assert len(index) == 5
    assert {video.path for video in index.videos} == {
        *(video.path for row, (video, _) in enumerate(videos) if row != 1),
        "/elsewhere/a.mp4",
    }
    hits = index.search(make_queries(1), top_k=5)[0]
    assert "/elsewhere/a.mp4" in {hit.video for hit in hits}


def test_another_model_or_revision_is_refused_and_both_are_named(client: QdrantClient) -> None:
    make_index(client, make_videos(2))
    other = ModelReference("other/model", "b" * 40)
    with pytest.raises(
        ModelMismatchError, match=r"some/model at revision aaaaaaaaaaaa, not with other/model at"
    ) as raised:
        QdrantIndex.open(URI, model=other, client=client)
    assert "bbbbbbbbbbbb" in str(raised.value)
    assert "qdrant://host:6333/videos" in str(raised.value)


def test_tokens_of_another_size_are_refused_and_both_sizes_are_named(client: QdrantClient) -> None:
    index = make_index(client, make_videos(2))
    with pytest.raises(ModelMismatchError, match="vectors of 16 dimensions, levels frame and video, not of 24"):
        index.add(make_videos(1, dim=24, seed=3))
    with pytest.raises(ModelMismatchError, match="vectors of 16 dimensions, levels frame and video, not of 24"):
        index.search(make_queries(1, dim=24))
    assert len(index) == 2


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (False, "level frame, not of 16 dimensions, levels frame and video"),
        (True, "levels frame and video, not of 16 dimensions, level frame like"),
    ],
)
def test_videos_of_other_levels_than_those_stored_are_refused(
    client: QdrantClient, stored: bool, message: str
) -> None:
    index = make_index(client, make_videos(2, has_video_level=stored))
    with pytest.raises(ModelMismatchError, match=f"vectors of 16 dimensions, {message}"):
        index.add(make_videos(1, seed=3, has_video_level=not stored))
    assert len(index) == 2


def test_queries_for_a_level_that_is_not_stored_are_refused(client: QdrantClient) -> None:
    index = make_index(client, make_videos(2, has_video_level=False))
    with pytest.raises(ModelMismatchError, match="of 16 dimensions, level frame, and none of the level video"):
        index.search(make_queries(1))


def test_a_refused_first_upload_leaves_the_index_empty(client: QdrantClient) -> None:
    index = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    with pytest.raises(ModelMismatchError):
        index.add([*make_videos(2), *make_videos(1, dim=24, seed=3)])
    [(video, encoded)] = make_videos(1)
    with pytest.raises(IndexStoreError, match=r"metadata cannot be named 'a\.b'"):
        index.add([(dataclasses.replace(video, metadata={"a.b": 1}), encoded)])
    assert len(index) == 0
    index.add(make_videos(2, dim=24))
    assert len(QdrantIndex.open(URI, client=client)) == 2


def test_two_writers_that_begin_together_share_the_collection(client: QdrantClient) -> None:
    first = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    second = QdrantIndex.open(URI, model=MODEL, client=client)
    first.add(make_videos(4))
    second.add(make_videos(6))
    assert len(first) == len(second) == 6
    other = QdrantIndex.open(URI, client=client)
    assert {video.id for video in other.videos} == {video.id for video, _ in make_videos(6)}


def test_an_interrupted_first_upload_goes_on(client: QdrantClient, monkeypatch: pytest.MonkeyPatch) -> None:
    index = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    update = client.update_collection

    def interrupted(name: str, **changes: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "update_collection", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index.add(make_videos(3))
    monkeypatch.setattr(client, "update_collection", update)
    assert QdrantIndex.open(URI, client=client).search(make_queries(1)) == [[]]
    index.add(make_videos(3))
    assert len(QdrantIndex.open(URI, client=client).search(make_queries(1))[0]) == 3


def test_opening_what_is_not_there_says_how_to_make_it(client: QdrantClient) -> None:
    assert not QdrantIndex.exists(URI, client=client)
    with pytest.raises(IndexStoreError, match="there is no index at qdrant://host:6333/videos; make one with"):
        QdrantIndex.open(URI, client=client)


def test_an_index_is_not_made_over_a_collection_that_exists(client: QdrantClient) -> None:
    make_index(client, make_videos(1))
    assert QdrantIndex.exists(URI, client=client)
    with pytest.raises(IndexStoreError, match=r"there is a collection at .* already"):
        QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)


def test_a_collection_of_another_program_is_refused(client: QdrantClient) -> None:
    client.create_collection("videos", vectors_config=models.VectorParams(size=4, distance=models.Distance.DOT))
    with pytest.raises(IndexStoreError, match="is a collection of another program"):
        QdrantIndex.open(URI, client=client)


def test_another_schema_version_is_refused(client: QdrantClient) -> None:
    make_index(client, make_videos(1))
    client.update_collection("videos", metadata={"video_colbert_schema_version": 99})
    with pytest.raises(IndexStoreError, match="schema version 99, this release reads 2"):
        QdrantIndex.open(URI, client=client)


def test_options_that_differ_from_the_collections_are_refused(client: QdrantClient) -> None:
    make_index(client, make_videos(1), f"{URI}?shards=6")
    assert len(QdrantIndex.open(URI, client=client)) == 1
    with pytest.raises(IndexStoreError, match="was made with shards=6, not 3"):
        QdrantIndex.open(f"{URI}?shards=3", client=client)


def test_an_older_server_is_refused(client: QdrantClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "info", lambda: models.VersionInfo(title="qdrant", version="1.13.4"))
    with pytest.raises(IndexStoreError, match=r"the server is Qdrant 1\.13\.4; 1\.20 or later is needed"):
        QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)


def test_an_index_exists_once_it_is_made_and_an_empty_one_finds_nothing(client: QdrantClient) -> None:
    assert not QdrantIndex.exists(URI, client=client)
    QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    assert QdrantIndex.exists(URI, client=client)
    index = QdrantIndex.open(URI, model=MODEL, client=client)
    assert (index.model, index.num_frames, len(index), index.videos) == (MODEL, 12, 0, ())
    assert index.search(make_queries(2)) == [[], []]
    assert index.remove(["x"]) == 0
    index.move({"x": "/y.mp4"})
    with pytest.raises(FilterError, match="there is no column 'size'"):
        index.search(make_queries(1), where="size > 1")


def test_an_index_that_was_opened_empty_finds_what_another_added(client: QdrantClient) -> None:
    writer = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    reader = QdrantIndex.open(URI, model=MODEL, client=client)
    writer.add(make_videos(3))
    assert len(reader.search(make_queries(1))[0]) == 3


def test_a_closed_index_says_so(client: QdrantClient) -> None:
    index = make_index(client, make_videos(1))
    index.close()
    with pytest.raises(IndexStoreError, match="the index at qdrant://host:6333/videos is closed; open it again"):
        len(index)
    assert client.collection_exists("videos")


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
