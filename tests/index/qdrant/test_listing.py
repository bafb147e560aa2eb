"""What a collection tells of its videos without a search, and what it forgets."""

from __future__ import annotations

import dataclasses

import pytest
from qdrant_client import QdrantClient

from tests.index.made_clusters import make_videos
from tests.index.qdrant.made_indexes import make_index
from video_colbert.errors import FilterError
from video_colbert.index.qdrant.qdrant_index import QdrantIndex

# The client's local mode says of every payload index that it has no effect there.
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


@pytest.fixture
def index(client: QdrantClient) -> QdrantIndex:
    """Four videos of the years 2019 to 2022."""
    made = [
        (dataclasses.replace(video, metadata={"year": 2019 + number}), encoded)
        for number, (video, encoded) in enumerate(make_videos(4))
    ]
    return make_index(client, made)


def test_videos_of_a_condition_are_those_of_which_it_holds(index: QdrantIndex) -> None:
    assert {video.metadata["year"] for video in index.videos_where("year > 2020")} == {2021, 2022}
    [first] = index.videos_where(f"path = '{index.videos[0].path}'")
    assert first == index.videos[0]
    with pytest.raises(FilterError, match="there is no column 'yaer'"):
        index.videos_where("yaer > 2020")


def test_columns_say_what_they_hold(index: QdrantIndex) -> None:
    columns = index.columns
    assert (columns["year"], columns["path"], columns["modified"]) == ("whole numbers", "text", "times")
    assert index.num_bytes is None


def test_forgotten_videos_are_gone_and_what_the_server_may_keep_is_said(index: QdrantIndex) -> None:
    gone, *kept = index.videos
    [beyond] = index.forget([gone.id])
    assert "snapshots" in beyond
    assert set(index.videos) == set(kept)
