"""The server: page, media, functions and MCP over a search service, behind the guard, run by uvicorn."""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Callable
from typing import Any

import fastapi
import gradio as gr
import uvicorn

from video_colbert.app.access import Access
from video_colbert.app.assistants import offer_to_assistants
from video_colbert.app.guard import Application, Guard
from video_colbert.app.media_routes import media_routes
from video_colbert.app.page.routes import page_routes
from video_colbert.app.service import SearchService
from video_colbert.app.tools import SearchTools
from video_colbert.app.unfetched_answers import UnfetchedAnswers

_SECONDS_TO_END = 2
_SECONDS_KEPT_ALIVE = 60
MOST_CONNECTIONS = 256
"""Connections that are open at once; who comes beyond them is told to come later."""

# Gradio makes a table of its last ten thousand calls after each one, which takes as long as a search does; nobody
# sees it here.
_WITHOUT_STATISTICS = {"GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**12), "GRADIO_ANALYTICS_MAX_EVENTS": "1"}
# It keeps the last answer of each session, of which there is one a call, and here none goes on.
_SESSIONS_KEPT = 16


def build_application(service: SearchService, access: Access, *, mcp: bool = False) -> Application:
    """The whole server as an ASGI application, for any server of such.

    Args:
        service: what answers.
        access: who may ask what.
        mcp: whether the functions are offered to assistants too, at `/gradio_api/mcp`.
    """
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1", **_WITHOUT_STATISTICS)
    # Gradio imports it at the first call, which would wait seconds for it.
    importlib.import_module("pandas")
    tools = SearchTools(service)
    with gr.Blocks(title="Video search", analytics_enabled=False) as blocks:
        blocks.state_session_capacity = _SESSIONS_KEPT
        for function in tools.of_everybody():
            # Not in Gradio's queue: the service has a fair one, and through Gradio's a tool would be called over HTTP.
            gr.api(function, api_name=function.__name__, queue=False, concurrency_limit=None)
        for function in tools.of_the_page():
            gr.api(function, api_name=function.__name__, queue=False)
    outer = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    outer.router.routes.extend([*page_routes(), *media_routes(service)])
    application = gr.mount_gradio_app(
        outer, blocks, path="/", mcp_server=mcp, run_history=False, ssr_mode=False, footer_links=[], show_error=True
    )
    outer.add_middleware(UnfetchedAnswers(blocks._queue).in_front_of)
    if mcp:
        offer_to_assistants(blocks.mcp_server_obj, [function.__name__ for function in tools.of_everybody()])
    return Guard(application, access)


def uvicorn_server(application: Application, when_ready: Callable[[], None]) -> uvicorn.Server:
    """The server that runs it, by `run(sockets=[...])`, until the process is interrupted.

    Args:
        application: of `build_application`.
        when_ready: is called once requests are answered.
    """
    settings = uvicorn.Config(
        application,
        # The guard tells of what fails, in a line; what is cut off when the server ends is no failure.
        log_level="critical",
        access_log=False,
        # The client's address is what the connection says, whatever a header claims.
        proxy_headers=False,
        server_header=False,
        ws="none",
        # Browsers and programs come back on the connection that they have.
        timeout_keep_alive=_SECONDS_KEPT_ALIVE,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=_SECONDS_TO_END,
    )
    return _Server(settings, when_ready)


class _Server(uvicorn.Server):  # type: ignore[misc, unused-ignore] # untyped where the extra is not installed
    """A server that says when it is ready."""

    def __init__(self, settings: uvicorn.Config, when_ready: Callable[[], None]) -> None:
        super().__init__(settings)
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> Any:
        """Starts, and then says so."""
        await super().startup(sockets=sockets)
        self._when_ready()
