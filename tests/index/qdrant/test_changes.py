from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from qdrant_client import QdrantClient, models

from tests.index.made_clusters import MODEL, make_queries, make_videos
from tests.index.qdrant.made_indexes import URI, make_index, windows_of
from video_colbert.index.qdrant.qdrant_index import QdrantIndex

# The client's local mode says of every payload index that it has no effect there.
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


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
