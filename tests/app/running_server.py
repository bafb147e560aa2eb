"""A server in a thread of this process, with its addresses asked by a plain HTTP client."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from video_colbert.app.access import Access
from video_colbert.app.ports import open_port
from video_colbert.app.server import build_application, uvicorn_server
from video_colbert.app.service import SearchService

TOKEN = "correct horse battery"  # noqa: S105 - of these tests alone
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@contextmanager
def running_server(service: SearchService, access: Access, *, mcp: bool = False) -> Iterator[str]:
    """The address of a server that answers as long as the context lasts."""
    opened: socket.socket = open_port("127.0.0.1", 0)
    is_ready = threading.Event()
    server = uvicorn_server(build_application(service, access, mcp=mcp), is_ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    assert is_ready.wait(30.0)
    try:
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30.0)


def call(client: httpx.Client, name: str, **parameters: object) -> httpx.Response:
    """What a function of the API answers: the event stream of a call, as the page asks for it."""
    begun = client.post(f"/gradio_api/call/v2/{name}", json=parameters)
    if begun.status_code != 200:
        return begun
    return client.get(f"/gradio_api/call/{name}/{begun.json()['event_id']}", timeout=60.0)
