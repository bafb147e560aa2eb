"""Videos behind http and https addresses: fetched within limits, with one error for all that goes wrong."""

import base64
import http.client
import time
import urllib.error
import urllib.request
from typing import IO
from urllib.parse import quote, unquote, urlsplit, urlunsplit

# What a video file on the web may be; a longer film is better fetched once and given as a file.
MAX_DOWNLOAD_BYTES = 3 * 2**30
# The whole download, and any wait for a next byte.
_DOWNLOAD_SECONDS = 900.0
_STALL_SECONDS = 60.0
_CHUNK_BYTES = 2**20
_SCHEMES = ("http", "https")
# What an address may hold as it is; % because it may be quoted already.
_PATH_CHARACTERS = "/%:@!$&'()*+,;=~-._"


class DownloadError(Exception):
    """An address cannot be fetched; the message says why, without the address."""


def download(url: str, file: IO[bytes], *, max_bytes: int = MAX_DOWNLOAD_BYTES) -> None:
    """Fetches what an address holds; leaves the file at its beginning.

    Redirects lead to http and https addresses only. Spaces and letters that are not ASCII are quoted, as browsers do.

    Args:
        url: An `http://` or `https://` address.
        file: Where the bytes go.
        max_bytes: The most that is fetched.

    Raises:
        DownloadError: There is nothing, too much, or less than announced; the answer is no HTTP; or it takes longer
            than a quarter of an hour, or a minute without a byte.
    """
    try:
        request = _request(url)
        with _opener().open(request, timeout=_STALL_SECONDS) as response:
            declared = response.headers.get("Content-Length")
            if declared is not None and not declared.isdecimal():
                raise DownloadError(f"the server answered with a Content-Length of {declared!r}, which is no size")
            received = _receive(response, file, max_bytes)
    except urllib.error.HTTPError as error:
        raise DownloadError(f"the server answered {error.code} {_first_line(error.reason)}") from error
    except http.client.IncompleteRead as error:
        raise DownloadError("cannot be downloaded: the connection was closed in the middle of it") from error
    except http.client.BadStatusLine as error:
        raise DownloadError("cannot be downloaded: the server's answer is no HTTP") from error
    # ValueError is what urllib and the codecs of names make of odd addresses.
    except (http.client.HTTPException, OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DownloadError(f"cannot be downloaded: {_first_line(reason) or type(error).__name__}") from error
    if declared is not None and received != int(declared):
        raise DownloadError(f"the download ended after {received} of {declared} bytes")
    if received == 0:
        raise DownloadError("is empty (0 bytes)")
    file.seek(0)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to web addresses alone."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in _SCHEMES:
            raise urllib.error.URLError(f"it redirects to {scheme}://, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # Not build_opener, which reads ftp://, file:// and data: too.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _request(url: str) -> urllib.request.Request:
    """The request for an address as people write it.

    Raises:
        ValueError: It is no address.
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in url):
        raise ValueError("the address holds a control character")
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("the address names no host")
    host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    host = f"[{host}]" if ":" in host else host
    headers = {"User-Agent": "video-colbert"}
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    address = urlunsplit(
        (
            parts.scheme,
            host if parts.port is None else f"{host}:{parts.port}",
            quote(parts.path, safe=_PATH_CHARACTERS),
            quote(parts.query, safe=_PATH_CHARACTERS + "?[]|"),
            "",
        )
    )
    return urllib.request.Request(address, headers=headers)  # noqa: S310 # the opener reads web addresses alone


def _receive(response: http.client.HTTPResponse, file: IO[bytes], max_bytes: int) -> int:
    end = time.monotonic() + _DOWNLOAD_SECONDS
    received = 0
    # read1 gives what has come, so that a server that sends a byte a second meets the time limit too.
    while chunk := response.read1(_CHUNK_BYTES):
        received += len(chunk)
        if received > max_bytes:
            raise DownloadError(
                f"is larger than {max_bytes} bytes, the most that is downloaded; fetch it once as a file"
            )
        if time.monotonic() > end:
            raise DownloadError(f"the download takes longer than {_DOWNLOAD_SECONDS:g} s")
        file.write(chunk)
    return received


def _first_line(reason: object) -> str:
    return str(reason).strip().split("\n")[0]
