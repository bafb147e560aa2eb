from __future__ import annotations

import dataclasses

import pytest
import torch
from qdrant_client import QdrantClient, models

from tests.index.made_clusters import MODEL, make_queries, make_videos
from tests.index.qdrant.made_indexes import URI, make_index
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import FilterError, IndexStoreError, ModelMismatchError
from video_colbert.index.qdrant.qdrant_index import QdrantIndex

# The client's local mode says of every payload index that it has no effect there.
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


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
    with pytest.raises(FilterError, match="there is no column 'weight'"):
        index.search(make_queries(1), where="weight > 1")


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


def test_weights_of_tokens_are_refused_in_words(client: QdrantClient) -> None:
    index = make_index(client, make_videos(2))
    [(video, encoded)] = make_videos(1, seed=3)
    weights = {level: torch.ones(len(bag)) for level, bag in encoded.embeds.items()}
    with pytest.raises(IndexStoreError, match=r"holds no weights of tokens, which .* has; index in a folder"):
        index.add([(video, dataclasses.replace(encoded, token_weights=weights))])
    queries = dataclasses.replace(make_queries(1), interaction="weighted_token_wise")
    with pytest.raises(IndexStoreError, match=r"interaction='weighted_token_wise', but the index at .* scores by"):
        index.search(queries)
    assert len(index) == 2
