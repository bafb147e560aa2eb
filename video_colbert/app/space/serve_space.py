"""What a Space of the Hugging Face Hub runs: the page over an index, for everybody who opens it."""

from __future__ import annotations

import os

from video_colbert.app.access import Access
from video_colbert.app.ports import open_port
from video_colbert.app.server import build_application, uvicorn_server
from video_colbert.app.service import SearchService
from video_colbert.console import write_notice

# All addresses of the container, since the Hub's proxy is another machine; who may open the Space, the Hub says.
_HOST = "0.0.0.0"  # noqa: S104 - see above
_PORT = 7860
_HUB = "https://huggingface.co"


def run_space(index: str) -> None:
    """Serves an index until the process ends.

    The Hub tells by environment variables under which name it shows the Space (SPACE_HOST) and at which port it looks
    for it (GRADIO_SERVER_PORT, 7860 where it is not set).

    Args:
        index: its folder.

    Raises:
        VideoColBERTError: the index cannot be read, its model cannot be loaded, or the port is in use.
    """
    service = SearchService({"videos": index})
    access = space_access(os.environ.get("SPACE_HOST"))
    opened = open_port(_HOST, int(os.environ.get("GRADIO_SERVER_PORT", _PORT)))
    server = uvicorn_server(
        build_application(service, access), lambda: write_notice(f"Serving {index} at port {opened.getsockname()[1]}.")
    )
    server.run(sockets=[opened])


def space_access(host: str | None) -> Access:
    """Who may ask a Space: whoever the Hub lets through, on a page of its own or in a frame of the Hub's.

    Args:
        host: the name under which the Hub shows it; None where it runs elsewhere.
    """
    names = (*Access().names, *([host.lower()] if host else ()))
    return Access(names=names, any_address=True, framed_by=(_HUB,))
