"""Addresses as people have them, and servers as they are."""

import functools
import io
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.processing.made_videos import write_video
from video_colbert.processing import video_downloads
from video_colbert.processing.video_decoding import decode_video
from video_colbert.processing.video_downloads import DownloadError, download
from video_colbert.processing.video_sources import VideoDecodingError


def answer(status: str, body: bytes = b"", **headers: object) -> bytes:
    """An HTTP answer; header names with underscores for hyphens."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


class Server(socketserver.ThreadingTCPServer):
    """Answers each request line with the bytes that it is told to, and keeps the request lines."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, bytes | Callable[[socket.socket], None]] = {}
        self.requests: list[bytes] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            part = self.request.recv(4096)
            if not part:
                return
            request += part
        self.server.requests.append(request)
        given = self.server.answers.get(request.split()[1].decode(), answer("404 Not Found"))
        if isinstance(given, bytes):
            self.request.sendall(given)
        else:
            given(self.request)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as served:
        thread = threading.Thread(target=functools.partial(served.serve_forever, poll_interval=0.01))
        thread.start()
        yield served
        served.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "v.mp4", num_frames=6)


def good(clip: Path) -> bytes:
    content = clip.read_bytes()
    return answer("200 OK", content, Content_Length=len(content))


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("/a b.mp4", "/a%20b.mp4"),
        ("/größe.mp4", "/gr%C3%B6%C3%9Fe.mp4"),
        ("/a%20b.mp4", "/a%20b.mp4"),
        ("/v.mp4?sig=a%2Fb&x=ä#part", "/v.mp4?sig=a%2Fb&x=%C3%A4"),
        ("/v(1)+[2].mp4", "/v(1)+%5B2%5D.mp4"),
    ],
)
def test_an_address_is_quoted_as_browsers_do(server: Server, clip: Path, name: str, asked: str) -> None:
    server.answers[asked] = good(clip)
    np.testing.assert_array_equal(decode_video(server.url + name, 3).frames, decode_video(clip, 3).frames)


def test_chunks_and_an_answer_without_a_length_are_read(server: Server, clip: Path) -> None:
    content = clip.read_bytes()
    half = len(content) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (content[:half], content[half:], b""))
    server.answers["/chunks"] = answer("200 OK", chunks, Transfer_Encoding="chunked")
    server.answers["/plain"] = answer("200 OK", content)
    for name in server.answers:
        assert len(decode_video(server.url + name, 3).frames) == 3


def test_a_user_and_password_are_sent_as_such(server: Server, clip: Path) -> None:
    server.answers["/v.mp4"] = good(clip)
    decode_video(server.url.replace("//", "//user:p%40ss@") + "/v.mp4", 1)
    assert b"Authorization: Basic dXNlcjpwQHNz" in server.requests[0]


BAD_ANSWERS = {
    "cut": (answer("200 OK", b"\0" * 50, Content_Length=99), "ended after 50 of 99 bytes"),
    "cut chunk": (answer("200 OK", b"64\r\nabc", Transfer_Encoding="chunked"), "closed in the middle|ended"),
    "no chunk": (answer("200 OK", b"zz\r\nabc", Transfer_Encoding="chunked"), "cannot be downloaded"),
    "no HTTP": (b"this is no HTTP\r\n\r\n", "no HTTP"),
    "nothing": (b"", "cannot be downloaded"),
    "no size": (answer("200 OK", bytes(9), Content_Length="abc"), "a Content-Length of 'abc', which is no size"),
    "empty": (answer("200 OK", Content_Length=0), "empty"),
    "gone": (answer("410 Gone"), "the server answered 410 Gone"),
    "loop": (answer("302 Found", Location="/loop", Content_Length=0), "infinite loop"),
    "page": (answer("200 OK", b"<html>log in</html>" * 99), "not a video file"),
    "long header": (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000 + b"\r\n\r\n", "cannot be downloaded"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_is_one_error_that_says_what_is_wrong(server: Server, name: str) -> None:
    given, reason = BAD_ANSWERS[name]
    path = f"/{name.replace(' ', '%20')}"
    server.answers[path] = given
    with pytest.raises(VideoDecodingError, match=reason) as caught:
        decode_video(server.url + path)
    assert caught.value.source == server.url + path


@pytest.mark.parametrize(
    "address",
    [
        "http://",
        "http:///no-host.mp4",
        "http://[::1",
        "https://[bad/x.mp4",
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:abc/x",
        "http://127.0.0.1:1/x",
        "http://" + "a" * 300 + ".invalid/x",
        "http://\ud800/x",
        "http://127.0.0.1/\ud800",
        "http://127.0.0.1/a\nb.mp4",
        "http://127.0.0.1/a\0b.mp4",
        "http://127.0.0.1/v.mp4\r\nX-Injected: 1",
    ],
)
def test_what_is_no_address_is_one_error(address: str) -> None:
    with pytest.raises(VideoDecodingError, match="cannot be downloaded"):
        decode_video(address)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/v.mp4", "file:///etc/passwd", "weird://x/y", "gopher://h/x"])
def test_other_addresses_are_not_read(address: str) -> None:
    with pytest.raises(VideoDecodingError, match=r"addresses that begin with .*:// are not read"):
        decode_video(address)


@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1:{port}/x.mp4", "file:///etc/passwd", "data:video/mp4;base64,AAAA"]
)
def test_a_redirect_leads_to_web_addresses_only(server: Server, target: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        location = target.format(port=elsewhere.getsockname()[1])
        server.answers["/v"] = answer("302 Found", Location=location, Content_Length=0)
        with pytest.raises(VideoDecodingError):
            decode_video(f"{server.url}/v")
        elsewhere.settimeout(0.05)
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_a_redirect_within_the_web_is_followed(server: Server, clip: Path) -> None:
    server.answers["/old"] = answer("302 Found", Location="/new", Content_Length=0)
    server.answers["/new"] = good(clip)
    assert len(decode_video(f"{server.url}/old", 3).frames) == 3


def send_for_ever(connection: socket.socket) -> None:
    connection.sendall(answer("200 OK"))
    try:
        while True:
            connection.sendall(bytes(2**16))
    except OSError:
        return


def test_an_endless_answer_ends_at_the_limit(server: Server) -> None:
    server.answers["/endless"] = send_for_ever
    file = io.BytesIO()
    with pytest.raises(DownloadError, match="is larger than 1000000 bytes"):
        download(f"{server.url}/endless", file, max_bytes=10**6)
    assert len(file.getvalue()) <= 10**6


def drip(connection: socket.socket) -> None:
    connection.sendall(answer("200 OK"))
    try:
        for _ in range(100):
            connection.sendall(b"\0")
            time.sleep(0.05)
    except OSError:
        return


def test_a_byte_now_and_then_ends_at_the_time_limit(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_downloads, "_DOWNLOAD_SECONDS", 0.2)
    server.answers["/slow"] = drip
    with pytest.raises(DownloadError, match=r"takes longer than 0\.2 s"):
        download(f"{server.url}/slow", io.BytesIO())


def test_a_file_whose_name_is_not_unicode_decodes(tmp_path: Path, clip: Path) -> None:
    path = str(tmp_path / "gr\udcf6\udcdfe.mp4")
    Path(path).write_bytes(clip.read_bytes())
    assert len(decode_video(path, 3).frames) == 3


@pytest.mark.parametrize("name", ["a\0b.mp4", "a" * 5000 + ".mp4"])
def test_a_name_that_no_file_can_have_is_one_error(name: str) -> None:
    with pytest.raises(VideoDecodingError):
        decode_video(name)
