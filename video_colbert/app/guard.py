"""What stands in front of every address of a server, whoever answers there: it asks `Access`, and bounds bodies."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from video_colbert.app.access import Access, Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
"""An ASGI application."""

_LOG = logging.getLogger(__name__)
# Where a call begins, of which Gradio says nothing but that it failed if it is not given what the function takes.
_CALLS_BY_NAME = "/gradio_api/call/v2/"


class Guard:
    """An ASGI application in front of another one, which sees only what is let through.

    Args:
        application: what is guarded, with all that is mounted in it.
        access: who may ask what.
    """

    def __init__(self, application: Application, access: Access) -> None:
        self._application = application
        self._access = access

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers a request, or lets it through."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        if scope["type"] != "http":
            # There is none in this server, whose answers that go on come as events over HTTP.
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = _headers(scope)
        method, path = scope["method"], scope["path"]
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token")
        if given and path == "/" and self._access.token is not None:
            refusal = self._access.refusal(method, path, {**headers, "authorization": f"Bearer {given[0]}"})
            await (self._let_in(headers["host"], send) if refusal is None else self._refuse(refusal, send))
            return
        refusal = self._access.refusal(method, path, headers)
        most = self._access.most_bytes(path)
        if refusal is None and _length(headers) > most:
            refusal = _too_long(most)
        if refusal is not None:
            await self._refuse(refusal, send)
            return
        await self._pass(scope, receive, send, most)

    async def _pass(self, scope: MutableMapping[str, Any], receive: Receive, send: Send, most: int) -> None:
        received = 0
        has_begun = is_replaced = False

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                # What reads the body ends as if the client had gone.
                raise _BodyTooLongError
            return message

        async def protected(message: Message) -> None:
            nonlocal has_begun, is_replaced
            if is_replaced:
                return
            if message["type"] == "http.response.start":
                has_begun = True
                if message["status"] == 500 and scope["path"].startswith(_CALLS_BY_NAME):
                    is_replaced = True
                    await self._refuse(Refusal(400, "The function takes other parameters, by name, in JSON."), send)
                    return
                message = {**message, "headers": self._protected(message.get("headers", []))}
            await send(message)

        try:
            await self._application(scope, bounded, protected)
        except _BodyTooLongError:
            if not has_begun:
                await self._refuse(_too_long(most), send)
        except Exception as error:
            # One line, where the libraries would write fifty for each odd request that they did not foresee.
            _LOG.warning("%s %s failed: %s: %s", scope["method"], scope["path"], type(error).__name__, error)
            if not has_begun:
                await self._refuse(Refusal(500, "The server failed at this request."), send)

    async def _let_in(self, host: str, send: Send) -> None:
        """Gives the cookie and leads to the address without the token, which then stands in no history."""
        name, value = self._access.cookie(host)
        cookie = f"{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": self._protected(headers)})
        await send({"type": "http.response.body", "body": b""})

    async def _refuse(self, refusal: Refusal, send: Send) -> None:
        body = f"{refusal.reason}\n".encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        if refusal.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if refusal.status == 413:
            # The rest of the body is not read.
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": refusal.status, "headers": self._protected(headers)})
        await send({"type": "http.response.body", "body": body})

    def _protected(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Headers of an answer with those that every answer has; none that lets other origins read it."""
        kept = [(name, value) for name, value in headers if not name.lower().startswith(b"access-control-")]
        if not any(name.lower() == b"cache-control" for name, _ in kept):
            kept.append((b"cache-control", b"no-store"))
        return [
            *kept,
            (b"content-security-policy", self._access.policy().encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]


class _BodyTooLongError(Exception):
    """More of a body came than is taken."""


def _headers(scope: MutableMapping[str, Any]) -> dict[str, str]:
    """The headers of a request; of one that comes twice, all values, which then are none that is known."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        separator = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return headers


def _length(headers: dict[str, str]) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isdecimal() else 0


def _too_long(most: int) -> Refusal:
    return Refusal(413, f"The request is too long: at most {most} bytes are taken here.")
