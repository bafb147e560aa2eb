"""The service over an index: what it finds is what the index finds, and it takes and gives nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.app.conftest import Served
from tests.video_files import write_clip
from video_colbert import VideoColBERTEncoder, open_index
from video_colbert.app.service import SearchService
from video_colbert.app.service_query import ServiceQuery
from video_colbert.errors import FilterError, IndexStoreError, NotServedError, QueryError, VideoColBERTError


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_hits_are_those_of_the_index(served: Served) -> None:
    answer = served.service.search(ServiceQuery("a red circle", top_k=3))
    expected = served.index.search("a red circle", top_k=3)
    assert [found.hit for found in answer.hits] == list(expected)
    assert (answer.index, answer.model, answer.zero_shot, answer.truncated) == ("clips", expected.model, False, False)


def test_hits_are_the_json_of_search_with_what_is_known_of_the_video(served: Served) -> None:
    written = json.loads(json.dumps(served.service.search(ServiceQuery("a red circle")).as_json()))
    of_search = served.index.search("a red circle").as_dict()["hits"]
    for hit, plain in zip(written["hits"], of_search, strict=True):
        for moment in plain["moments"]:
            moment["muted"] = moment["word"] == "a"
        assert {name: hit[name] for name in plain} == plain
        file = Path(plain["video"])
        assert hit["id"] == digest(file)
        assert (hit["folder"], hit["name"]) == (str(file.parent), file.name)
        assert hit["modified"] == pytest.approx(file.stat().st_mtime)
        assert hit["duration"] == (8.0 if file.name == "long.mp4" else 3.0)
        assert hit["playable"]
    years = {hit["name"]: hit["metadata"].get("year") for hit in written["hits"]}
    assert years == {"0.mp4": 2020, "1.mp4": 2021, "2.mp4": None, "long.mp4": None}


def test_relevance_runs_from_a_video_picked_at_random_to_the_best(served: Served) -> None:
    hits = served.service.search(ServiceQuery("a red circle")).hits
    # The sample is of windows, of which one video has two; the lower of the two in the middle is the median.
    scores = [hit.score for hit in served.index.search("a red circle", group_windows=False)]
    assert len(scores) == 5
    middle, best = sorted(scores)[2], scores[0]
    expected = [max(0.0, (found.hit.score - middle) / (best - middle)) for found in hits]
    assert [found.relevance for found in hits] == pytest.approx(expected, abs=1e-4)
    assert (hits[0].relevance, hits[-1].relevance) == (1.0, 0.0)


def test_relevance_to_a_moment_has_the_same_scale(served: Served) -> None:
    video = digest(served.videos / "0.mp4")
    hits = served.service.similar("clips", video).hits
    assert hits[0].relevance == 1.0
    shares = [found.relevance for found in hits]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 1.0


def test_other_windows_stand_under_their_video(served: Served) -> None:
    [hit] = served.service.search(ServiceQuery("a dog", where="path like '%long.mp4'")).hits
    windows = served.index.search("a dog", where="path like '%long.mp4'", group_windows=False)
    assert len(windows) == 2
    assert (hit.hit.start, [window.start for window in hit.windows]) == (windows[0].start, [windows[1].start])


def test_moments_of_one_video_are_those_of_its_windows(served: Served) -> None:
    video_id = digest(served.videos / "holiday" / "long.mp4")
    windows = served.index.search("a dog", where="path like '%long.mp4'", group_windows=False)
    assert served.service.moments("clips", video_id, "a dog") == list(windows)


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (ServiceQuery("  "), QueryError, "nothing is asked"),
        (ServiceQuery("a" * 2001), QueryError, "at most 2000 are taken"),
        (ServiceQuery("half \ud800"), QueryError, "halves of characters"),
        (ServiceQuery("a", top_k=0), QueryError, "top_k must be a whole number from 1 to 200, got 0"),
        (ServiceQuery("a", top_k=201), QueryError, "got 201"),
        (ServiceQuery("a", min_score=float("nan")), QueryError, "finite"),
        (ServiceQuery("a", where="x" * 2001), QueryError, "the condition has 2001 letters"),
        (ServiceQuery("a", where="year >"), FilterError, "year"),
        (ServiceQuery("a", where="colour = 1"), FilterError, "colour"),
        (ServiceQuery("a", index="other"), NotServedError, "there are clips"),
        (ServiceQuery("a", sources=("speech",)), IndexStoreError, "holds nothing of the source speech"),
    ],
)
def test_what_cannot_be_asked_is_said(
    served: Served, query: ServiceQuery, error: type[VideoColBERTError], message: str
) -> None:
    with pytest.raises(error, match=message):
        served.service.search(query)


def test_a_long_query_says_that_its_end_did_not_count(served: Served) -> None:
    assert served.service.search(ServiceQuery("a dog " * 40)).truncated


def test_info_tells_what_is_bad(served: Served) -> None:
    [state] = served.service.info()
    assert (state.name, state.videos, state.windows, state.num_bad) == ("clips", 4, 5, 1)
    assert state.bad[0]["video"] == str(served.videos / "bad.mp4")
    assert state.folders == (str(served.videos),)
    assert {column["name"] for column in state.columns} >= {"path", "duration", "year"}
    assert json.loads(json.dumps(state.as_json()))["sources"] == ["video"]


def test_what_another_process_adds_and_loses_is_found_by_the_next_search(
    tmp_path: Path, encoder: VideoColBERTEncoder
) -> None:
    first = write_clip(tmp_path / "videos" / "first.mp4", 0)
    writer = open_index(tmp_path / "index", encoder)
    writer.add(first.parent)
    service = SearchService({"one": str(tmp_path / "index")}, load_encoder=lambda stored: encoder)
    assert [found.name for found in service.search(ServiceQuery("a dog")).hits] == ["first.mp4"]
    second = write_clip(tmp_path / "videos" / "second.mp4", 1)
    writer.add(second)
    assert {found.name for found in service.search(ServiceQuery("a dog")).hits} == {"first.mp4", "second.mp4"}
    second.unlink()
    gone = {found.name: found.hit.is_gone for found in service.search(ServiceQuery("a dog")).hits}
    assert gone == {"first.mp4": False, "second.mp4": True}
    assert service.info()[0].gone == (str(second),)
    service.close()


def test_a_folder_is_added_in_the_background(tmp_path: Path, encoder: VideoColBERTEncoder) -> None:
    first = write_clip(tmp_path / "a" / "first.mp4", 0)
    open_index(tmp_path / "index", encoder).add(first)
    location = str(tmp_path / "index")
    service = SearchService({"one": location}, load_encoder=lambda stored: encoder, may_add=True)
    write_clip(tmp_path / "b" / "second.mp4", 1)
    (tmp_path / "b" / "bad.mp4").write_text("no video")
    service.add_folder("", str(tmp_path / "b"))
    assert service.wait_for_background(60.0)
    [state] = service.info()
    assert (state.videos, state.progress) == (2, None)
    assert state.notices == (f"adding {tmp_path / 'b'}: 1 added, 1 bad",)
    with pytest.raises(QueryError, match="there is no folder 'c'"):
        service.add_folder("", "c")
    service.close()


def test_nothing_is_added_where_it_is_not_allowed(served: Served, tmp_path: Path) -> None:
    service = SearchService({"clips": served.index.location}, load_encoder=lambda stored: served.encoder)
    with pytest.raises(NotServedError, match="--allow-add"):
        service.add_folder("", str(tmp_path))
    service.close()
