"""The addresses of media: pictures and files of videos that an index holds, by index and id."""

from __future__ import annotations

from pathlib import PurePath

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from video_colbert.app.service import SearchService
from video_colbert.errors import IndexStoreError, NotServedError, VideoColBERTError

_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}


def media_routes(service: SearchService) -> list[Route]:
    """The routes below `/media/`.

    Args:
        service: the only way from an id to a file.
    """
    media = _Media(service)
    return [Route("/media/{index}/{id}/file", media.file, name="media_file")]


class _Media:
    """What answers at the addresses."""

    def __init__(self, service: SearchService) -> None:
        self._service = service

    async def file(self, request: Request) -> Response:
        """The file itself, or the ranges of it that are asked for."""
        try:
            found = await run_in_threadpool(
                self._service.media, request.path_params["index"], request.path_params["id"]
            )
        except VideoColBERTError as error:
            return refusal(error)
        media_type = _TYPES.get(PurePath(found.name).suffix.lower())
        if media_type is None:
            return PlainTextResponse("A browser does not play this file; ask for an excerpt of it.", status_code=415)
        return FileResponse(
            found.path,
            media_type=media_type,
            filename=found.name,
            content_disposition_type="inline",
            headers={"Cache-Control": "private, no-cache"},
        )


def refusal(error: VideoColBERTError) -> Response:
    """The answer to a request that cannot be granted.

    Args:
        error: why.
    """
    status = 404 if isinstance(error, NotServedError) else 503 if isinstance(error, IndexStoreError) else 400
    return PlainTextResponse(str(error), status_code=status)
