from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.video_files import write_clip
from video_colbert.encoding.display import format_seconds
from video_colbert.encoding.hits import Moment, MomentRange, SearchHit
from video_colbert.encoding.search_hits import SearchHits


def hit(rank: int, video: str, score: float, **fields: object) -> SearchHit:
    moments = (Moment("dog", 1.2, 0.4), Moment("ball", 63.4, 0.3))
    given = {"start": 0.0, "end": 75.25, "level_scores": {"frame": score}, "moments": moments, **fields}
    return SearchHit(rank=rank, video=video, score=score, **given)  # type: ignore[arg-type]


def test_a_hit_is_one_line_of_score_file_window_and_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = '0.412 a.mp4 0:00.0-1:15.2 "dog" 0:01.2 "ball" 1:03.4'
    moments = (Moment("A", 0.0, 0.2), Moment("dog", 1.2, 0.4), Moment("ball", 63.4, 0.3))
    found = hit(1, str(tmp_path / "a.mp4"), 0.4117, moments=moments)
    assert str(found) == repr(found) == line
    assert str(hit(1, "https://x.org/a.mp4", 0.5, moments=())) == "0.500 https://x.org/a.mp4 0:00.0-1:15.2"


def test_hits_are_a_list_that_shows_a_line_each() -> None:
    hits = SearchHits("a dog", "some/model", [hit(1, "/v/a.mp4", 0.5), hit(2, "/v/b.mp4", 0.25)])
    assert hits == [hit(1, "/v/a.mp4", 0.5), hit(2, "/v/b.mp4", 0.25)]
    assert repr(hits).splitlines() == [str(each) for each in hits]
    assert repr(SearchHits("a dog", "some/model")) == "no hits for 'a dog'"


def test_dictionary_has_the_fields_that_programs_rely_on() -> None:
    ranges = (MomentRange(1.0, 1.5, ("dog",)),)
    found = SearchHits("a dog", "some/model", [hit(1, "/v/a.mp4", 0.5, ranges=ranges)]).as_dict()
    assert found == {
        "query": "a dog",
        "model": "some/model",
        "hits": [
            {
                "rank": 1,
                "video": "/v/a.mp4",
                "start": 0.0,
                "end": 75.25,
                "score": 0.5,
                "level_scores": {"frame": 0.5},
                "ranges": [{"start": 1.0, "end": 1.5, "words": ["dog"]}],
                "moments": [
                    {"word": "dog", "time": 1.2, "similarity": 0.4},
                    {"word": "ball", "time": 63.4, "similarity": 0.3},
                ],
                "sources": [],
                "gone": False,
            }
        ],
    }


def test_text_gives_a_line_of_path_and_times_and_a_line_for_each_range() -> None:
    moments = (Moment("a", 0.1, 0.1), Moment("dog", 1.2, 0.4), Moment("the", 63.4, 0.2), Moment("ball", 63.4, 0.3))
    ranges = (
        MomentRange(0.0, 0.2, ("a",)),
        MomentRange(0.8, 1.6, ("dog",)),
        MomentRange(62.96, 3661.0, ("the", "ball")),
    )
    levels = {"frame": 0.3, "video": 0.4}
    hits = SearchHits(
        "a dog, the ball",
        "m",
        [hit(1, "http://x.org/a.mp4", 0.7, level_scores=levels, moments=moments, ranges=ranges, end=3661.04)],
    )
    assert hits.as_text().splitlines() == [
        " 1. http://x.org/a.mp4  0:00.0-1:01:01.0  score 0.700",
        "    0:00.8-0:01.6  dog 0:01.2",
        "    1:03.0-1:01:01.0  ball 1:03.4",
    ]
    assert hits.as_text(scores=True).splitlines()[0].endswith("  score 0.700 (frame 0.300, video 0.400)")
    gone = SearchHits("x", "m", [hit(1, "/v/a.mp4", 0.7, is_gone=True)])
    assert gone.as_text().splitlines()[0] == " 1. /v/a.mp4  0:00.0-1:15.2  score 0.700  file is gone"
    assert SearchHits("x", "m").as_text() == "No hits."


@pytest.mark.parametrize("width", [50, 80, 120])
def test_text_keeps_to_its_width_and_no_path_is_cut(width: int) -> None:
    words = [f"word{number}" for number in range(30)]
    moments = tuple(Moment(word, 100.0 * number, 0.5) for number, word in enumerate(words))
    path = "/v/" + "long " * 20 + "name.mp4"
    found = hit(1, path, 0.7, moments=moments, ranges=(MomentRange(0.0, 3600.0, tuple(words)),))
    lines = SearchHits(" ".join(words), "m", [found]).as_text(scores=True, width=width).splitlines()
    assert lines[0] == f" 1. {path}"
    assert max(map(len, lines[1:])) <= width
    assert re.findall(r"word\d+ [\d:.]+", "\n".join(lines)) == [
        f"word{number} {format_seconds(100.0 * number)}" for number in range(30)
    ]


def test_json_has_times_to_the_millisecond_and_scores_to_seven_decimals() -> None:
    third = 1 / 3
    moments, ranges = (Moment("dog", third, third),), (MomentRange(third, 2 * third, ("dog",)),)
    found = hit(1, "a.mp4", third, start=third, end=2 * third, moments=moments, ranges=ranges).as_dict()
    assert (found["start"], found["end"], found["score"]) == (0.333, 0.667, 0.3333333)
    assert found["level_scores"] == {"frame": 0.3333333}
    assert found["moments"] == [{"word": "dog", "time": 0.333, "similarity": 0.3333333}]
    assert found["ranges"] == [{"start": 0.333, "end": 0.667, "words": ["dog"]}]


def test_a_notebook_shows_the_matched_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a<b>.mp4", 3, frames=8)
    found = hit(1, str(path), 0.5, end=2.0, moments=(Moment("dog", 0.25, 0.4), Moment("ball", 1.5, 0.3)))
    page = SearchHits('a "dog"', "m", [found])._repr_html_()
    assert "a<b>" not in page
    assert "a&lt;b&gt;.mp4" in page
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB"), dtype=np.int16)
        for code in re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    ]
    # The frames of four a second that these times are, decoded from the start.
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for picture, frame in zip(pictures, (frames[1], frames[6]), strict=True):
        expected = Image.fromarray(frame).resize(picture.shape[1::-1])
        assert np.abs(picture - np.asarray(expected, dtype=np.int16)).mean() < 8
    assert "0:00.2 dog" in page
    assert "0:01.5 ball" in page


def test_a_notebook_says_why_there_is_no_picture_and_links_what_is_at_a_url(tmp_path: Path) -> None:
    page = SearchHits("x", "m", [hit(1, str(tmp_path / "gone.mp4"), 0.5)])._repr_html_()
    assert "there is no such file" in page
    page = SearchHits("x", "m", [hit(1, "http://127.0.0.1:9/a.mp4", 0.5)])._repr_html_()
    assert '<a href="http://127.0.0.1:9/a.mp4">' in page
    assert "<img" not in page
    assert "No hits" in SearchHits("x", "m")._repr_html_()


def test_a_hit_without_scores_of_levels_shows_none() -> None:
    hit = SearchHit(1, "plants", 0.0, 0.0, 0.7, {}, ())
    assert SearchHits("leaves", "m", [hit]).as_text(scores=True).endswith("  score 0.700")
