"""The addresses of the page: `/` and, below `/page/`, the files that it loads."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from video_colbert.app.page.page_files import PAGE, PageFile, page_files


def page_routes() -> list[Route]:
    """The routes of the page, for an ASGI application; they go before those of Gradio, whose own page is at `/` too.

    Only names of files of the package are known: a path from a request is never one of the file system.
    """
    return [Route("/", _page, name="page"), Route("/page/{name}", _file, name="page_file")]


async def _page(request: Request) -> Response:
    return _answer(request, page_files()[PAGE])


async def _file(request: Request) -> Response:
    file = page_files().get(request.path_params["name"])
    if file is None:
        return PlainTextResponse("The page has no such file.", status_code=404)
    return _answer(request, file)


def _answer(request: Request, file: PageFile) -> Response:
    # Kept, and asked for each time: a newer version of the package is shown by the next load.
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
