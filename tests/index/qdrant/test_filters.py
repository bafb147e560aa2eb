from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from tests.index.made_clusters import MODEL, make_queries, make_videos
from tests.index.qdrant.made_indexes import URI
from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.errors import FilterError, IndexStoreError
from video_colbert.index import IndexedVideo, LanceIndex
from video_colbert.index.indexed_video import MetadataValue
from video_colbert.index.qdrant.qdrant_index import QdrantIndex

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")

Metadata = dict[str, MetadataValue]


def make_library() -> list[tuple[IndexedVideo, EncodedVideo]]:
    """60 videos; every value is missing somewhere."""
    library = []
    for row, (video, encoded) in enumerate(make_videos(60)):
        metadata: Metadata = {}
        if row % 7:
            metadata["year"] = 2000 + row % 20
        if row % 5:
            metadata["genre"] = ("news", "sport", "it's live")[row % 3]
        if row % 4:
            metadata["rating"] = row / 4
        if row % 3:
            metadata["colour"] = row % 2 == 0
        library.append((dataclasses.replace(video, metadata=metadata), encoded))
    return library


def make_index(client: QdrantClient, options: str = "") -> QdrantIndex:
    index = QdrantIndex.create(URI + options, model=MODEL, num_frames=12, client=client)
    index.add(make_library())
    return index


def has(name: str, holds: Callable[[MetadataValue], bool]) -> Callable[[IndexedVideo], bool]:
    """Whether a video has a value of this name that satisfies a condition."""
    return lambda video: name in video.metadata and holds(video.metadata[name])


CONDITIONS: dict[str, Callable[[IndexedVideo], bool]] = {
    "year = 2010": has("year", lambda year: year == 2010),
    "year != 2010": has("year", lambda year: year != 2010),
    "year >= 2015": has("year", lambda year: year >= 2015),  # type: ignore[operator]
    "year < 2003": has("year", lambda year: year < 2003),  # type: ignore[operator]
    "rating > 7.5": has("rating", lambda rating: rating > 7.5),  # type: ignore[operator]
    "rating <= 7.5": has("rating", lambda rating: rating <= 7.5),  # type: ignore[operator]
    "rating = 4.25": has("rating", lambda rating: rating == 4.25),
    "genre = 'news'": has("genre", lambda genre: genre == "news"),
    "genre = 'it''s live'": has("genre", lambda genre: genre == "it's live"),
    "genre != 'news'": has("genre", lambda genre: genre != "news"),
    "genre in ('news', 'sport')": has("genre", lambda genre: genre in ("news", "sport")),
    "genre not in ('news', 'sport')": has("genre", lambda genre: genre == "it's live"),
    "year in (2001, 2002)": has("year", lambda year: year in (2001, 2002)),
    "year not in (2001, 2002)": has("year", lambda year: year not in (2001, 2002)),
    "colour = true": has("colour", lambda colour: colour is True),
    "colour != true": has("colour", lambda colour: colour is False),
    "genre is null": lambda video: "genre" not in video.metadata,
    "genre is not null": lambda video: "genre" in video.metadata,
    "duration > 3": lambda video: video.duration > 3,
    "start is null": lambda video: True,
    "year >= 2010 and genre = 'sport'": lambda video: (
        video.metadata.get("year", 0) >= 2010 and video.metadata.get("genre") == "sport"  # type: ignore[operator]
    ),
    "year = 2001 or colour = true": lambda video: (
        video.metadata.get("year") == 2001 or video.metadata.get("colour") is True
    ),
    "not (year < 2010 or genre = 'news')": lambda video: (
        has("year", lambda year: year >= 2010)(video)  # type: ignore[operator]
        and has("genre", lambda genre: genre != "news")(video)
    ),
    "year = 1990": lambda video: False,
    "genre > 'news'": has("genre", lambda genre: genre > "news"),  # type: ignore[operator]
    "genre startswith 'it'": has("genre", lambda genre: genre == "it's live"),
    "genre not like '%s_or%' and year >= 2005": lambda video: (
        has("genre", lambda genre: genre != "sport")(video) and video.metadata.get("year", 0) >= 2005  # type: ignore[operator]
    ),
    "year == 2001 or genre like '%t' and (colour = true or genre <= 'sport')": lambda video: (
        video.metadata.get("year") == 2001 or video.metadata.get("genre") == "sport"
    ),
    "genre like 'nothing'": lambda video: False,
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[QdrantIndex, LanceIndex]]:
    """The same library in Qdrant and in a local index."""
    client = QdrantClient(":memory:")
    local = LanceIndex.create(tmp_path_factory.mktemp("library"), model=MODEL, num_frames=12)
    local.add(make_library())
    yield make_index(client), local
    client.close()


@pytest.mark.parametrize("where", CONDITIONS)
def test_hits_are_those_of_a_scan_of_the_videos_that_satisfy_the_condition(
    both: tuple[QdrantIndex, LanceIndex], where: str
) -> None:
    index, local = both
    queries = make_queries(2)
    everything = index.search(queries, top_k=60)
    expected = {video.path for video, _ in make_library() if CONDITIONS[where](video)}
    for found, hits, stored in zip(
        index.search(queries, top_k=60, where=where),
        everything,
        local.search(queries, top_k=60, where=where),
        strict=True,
    ):
        kept = [hit for hit in hits if hit.video in expected]
        assert found == [dataclasses.replace(hit, rank=rank) for rank, hit in enumerate(kept, start=1)]
        assert [hit.video for hit in found] == [hit.video for hit in stored]


def test_candidates_are_chosen_among_the_videos_that_satisfy_the_condition(client: QdrantClient) -> None:
    make_index(client)
    where = "year = 2010"
    everything = QdrantIndex.open(URI, client=client).search(make_queries(5), top_k=60, where=where)
    few = QdrantIndex.open(f"{URI}?candidates=5", client=client).search(make_queries(5), top_k=2, where=where)
    assert all(len(hits) > 0 for hits in few)
    allowed = {video.path for video, _ in make_library() if CONDITIONS[where](video)}
    for found, hits in zip(few, everything, strict=True):
        assert {hit.video for hit in found} <= allowed
        assert found == hits[:2]


def test_metadata_comes_back_as_it_was_stored(client: QdrantClient) -> None:
    index = make_index(client)
    assert {video.id: video.metadata for video in index.videos} == {
        video.id: video.metadata for video, _ in make_library()
    }


def test_columns_of_an_earlier_upload_are_known_to_a_later_one(tmp_path: Path) -> None:
    first = QdrantClient(path=str(tmp_path))
    make_index(first)
    first.close()
    client = QdrantClient(path=str(tmp_path))
    index = QdrantIndex.open(URI, client=client)
    [video, encoded] = make_videos(1, seed=9)[0]
    index.add([(dataclasses.replace(video, metadata={"place": "Rome"}), encoded)])
    hits = index.search(make_queries(1), where="place = 'Rome' and year is null")[0]
    assert [hit.video for hit in hits] == [video.path]
    with pytest.raises(IndexStoreError, match="'year' must be of one type in all videos"):
        index.add([(dataclasses.replace(video, digest="new", metadata={"year": "late"}), encoded)])
    assert len(index) == 61
    client.close()


def test_metadata_that_is_set_later_is_found_and_what_is_unset_is_not(client: QdrantClient) -> None:
    index = make_index(client)
    library = [video for video, _ in make_library()]
    index.check_metadata([{"place": "Rome"}])
    index.set_metadata(
        {
            library[1].id: {"place": "Rome", "year": None},
            library[2].id: {"place": "Pisa", "year": 1999},
            "not stored": {"place": "Rome", "year": 1},
        }
    )
    stored = {video.id: video.metadata for video in index.videos}
    assert len(stored) == 60
    others = {name: value for name, value in library[1].metadata.items() if name != "year"}
    assert stored[library[1].id] == {**others, "place": "Rome"}
    assert stored[library[2].id]["year"] == 1999
    for where, row in (("place = 'Rome' and year is null", 1), ("year = 1999", 2)):
        hits = index.search(make_queries(1), where=where)[0]
        assert [hit.video for hit in hits] == [library[row].path]
    with pytest.raises(IndexStoreError, match="'year' must be of one type in all videos"):
        index.check_metadata([{"year": "late"}])
    with pytest.raises(IndexStoreError, match="'path', which is a column of every index"):
        index.check_metadata([{"path": "x"}])


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            "weight > 3",
            "there is no column 'weight' to filter by; there are colour (true or false), digest (text), dur",
        ),
        ("year = 'late'", "column 'year' holds numbers, not 'late'"),
        ("year >", "the filter 'year >' is not understood"),
    ],
)
def test_a_condition_that_cannot_be_answered_is_refused(
    both: tuple[QdrantIndex, LanceIndex], where: str, message: str
) -> None:
    with pytest.raises(FilterError) as raised:
        both[0].search(make_queries(1), where=where)
    assert message in str(raised.value)


def test_a_list_of_points_that_no_request_takes_is_refused(
    both: tuple[QdrantIndex, LanceIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.index.qdrant.filters._MOST_POINTS", 10)
    with pytest.raises(FilterError, match="no terms for the condition on genre, which holds of 16 videos, and takes"):
        both[0].search(make_queries(1), where="genre like '%s' and duration > 0")
    [hits] = both[0].search(make_queries(1), top_k=60, where="genre like '%s' and year = 2001")
    assert {hit.video for hit in hits} == {
        video.path
        for video, _ in make_library()
        if video.metadata.get("genre") == "news" and video.metadata.get("year") == 2001
    }


def test_large_whole_numbers_are_compared_exactly(client: QdrantClient) -> None:
    numbers = [2**53, 2**53 + 1, 2**53 + 2, -(2**63), 2**63 - 1]
    index = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    videos = [
        (dataclasses.replace(video, metadata={"serial number": number}), encoded)
        for number, (video, encoded) in zip(numbers, make_videos(5), strict=True)
    ]
    index.add(videos)
    for number, (video, _) in zip(numbers, videos, strict=True):
        [hits] = index.search(make_queries(1), where=f'"serial number" = {number}')
        assert [hit.video for hit in hits] == [video.path]
    [hits] = index.search(make_queries(1), where=f'"serial number" > {2**53}')
    assert {hit.video for hit in hits} == {videos[row][0].path for row in (1, 2, 4)}
    [hits] = index.search(make_queries(1), where=f'"serial number" > {2**53 + 1}')
    assert {hit.video for hit in hits} == {videos[row][0].path for row in (2, 4)}


def test_nan_is_no_value(client: QdrantClient) -> None:
    index = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    values = [float("nan"), 1.0, 2.5]
    videos = [
        (dataclasses.replace(video, metadata={"rating": value}), encoded)
        for value, (video, encoded) in zip(values, make_videos(3), strict=True)
    ]
    index.add(videos)
    index.set_metadata({videos[2][0].id: {"rating": float("nan")}})
    for where, rows in (("rating >= 0", [1]), ("rating != 1", []), ("rating is null", [0, 2])):
        [hits] = index.search(make_queries(1), where=where)
        assert {hit.video for hit in hits} == {videos[row][0].path for row in rows}, where
