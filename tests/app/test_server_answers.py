"""A running server asked by the clients that people have: each gets what the index finds."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="needs the extra [app]")

import gradio_client
import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from tests.app.conftest import Served
from tests.app.running_server import BEARER, call, running_server
from video_colbert.app.access import Access


def expected(served: Served, text: str, **options: Any) -> list[tuple[str, float]]:
    return [(hit.video, round(hit.score, 7)) for hit in served.index.search(text, **options)]


def found(answer: dict[str, Any]) -> list[tuple[str, float]]:
    return [(hit["video"], hit["score"]) for hit in answer["hits"]]


def answer_of(response: httpx.Response) -> dict[str, Any]:
    [data] = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    [answer] = json.loads(data)
    return answer


def test_gradio_client_gets_the_hits_of_the_index(server: str, served: Served) -> None:
    client = gradio_client.Client(server, headers=BEARER, verbose=False)
    assert found(client.predict("a red circle", api_name="/search")) == expected(served, "a red circle")
    narrow = client.predict(text="a dog", where="year = 2021", top_k=1, api_name="/search")
    assert found(narrow) == expected(served, "a dog", where="year = 2021", top_k=1)
    with pytest.raises(Exception, match="nothing is asked; say what to look for"):
        client.predict("", api_name="/search")
    assert client.predict(api_name="/info")["indexes"][0]["name"] == "clips"


def test_an_assistant_gets_the_hits_of_the_index(server: str, served: Served) -> None:
    async def ask() -> tuple[list[str], list[Any]]:
        async with (
            streamablehttp_client(f"{server}/gradio_api/mcp/", headers=BEARER) as (receive, send, _),
            ClientSession(receive, send) as session,
        ):
            await session.initialize()
            tools = [tool.name for tool in (await session.list_tools()).tools]
            video = served.index.search("a dog")[0]
            digest = next(each.digest for each in served.index.videos if each.path == video.video)
            return tools, [
                await session.call_tool("search", {"text": "a red circle", "top_k": 2}),
                await session.call_tool("moments", {"video": digest, "text": "a dog"}),
                await session.call_tool("search", {"text": ""}),
                await session.call_tool("add_folder", {"folder": "/"}),
            ]

    tools, (searched, moments, refused, unknown) = asyncio.run(ask())
    # Nothing that changes the index or opens a window is a tool.
    assert {"search", "moments", "info"} <= set(tools)
    assert {"add_folder", "reveal"}.isdisjoint(tools)
    assert found(json.loads(searched.content[0].text)) == expected(served, "a red circle", top_k=2)
    best = served.index.search("a dog")[0]
    windows = served.index.search("a dog", group_windows=False, where=f"path = '{best.video}'")
    told = json.loads(moments.content[0].text)
    assert [(window["start"], window["score"]) for window in told] == [
        (window.start, round(window.score, 7)) for window in windows
    ]
    assert refused.isError
    assert "nothing is asked" in refused.content[0].text
    assert unknown.isError


def test_the_schema_tells_assistants_what_each_argument_is(client: httpx.Client) -> None:
    tools = {tool["name"]: tool for tool in client.get("/gradio_api/mcp/schema").json()}
    assert "Finds the videos that fit a text, a picture or a clip best" in tools["search"]["description"]
    properties = tools["search"]["inputSchema"]["properties"]
    assert properties["top_k"]["type"] == "integer"
    assert all(each.get("description") for each in properties.values())
    assert "request" not in properties


def test_without_mcp_there_is_none(served: Served) -> None:
    with running_server(served.service, Access()) as address:
        assert httpx.post(f"{address}/gradio_api/mcp/", json={}).status_code in (404, 405)


def test_a_hundred_queries_at_once_are_all_answered_rightly(server: str, served: Served) -> None:
    texts = [f"a {colour} {shape}" for colour in ("red", "blue", "green", "white") for shape in ("dog", "cat")]
    right = {text: expected(served, text) for text in texts}
    wrong: list[str] = []

    def ask(text: str) -> None:
        with httpx.Client(base_url=server, headers=BEARER, timeout=120.0) as client:
            try:
                if found(answer_of(call(client, "search", text=text))) != right[text]:
                    wrong.append(f"{text}: other hits")
            except Exception as error:
                wrong.append(f"{text}: {error!r}")

    threads = [threading.Thread(target=ask, args=(texts[number % len(texts)],)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_ranges_of_a_file_are_its_bytes(client: httpx.Client, served: Served) -> None:
    path = Path(served.index.search("a dog")[0].video)
    [hit, *_] = answer_of(call(client, "search", text="a dog"))["hits"]
    content, address = path.read_bytes(), f"/media/clips/{hit['id']}/file"
    whole = client.get(address)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, content, "video/mp4")
    assert whole.headers["accept-ranges"] == "bytes"
    last = len(content) - 1
    for asked, first, end in (("0-0", 0, 0), ("5-99", 5, 99), (f"{last}-", last, last), ("-7", last - 6, last)):
        part = client.get(address, headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, content[first : end + 1])
        assert part.headers["content-range"] == f"bytes {first}-{end}/{len(content)}"
    assert client.get(address, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    assert client.get(address, headers={"Range": "bytes=9-5"}).status_code in (400, 416)
    # Of a copy that is no longer the same, a range is answered with the whole.
    changed = client.get(address, headers={"Range": "bytes=0-0", "If-Range": '"other"'})
    assert (changed.status_code, len(changed.content)) == (200, len(content))
