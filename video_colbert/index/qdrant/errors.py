"""What can go wrong between this process and a Qdrant server, in one sentence each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from grpc import RpcError, StatusCode
from httpx import HTTPError
from pydantic import ValidationError
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from video_colbert.errors import IndexStoreError
from video_colbert.index.qdrant.location import API_KEY_VARIABLE

_FORBIDDEN = (401, 403)
_BUSY = (408, 425, 429)
_TRANSIENT_CODES = (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.RESOURCE_EXHAUSTED)


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a little later: no connection, a time-out, a server that restarts."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code is None or error.status_code >= 500 or error.status_code in _BUSY
    if isinstance(error, RpcError):
        return _grpc_code(error) in _TRANSIENT_CODES
    return isinstance(error, ResponseHandlingException | ResourceExhaustedResponse)


@contextmanager
def clear_errors(place: str) -> Iterator[None]:
    """Turns an error of the client into one that names the place and what to do.

    Args:
        place: the collection's address.

    Raises:
        IndexStoreError: the server cannot be reached or is none of Qdrant, refuses the key, or refuses the request.
    """
    try:
        yield
    except ResponseHandlingException as error:
        if not isinstance(error.source, HTTPError):
            raise IndexStoreError(_not_understood(place)) from error
        raise IndexStoreError(_unreachable(place, str(error.source) or type(error.source).__name__)) from error
    # The last is how the client says that an answer lacks its result.
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError, AssertionError) as error:
        raise IndexStoreError(_not_understood(place)) from error
    except UnexpectedResponse as error:
        if error.status_code in _FORBIDDEN:
            raise IndexStoreError(_refused_key(place)) from error
        raise IndexStoreError(f"{place}: the server answered {error.status_code} ({_reason(error)})") from error
    except ResourceExhaustedResponse as error:
        raise IndexStoreError(f"{place}: the server limits the rate of requests ({error})") from error
    except RpcError as error:
        code, details = _grpc_code(error), getattr(error, "details", lambda: None)() or str(error)
        if code in (StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED):
            raise IndexStoreError(_refused_key(place)) from error
        if code in (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED):
            raise IndexStoreError(_unreachable(place, details)) from error
        raise IndexStoreError(f"{place}: the server answered {code} ({details})") from error


def _unreachable(place: str, reason: str) -> str:
    return f"{place}: the Qdrant server cannot be reached ({reason}); check host, port and that it runs"


def _not_understood(place: str) -> str:
    return f"{place}: what answers there is no Qdrant server that this client understands; check host and port"


def _refused_key(place: str) -> str:
    return f"{place}: the server refused the request's API key; set the environment variable {API_KEY_VARIABLE}"


def _reason(error: UnexpectedResponse) -> str:
    try:
        return str(json.loads(error.content)["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return error.reason_phrase or error.content[:200].decode(errors="replace")


def _grpc_code(error: RpcError) -> StatusCode | None:
    code: StatusCode | None = getattr(error, "code", lambda: None)()
    return code
