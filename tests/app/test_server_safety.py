"""A running server asked by those who mean it ill: what is refused, and what is harmless."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="needs the extra [app]")

import httpx
from starlette.routing import Mount

from tests.app.conftest import Served
from tests.app.running_server import BEARER, TOKEN, call
from video_colbert.app.access import Access
from video_colbert.app.server import MOST_CONNECTIONS, build_application


@pytest.fixture
def stranger(server: str) -> Iterator[httpx.Client]:
    """A client without the token."""
    with httpx.Client(base_url=server, timeout=60.0) as client:
        yield client


def addresses(routes: Sequence[Any], before: str = "") -> Iterator[str]:
    """The address of every route, those of mounted applications and included routers too, with made parameters."""
    for route in routes:
        path = before + getattr(route, "path", "")
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if isinstance(route, Mount) or hasattr(route, "original_router"):
            yield from addresses(getattr(inner, "routes", []), path)
        yield re.sub(r"\{[^}]*\}", "x", path) or "/"


def test_no_address_answers_without_the_token(served: Served, stranger: httpx.Client) -> None:
    application = build_application(served.service, Access(token=TOKEN), mcp=True)
    found = set(addresses(application._application.routes)) | {"/nowhere", "/gradio_api/mcp/", "/media/clips/x/file"}
    # That the walk comes everywhere: the page, media, Gradio's functions, queue, files and schema, and MCP.
    for known in (
        "/page/x",
        "/media/x/x/file",
        "/config",
        "/gradio_api/queue/join",
        "/gradio_api/queue/data",
        "/gradio_api/file=x",
        "/gradio_api/upload",
        "/gradio_api/openapi.json",
        "/gradio_api/mcp/schema",
        "/gradio_api/mcp/sse",
    ):
        assert known in found, known
    assert len(found) > 50
    name, value = Access(token=f"{TOKEN}x").cookie(stranger.base_url.netloc.decode())
    for address in sorted(found):
        for method, headers in (
            ("GET", {}),
            ("POST", {}),
            ("GET", {"Authorization": "Bearer wrong", "Cookie": f"{name}={value}"}),
        ):
            answer = stranger.request(method, address, headers=headers)
            assert answer.status_code == 401, (method, address, headers)


def test_the_token_is_given_once_and_then_stands_in_no_address(stranger: httpx.Client) -> None:
    assert stranger.get("/?token=wrong").status_code == 401
    assert stranger.get("/page/main.js", params={"token": TOKEN}).status_code == 401
    led = stranger.get("/", params={"token": TOKEN})
    assert (led.status_code, led.headers["location"]) == (303, "/")
    assert "HttpOnly" in led.headers["set-cookie"]
    assert TOKEN not in led.headers["set-cookie"]
    assert "<title>" in stranger.get("/").text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:7860"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_other_hosts_and_origins_are_refused_everywhere(client: httpx.Client, headers: dict[str, str]) -> None:
    for method, address in (
        ("GET", "/"),
        ("GET", "/page/main.js"),
        ("GET", "/config"),
        ("POST", "/gradio_api/call/v2/search"),
        ("POST", "/gradio_api/mcp/"),
    ):
        answer = client.request(method, address, headers=headers, json={"text": "a dog"} if method == "POST" else None)
        assert answer.status_code in (403, 421)
        assert "access-control-allow-origin" not in answer.headers


def test_a_preflight_gets_no_permission(client: httpx.Client) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/gradio_api/call/v2/search", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "target",
    [
        "/media/clips/../../../../etc/passwd",
        "/media/clips/..%2f..%2f..%2fetc%2fpasswd/file",
        "/media/clips/%2e%2e/file",
        "/media/..%2fclips/x/file",
        "/media/clips/%00/file",
        "/page/..%2f..%2fserver.py",
        "/page/%2e%2e/server.py",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=%2fetc%2fpasswd",
        "/gradio_api/file=http://evil.example/",
        "//etc/passwd",
    ],
)
def test_no_path_of_a_request_is_one_of_the_disk(server: str, target: str) -> None:
    # As written: a client library would tidy the path up first.
    host, _, port = server.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", target, headers=BEARER)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 404
    assert b"root:" not in body
    assert b"import" not in body


def test_only_ids_of_the_index_have_media(client: httpx.Client, served: Served) -> None:
    known = served.index.videos[0].digest
    assert client.get(f"/media/clips/{known}/file").status_code == 200
    for index, video in (
        ("clips", "0" * 64),
        ("other", known),
        ("clips", "x"),
        ("clips", known[:-1]),
        ("clips", "0.mp4"),
    ):
        assert client.get(f"/media/{index}/{video}/file").status_code == 404


def test_a_long_body_is_refused_before_it_is_read(client: httpx.Client) -> None:
    for address in ("/gradio_api/cancel", "/gradio_api/reset", "/"):
        assert client.post(address, content=b"x" * (10 * 2**20)).status_code == 413
    assert client.post("/gradio_api/call/v2/search", content=b"x" * (21 * 2**20)).status_code == 413


def test_a_long_body_that_does_not_say_so_is_cut_off(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(10):
            yield b"x" * 2**20

    try:
        status = client.post("/gradio_api/cancel", content=pieces()).status_code
    except httpx.TransportError:
        # The server closed while the rest was on its way.
        status = 413
    assert status in (400, 413, 422)


def test_a_long_query_is_refused_and_says_why(client: httpx.Client) -> None:
    for letters in (2001, 10 * 10**6):
        answer = call(client, "search", text="a" * letters)
        assert f"the query has {letters} letters; at most 2000 are taken" in answer.text


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "'; DROP TABLE videos; --", "{{7*7}}", "\u202e\0"],
)
def test_a_query_that_is_markup_is_a_query(client: httpx.Client, served: Served, text: str) -> None:
    answer = call(client, "search", text=text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-content-type-options"] == "nosniff"
    [data] = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    [found] = json.loads(data)
    assert found["query"] == text
    assert [hit["video"] for hit in found["hits"]] == [hit.video for hit in served.index.search(text)]


@pytest.mark.parametrize(
    "parameters",
    [
        {"text": 7},
        {"text": ["a"]},
        {"text": None},
        {"text": "a", "top_k": 10**9},
        {"text": "a", "top_k": "many"},
        {"text": "a", "top_k": float("nan")},
        {"text": "a", "where": "path = 'x' or " * 100},
        {"text": "a", "where": {"a": 1}},
        {"text": "a", "sources": "video"},
        {"text": "a", "sources": [1]},
        {"text": "a", "index": "../index"},
        {"text": "a", "unknown": 1},
        {"text": "\ud800"},
    ],
)
def test_odd_parameters_give_an_error_and_the_server_goes_on(client: httpx.Client, parameters: dict[str, Any]) -> None:
    body = json.dumps(parameters).encode()
    begun = client.post("/gradio_api/call/v2/search", content=body, headers={"Content-Type": "application/json"})
    if begun.status_code == 200:
        answer = client.get(f"/gradio_api/call/search/{begun.json()['event_id']}")
        assert "event: error" in answer.text, answer.text[:200]
        assert "Traceback" not in answer.text
    else:
        assert begun.status_code in (400, 422)
    assert "event: complete" in call(client, "search", text="a dog").text


def test_a_link_that_leads_out_of_the_folders_is_not_followed(
    client: httpx.Client, served: Served, tmp_path: Path
) -> None:
    path = served.videos / "2.mp4"
    [video] = [video for video in served.index.videos if video.path == str(path)]
    kept = tmp_path / "kept.mp4"
    path.rename(kept)
    path.symlink_to(kept)
    try:
        answer = client.get(f"/media/clips/{video.digest}/file")
        assert (answer.status_code, "leads out of the folders" in answer.text) == (404, True)
    finally:
        path.unlink()
        kept.rename(path)


def test_every_answer_keeps_other_hosts_out(client: httpx.Client, stranger: httpx.Client) -> None:
    for answer in (client.get("/"), client.get("/config"), client.get("/nowhere"), stranger.get("/")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy
    page = client.get("/").text
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page)


def test_a_broken_request_ends_itself_only(server: str, client: httpx.Client) -> None:
    host, _, port = server.removeprefix("http://").partition(":")
    for raw in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"POST /gradio_api/cancel HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(raw)
            status = connection.recv(65536).partition(b" ")[2][:3]
            assert status in (b"400", b"401", b"421"), raw[:40]
    assert client.get("/").status_code == 200


def test_connections_beyond_the_most_are_sent_away_and_do_no_harm(server: str, client: httpx.Client) -> None:
    host, port = server.removeprefix("http://").split(":")
    with contextlib.ExitStack() as opened:
        for _ in range(MOST_CONNECTIONS):
            opened.enter_context(socket.create_connection((host, int(port)), timeout=60))
        assert client.get("/").status_code == 503
    for _ in range(100):
        if client.get("/").status_code == 200:
            return
        time.sleep(0.1)
    pytest.fail("the server does not answer after the connections are closed")
