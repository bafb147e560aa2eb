"""Media over HTTP: pictures, excerpts and cuts of what the index holds, made within bounds."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("gradio", reason="needs the extra [app]")

import av
import httpx
from PIL import Image

from tests.app.conftest import Served
from tests.app.running_server import running_server
from video_colbert.app.access import Access


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with running_server(served.service, Access()) as address, httpx.Client(base_url=address, timeout=120.0) as client:
        yield client


@pytest.fixture(scope="module")
def media(served: Served) -> str:
    """The address of the long clip's media: 8 s at 4 frames a second."""
    [video] = [video for video in served.index.videos if video.path.endswith("long.mp4") and not video.start]
    return f"/media/clips/{video.digest}"


def decoded(content: bytes) -> list[float]:
    """The times of the frames of a file."""
    with av.open(io.BytesIO(content)) as container:
        return [float(frame.time or 0.0) for frame in container.decode(video=0)]


def test_a_picture_is_the_frame_on_show(client: httpx.Client, media: str, served: Served) -> None:
    answer = client.get(f"{media}/picture", params={"t": 2.6, "h": 24})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    picture = Image.open(io.BytesIO(answer.content))
    assert (picture.format, picture.height) == ("JPEG", 24)
    with av.open(str(next(served.videos.rglob("long.mp4")))) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    # 2.6 s: the frame of 2.5 s.
    expected = frames[10].resize((1, 1)).getpixel((0, 0))
    found = picture.resize((1, 1)).getpixel((0, 0))
    assert all(abs(one - other) <= 6 for one, other in zip(expected, found, strict=True))
    assert client.get(f"{media}/picture", params={"t": 1e6, "h": 64}).status_code == 200


def test_an_excerpt_is_the_stretch_and_has_ranges(client: httpx.Client, media: str) -> None:
    address = f"{media}/excerpt?start=2&end=4"
    whole = client.get(address)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    assert len(decoded(whole.content)) == 8
    part = client.get(address, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])


def test_a_cut_is_a_file_to_keep(client: httpx.Client, media: str) -> None:
    answer = client.get(f"{media}/cut", params={"start": 2, "end": 4, "exact": 1})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''long%202.0-4.0.mp4"
    assert len(decoded(answer.content)) == 8
    assert client.get(f"{media}/cut", params={"start": 2, "end": 4}).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        "picture?t=nan",
        "picture?t=-1",
        "picture?t=x",
        "picture?h=0",
        "picture?h=100000",
        "picture?h=inf",
        "excerpt",
        "excerpt?start=1",
        "excerpt?start=3&end=1",
        "excerpt?start=9&end=10",
        "excerpt?start=-1&end=2",
        "excerpt?start=0&end=inf",
        "cut?start=0&end=1e400",
        "cut?start=0&end=2&exact=yes",
    ],
)
def test_what_is_out_of_range_is_refused(client: httpx.Client, media: str, asked: str) -> None:
    answer = client.get(f"{media}/{asked}")
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"].startswith("text/plain")


def test_media_of_other_ids_are_not_there(client: httpx.Client, media: str) -> None:
    for address in (f"/media/other/{'0' * 64}", media.replace("clips", "other"), f"{media[:-1]}x"):
        for kind in ("picture", "file", "excerpt?start=0&end=1", "cut?start=0&end=1"):
            assert client.get(f"{address}/{kind}").status_code == 404


def test_fifty_pictures_at_once_are_all_given(client: httpx.Client, media: str) -> None:
    found: list[tuple[int, bytes]] = []

    def ask(number: int) -> None:
        answer = client.get(f"{media}/picture", params={"t": number % 3, "h": 48})
        found.append((answer.status_code, answer.content[:2]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {(200, b"\xff\xd8")}
    assert len(found) == 50


def test_a_file_that_no_browser_plays_is_given_as_an_excerpt(
    client: httpx.Client, media: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.app.media_routes.plays_as_it_is", lambda path: False)
    answer = client.get(f"{media}/file")
    assert (answer.status_code, answer.text) == (415, "a browser does not play this file; ask for an excerpt of it")
