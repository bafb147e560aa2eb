"""Who may ask a server what: its names, origins of pages, the token, addresses that there are, sizes of requests."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

MOST_BYTES = 2**20
"""Bytes of the body of a request, at most."""
MOST_BYTES_OF_A_CALL = 20 * 2**20
"""Bytes of the body of a call of a function, at most: a clip that is searched by travels in it."""
LEAST_TOKEN_LETTERS = 12
"""Letters of a token, at least."""

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::(?P<port>[0-9]{1,5}))?")

_FUNCTIONS = "search|similar|moments|videos|info|add_folder|reveal"
# Functions that are called, of which a call may hold a clip.
_CALLS = re.compile(rf"/gradio_api/(?:(?:call|call/v2|run|api)/(?:{_FUNCTIONS})/?|queue/join/?|mcp(?:/http)?/?)")
# What there is beside them. Whatever else Gradio has an address for is not needed here: uploads, files of the server's
# disk, a proxy to other hosts, files of its own page, and what is for developers.
_ADDRESSES = re.compile(
    r"/|/page/[\w.-]+|/media/(?!\.)[^/]+/\w[\w.-]*/(?:picture|file|excerpt|cut)|/config/?"
    rf"|/gradio_api/(?:info/?|openapi\.json|call/(?:{_FUNCTIONS})/\w+|queue/data/?|queue/status/?|heartbeat/\w+"
    r"|cancel/?|reset/?|startup-events|app_id/?|mcp/(?:schema|sse)/?|mcp/messages/?)"
)


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered.

    Attributes:
        status: of the answer in HTTP.
        reason: a sentence.
    """

    status: int
    reason: str


@dataclass(frozen=True)
class Access:
    """Who may ask a server what.

    Attributes:
        names: names and addresses by which the server may be reached, without a port: what a page of another site
            that has its own name led to this machine does not send.
        any_address: whether every IP address will do as a name; of a server that listens on all of them.
        token: what a request must show; None for a server that asks for none.
        framed_by: origins whose pages may show the page in a frame.

    Example:
        >>> access = Access(token="not so secret")
        >>> access.refusal("GET", "/", {"host": "127.0.0.1:7860"}).status
        401
        >>> access.refusal("GET", "/", {"host": "127.0.0.1:7860", "authorization": "Bearer not so secret"}) is None
        True
    """

    names: Collection[str] = _LOOPBACK_NAMES
    any_address: bool = False
    token: str | None = None
    framed_by: Collection[str] = ()

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """Why a request is refused; None where it is not.

        Args:
            method: such as GET.
            path: of the address, decoded.
            headers: by name in small letters.
        """
        host = headers.get("host", "")
        if not self._is_own_name(host):
            return Refusal(421, "The Host header names another server; open the address that the server printed.")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return Refusal(403, "Pages of other origins may not ask this server.")
        shown_in = ("document", "iframe") if self.framed_by else ("document",)
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not (
            headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") in shown_in and path == "/"
        ):
            return Refusal(403, "Pages of other sites may not ask this server.")
        if not self._has_token(headers, host):
            return Refusal(
                401,
                "This server asks for its token: open the address with /?token=TOKEN once, or send the header "
                "Authorization: Bearer TOKEN.",
            )
        if method not in ("GET", "HEAD", "POST", "DELETE"):
            return Refusal(405, f"{method} is not answered here.")
        if not (_ADDRESSES.fullmatch(path) or _CALLS.fullmatch(path)):
            return Refusal(404, "There is nothing at this address.")
        return None

    def most_bytes(self, path: str) -> int:
        """How long the body of a request may be.

        Args:
            path: of its address.
        """
        return MOST_BYTES_OF_A_CALL if _CALLS.fullmatch(path) else MOST_BYTES

    def is_token(self, given: str) -> bool:
        """Whether a text is the token, told in a time that does not depend on how much of it is right."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def cookie(self, host: str) -> tuple[str, str]:
        """Name and value of the cookie that stands for the token.

        Browsers send cookies to all ports of a machine, so that it has the port in its name, and not the token in it.

        Args:
            host: the Host header of the request.
        """
        port = host.rpartition(":")[2] if _port(host) else "80"
        value = hmac.new((self.token or "").encode(), b"video-colbert serve", hashlib.sha256).hexdigest()
        return f"video_colbert_{port}", value

    def policy(self) -> str:
        """The Content-Security-Policy of every answer: nothing of another host, and no script but the server's own."""
        return (
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
            "media-src 'self' blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
            f"base-uri 'none'; frame-ancestors {' '.join(self.framed_by) or chr(39) + 'none' + chr(39)}"
        )

    def _is_own_name(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found["name"].strip("[]").lower().rstrip(".")
        return name in self.names or (self.any_address and _is_address(name))

    def _has_token(self, headers: Mapping[str, str], host: str) -> bool:
        if self.token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        name, value = self.cookie(host)
        # Other servers of the machine may have set cookies that no parser takes; they must not hide this one.
        pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        return any(each == name and hmac.compare_digest(held.encode(), value.encode()) for each, _, held in pairs)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _port(host: str) -> str | None:
    found = _HOST.fullmatch(host)
    return None if found is None else found["port"]
