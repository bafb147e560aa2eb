"""The videos of an index where nothing is looked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.app.conftest import Served
from video_colbert.app.service import SearchService
from video_colbert.app.service_query import ServiceQuery
from video_colbert.errors import FilterError, NotServedError, QueryError, VideoColBERTError
from video_colbert.index.indexed_video import FileFacts, IndexedVideo


def test_each_video_is_listed_once_with_the_newest_first(served: Served) -> None:
    listed = served.service.videos()
    files = sorted(served.videos.rglob("[0-9l]*.mp4"), key=lambda file: (-file.stat().st_mtime, str(file)))
    assert (listed.index, listed.total) == ("clips", 4)
    assert [video.path for video in listed.videos] == [str(file) for file in files]
    assert listed.playable == (True,) * 4
    few = served.service.videos(top_k=2, where="year >= 2020")
    assert few.total == 2
    assert {Path(video.path).name for video in few.videos} == {"0.mp4", "1.mp4"}


def test_a_listed_video_has_the_names_of_a_hit(served: Served) -> None:
    listed = json.loads(json.dumps(served.service.videos("clips").as_json()))
    hits = {hit.hit.video: hit.as_json() for hit in served.service.search(ServiceQuery("a dog")).hits}
    for video in listed["videos"]:
        hit = hits[video["video"]]
        same = {name: value for name, value in video.items() if name not in ("start", "end")}
        assert {name: hit[name] for name in same} == same
        assert (video["start"], video["end"]) == (0.0, video["duration"])


def test_a_video_whose_age_is_not_known_comes_last(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def video(name: str, modified: float | None) -> IndexedVideo:
        return IndexedVideo(name, name, 4.0, (0.0,), facts=FileFacts(modified=modified))

    stored = served.service._served("").index.stored
    videos = (video("b", None), video("old", 1.0), video("a", None), video("new", 2.0))
    monkeypatch.setattr(type(stored), "videos", property(lambda index: videos))
    assert [listed.path for listed in served.service.videos().videos] == ["new", "old", "a", "b"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"top_k": 0}, QueryError, "top_k must be a whole number from 1 to 200, got 0"),
        ({"where": "x" * 2001}, QueryError, "the condition has 2001 letters"),
        ({"where": "colour = 1"}, FilterError, "colour"),
        ({"index": "other"}, NotServedError, "there are clips"),
    ],
)
def test_what_cannot_be_listed_is_said(
    served: Served, options: dict[str, object], error: type[VideoColBERTError], message: str
) -> None:
    service: SearchService = served.service
    with pytest.raises(error, match=message):
        service.videos(**options)  # type: ignore[arg-type] # some are wrong on purpose
