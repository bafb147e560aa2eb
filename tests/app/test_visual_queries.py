"""The service asked by pictures, moments and clips: it finds what the index finds by the same."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.app.conftest import Served
from video_colbert import VideoClip
from video_colbert.app.read_query import read_query
from video_colbert.app.service_query import ServiceQuery, StoredMoment
from video_colbert.encoding.visual_query import VisualQuery
from video_colbert.errors import NotServedError, QueryError, VideoColBERTError

NOTHING = {"text": "", "index": "", "where": "", "sources": None, "top_k": 10} | {
    "image": "",
    "clip": None,
    "clip_file": "",
    "text_weight": 0.5,
}


def picture() -> Image.Image:
    return Image.linear_gradient("L").resize((48, 32)).convert("RGB")


def png() -> bytes:
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    return buffer.getvalue()


def stored(served: Served, name: str) -> tuple[str, str]:
    """Path and id of a video."""
    path = str(next(served.videos.rglob(name)))
    return path, next(video.digest for video in served.index.videos if video.path == path)


def found(served: Served, query: ServiceQuery) -> list[tuple[str, float]]:
    return [(each.hit.video, pytest.approx(each.hit.score, abs=1e-6)) for each in served.service.search(query).hits]


def expected(served: Served, query: Any, **options: Any) -> list[tuple[str, float]]:
    return [(hit.video, hit.score) for hit in served.index.search(query, **options)]


@pytest.mark.parametrize("text", [None, "a red circle"])
def test_a_picture_finds_what_the_index_finds(served: Served, text: str | None) -> None:
    query = ServiceQuery(text=text or "", image=png(), text_weight=0.3)
    assert found(served, query) == expected(served, VisualQuery(image=picture(), text=text, text_weight=0.3))


def test_a_clip_finds_what_the_index_finds(served: Served) -> None:
    path, _ = stored(served, "1.mp4")
    assert found(served, ServiceQuery(clip=Path(path).read_bytes())) == expected(served, VideoClip(path))


def test_a_moment_finds_what_is_like_it_and_not_itself(served: Served) -> None:
    path, video = stored(served, "1.mp4")
    similar = [(hit.video, hit.score) for hit in served.index.similar(path, 0.5, 2.0, top_k=2)]
    assert found(served, ServiceQuery(moment=StoredMoment(video, 0.5, 2.0), top_k=2)) == similar
    answer = served.service.similar("clips", video, 0.5, 2.0, top_k=2)
    assert [(each.hit.video, each.hit.score) for each in answer.hits] == similar
    with_words = served.service.search(ServiceQuery("a dog", moment=StoredMoment(video, 0.5, 2.0)))
    assert path not in {each.hit.video for each in with_words.hits}
    assert len(with_words.hits) == 3


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (ServiceQuery(image=b"no picture"), QueryError, "the picture is no picture"),
        (ServiceQuery(clip=b"no clip"), QueryError, "is not a video file"),
        (ServiceQuery(moment=StoredMoment("0" * 64)), NotServedError, "holds no video of this id"),
        (ServiceQuery(moment=StoredMoment("x", 3.0, 1.0)), QueryError, "must be before the end"),
        (ServiceQuery(moment=StoredMoment("x", float("inf"))), QueryError, "seconds from 0 on"),
        (ServiceQuery("a dog", image=b"x", text_weight=2.0), QueryError, "text_weight must be from 0 to 1"),
        (ServiceQuery(image=b"x", clip=b"x"), QueryError, "one at a time"),
    ],
)
def test_what_cannot_be_looked_for_is_said(
    served: Served, query: ServiceQuery, error: type[VideoColBERTError], message: str
) -> None:
    with pytest.raises(error, match=message):
        served.service.search(query)


def test_a_moment_outside_its_video_is_said(served: Served) -> None:
    _, video = stored(served, "1.mp4")
    with pytest.raises(QueryError):
        served.service.similar("clips", video, 50.0, 60.0)


def test_what_programs_send_is_read(served: Served) -> None:
    encoded = base64.b64encode(png()).decode()
    assert read_query(**NOTHING | {"image": encoded}).image == png()
    assert read_query(**NOTHING | {"image": f"data:image/png;base64,{encoded}"}).image == png()
    asked = read_query(**NOTHING | {"clip": {"video": "x", "start": 1, "end": None}, "sources": ["video"]})
    assert (asked.moment, asked.sources) == (StoredMoment("x", 1.0, None), ("video",))


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"text": 7}, "text must be a text, got int"),
        ({"sources": "video"}, "sources must be a list of names"),
        ({"sources": [1]}, "sources must be a list of names"),
        ({"image": "no base64!"}, "image must be a file in base64"),
        ({"clip": "x"}, "clip must be"),
        ({"clip": {"path": "/etc/passwd"}}, "clip must be"),
        ({"clip": {"video": "x", "start": "1"}}, "start must be a number, got str"),
        ({"text_weight": True}, "text_weight must be a number, got bool"),
    ],
)
def test_what_is_of_another_form_is_said(sent: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        read_query(**NOTHING | sent)
