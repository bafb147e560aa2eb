"""The addresses of media: pictures, files, excerpts and cuts of videos that an index holds, by index and id."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from video_colbert.app.media.playable import plays_as_it_is
from video_colbert.app.media.stored_files import StoredFile
from video_colbert.app.service import SearchService
from video_colbert.errors import BusyError, IndexStoreError, NotServedError, QueryError, VideoColBERTError

_TYPES = {".webm": "video/webm", ".mkv": "video/x-matroska", ".mov": "video/quicktime"}
# Kept by the browser, and asked for again each time by a tag that changes with the file.
_KEPT = {"Cache-Control": "private, no-cache"}
# What is made of a content at a time never changes.
_KEPT_LONG = {"Cache-Control": "private, max-age=86400"}


def media_routes(service: SearchService) -> list[Route]:
    """The routes below `/media/`.

    Args:
        service: the only way from an id to a file.
    """
    media = _Media(service)
    kinds = {"picture": media.picture, "file": media.file, "excerpt": media.excerpt, "cut": media.cut}
    return [Route(f"/media/{{index}}/{{id}}/{kind}", answer, name=f"media_{kind}") for kind, answer in kinds.items()]


class _Media:
    """What answers at the addresses."""

    def __init__(self, service: SearchService) -> None:
        self._service = service

    async def picture(self, request: Request) -> Response:
        """`?t=SECONDS&h=PIXELS`: the frame on show, as JPEG."""

        def make() -> Response:
            second, height = _number(request, "t", 0.0), int(_number(request, "h", 180.0))
            made = self._service.made_files.picture(self._found(request), second, height)
            return FileResponse(made, media_type="image/jpeg", headers=_KEPT_LONG)

        return await self._answer(request, make)

    async def file(self, request: Request) -> Response:
        """The file itself, or the ranges of it that are asked for, where a browser plays it."""

        def find() -> Response:
            found = self._found(request)
            if not plays_as_it_is(str(found.path)):
                reason = "a browser does not play this file; ask for an excerpt of it"
                return PlainTextResponse(reason, status_code=415)
            kind = "video/webm" if PurePath(found.name).suffix.lower() == ".webm" else "video/mp4"
            return FileResponse(
                found.path, media_type=kind, filename=found.name, content_disposition_type="inline", headers=_KEPT
            )

        return await self._answer(request, find)

    async def excerpt(self, request: Request) -> Response:
        """`?start=SECONDS&end=SECONDS`: the stretch as mp4, or ranges of it."""

        def make() -> Response:
            start, end = _number(request, "start"), _number(request, "end")
            made = self._service.made_files.excerpt(self._found(request), start, end)
            return FileResponse(made, media_type="video/mp4", headers=_KEPT_LONG)

        return await self._answer(request, make)

    async def cut(self, request: Request) -> Response:
        """`?start=SECONDS&end=SECONDS&exact=0|1`: the stretch as a file to keep."""

        def make() -> Response:
            start, end = _number(request, "start"), _number(request, "end")
            exact, found = _number(request, "exact", 0.0) != 0.0, self._found(request)
            made = self._service.made_files.cut(found, start, end, exact=exact)
            name = PurePath(found.name).stem
            return FileResponse(
                made,
                media_type=_TYPES.get(made.suffix, "video/mp4"),
                filename=f"{name} {start:.1f}-{end:.1f}{made.suffix}",
                headers=_KEPT,
            )

        return await self._answer(request, make)

    def _found(self, request: Request) -> StoredFile:
        """The file that a request names by index and id.

        Raises:
            NotServedError: there is none, or it is not given out.
            IndexStoreError: the index cannot be read or reached.
        """
        return self._service.media(request.path_params["index"], request.path_params["id"])

    async def _answer(self, request: Request, make: Callable[[], Response]) -> Response:
        client = request.client.host if request.client is not None else ""
        try:
            return await asyncio.wrap_future(self._service.media_in_turn(client, make))
        except VideoColBERTError as error:
            return _refusal(error)


def _number(request: Request, name: str, default: float | None = None) -> float:
    """A number of the query of an address.

    Raises:
        QueryError: it is missing, or no number.
    """
    text = request.query_params.get(name)
    try:
        if text is None and default is not None:
            return default
        number = float(text or "")
    except ValueError as error:
        raise QueryError(f"{name} must be a number") from error
    if not -1e9 < number < 1e9:
        raise QueryError(f"{name} must be a number, got {number}")
    return number


def _refusal(error: VideoColBERTError) -> Response:
    """The answer to a request that cannot be granted."""
    status = 422
    if isinstance(error, NotServedError):
        status = 404
    elif isinstance(error, QueryError):
        status = 400
    elif isinstance(error, BusyError | IndexStoreError):
        status = 503
    return PlainTextResponse(str(error), status_code=status)
