"""The Hub client's errors in one sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

# Of whichever HTTP library the client is built on, which is not named here.
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined] # isort: skip

from video_colbert.errors import HubError

_LOG_IN = "log in with `hf auth login`, set HF_TOKEN, or pass a token"


@contextmanager
def hub_errors(failure: str) -> Iterator[None]:
    """Turns errors of the Hub client into `HubError`.

    Args:
        failure: what did not happen, such as "a/b cannot be published"; begins the message.

    Raises:
        HubError: in place of the client's error.
    """
    try:
        yield
    except (HTTPError, HFValidationError, LocalTokenNotFoundError, LocalEntryNotFoundError, OSError) as error:
        if (reason := _reason(error)) is None:
            raise
        raise HubError(f"{failure}: {reason}") from error


def _reason(error: Exception) -> str | None:
    """What went wrong, and what would be right; None for an error that is not the Hub's."""
    if isinstance(error, LocalTokenNotFoundError):
        return f"there is no Hub token; {_LOG_IN}"
    if isinstance(error, HFValidationError):
        return str(error).splitlines()[0]
    if isinstance(error, RevisionNotFoundError):
        return "the Hub has no such revision; give a branch, tag or commit of the repository"
    if isinstance(error, RepositoryNotFoundError):
        return f"the Hub at {constants.ENDPOINT} has no such repository, or it is private; if so, {_LOG_IN}"
    if isinstance(error, HfHubHTTPError):
        return _http_reason(error)
    if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled | HTTPError):
        return f"the Hub at {constants.ENDPOINT} cannot be reached"
    return None


def _http_reason(error: HfHubHTTPError) -> str:
    status = error.response.status_code
    reasons = {
        401: f"the Hub refuses the token as invalid or expired; {_LOG_IN}",
        403: "the token has no right to write there; use one of the owner with the role 'write'",
        409: "the name is taken on the Hub; choose another",
        412: "someone else has changed the repository in the meantime; run this again",
    }
    said = (error.server_message or str(error).strip()).splitlines()[0]
    return reasons.get(status, f"the Hub answered {status}: {said}")
