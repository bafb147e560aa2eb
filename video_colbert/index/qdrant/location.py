"""Where a Qdrant collection is and how it is to be made: `qdrant://host:6333/collection?shards=6&replicas=2`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, quote, urlsplit
from urllib.request import url2pathname

from video_colbert.errors import IndexStoreError
from video_colbert.index.addresses import without_secrets

Quantization = Literal["int8", "4bit", "binary"]
"""How Qdrant compresses the copy of a vector that it searches: 8, 4 (rotated) or 1 bit a number."""

API_KEY_VARIABLE = "QDRANT_API_KEY"
"""The environment variable that holds the server's API key, which belongs in no address."""

SERVER_SCHEMES = ("qdrant", "qdrants")
LOCAL_SCHEME = "qdrant+local"
DEFAULT_PORT = 6333

_SERVER_FORM = "it should look like qdrant://host:6333/collection"
_LOCAL_FORM = "it should look like qdrant+local:///folder, with three slashes before the absolute path of a folder"
_KEY_REFUSED = (
    f"a key does not belong in an address, nor does an @ or a #; put it in the environment variable {API_KEY_VARIABLE}"
)
_LOCAL_COLLECTION = "videos"
_SECRET_NAME = re.compile(r"key|token|secret|passw|auth|credential|signature", re.IGNORECASE)


@dataclass(frozen=True)
class CollectionOptions:
    """How a collection is laid out; chosen when it is made and fixed from then on.

    Attributes:
        shards: parts the collection is cut into; None for the server's choice.
        replicas: copies of each shard, on different machines.
        write_consistency: copies that must confirm a write before it counts as done.
        quantization: compressed copy of the pooled vectors, kept in memory; None for none.
        token_quantization: compressed copy of the tokens of all levels, kept in memory; None for none.
        on_disk: whether the full vectors are read from disk rather than held in the page cache.
    """

    shards: int | None = None
    replicas: int = 1
    write_consistency: int = 1
    quantization: Quantization | None = None
    token_quantization: Quantization | None = None
    on_disk: bool = False


@dataclass(frozen=True)
class QdrantLocation:
    """A collection, on a server or in a folder, and how this process talks to it.

    Attributes:
        collection: name of the collection.
        host: name or address of any machine of the cluster; None for a folder.
        folder: the folder of the client's local mode; None for a server.
        port: of the HTTP interface.
        https: whether the connection is encrypted.
        grpc_port: of the gRPC interface, which then carries vectors; None to use HTTP for everything.
        timeout: seconds that a request may take.
        candidates: videos that a query's pooled vector selects in each shard to be scored by their tokens.
        parallel: processes that upload.
        given: the options of the collection that were named, by name.
    """

    collection: str
    host: str | None = None
    folder: Path | None = None
    port: int = DEFAULT_PORT
    https: bool = False
    grpc_port: int | None = None
    timeout: int = 60
    candidates: int = 1000
    parallel: int = 1
    given: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def options(self) -> CollectionOptions:
        """The layout for a collection to be made: what was named, and the defaults."""
        return CollectionOptions(**self.given)

    def __str__(self) -> str:
        if self.folder is not None:
            return f"{LOCAL_SCHEME}://{quote(self.folder.as_posix())}"
        host = self.host or ""
        host = f"[{host}]" if ":" in host else host
        return f"{SERVER_SCHEMES[self.https]}://{host}:{self.port}/{self.collection}"


def is_qdrant_uri(uri: str) -> bool:
    """Whether a text names a Qdrant collection rather than a folder or a bucket."""
    scheme, separator, _ = uri.partition("://")
    return bool(separator) and scheme.lower() in (*SERVER_SCHEMES, LOCAL_SCHEME)


def parse_qdrant_uri(uri: str) -> QdrantLocation:
    """Reads the address of a collection on a server or in a folder.

    - `qdrant://host:port/collection?option=value&...`; `qdrants://` encrypts the connection. Options of the
      connection are `grpc_port`, `timeout`, `candidates` and `parallel`; options of the collection, which count when
      it is made, are `shards`, `replicas`, `write_consistency`, `quantization`, `token_quantization` and `on_disk`.
      See `QdrantLocation` and `CollectionOptions`.
    - `qdrant+local:///folder?candidates=value`: the client's local mode, without a server, for one process at a
      time. `%`, `?`, `#` and `@` in the folder's path are written `%25`, `%3F`, `%23` and `%40`.

    Args:
        uri: the text.

    Raises:
        IndexStoreError: it is not of this form, or has an unknown option or a bad value; the message says which. It
            repeats nothing that may be a key: no user, no options but their names, and nothing behind a `#`.
    """
    if not is_qdrant_uri(uri):
        raise _wrong(uri, _SERVER_FORM)
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise _wrong(uri, _SERVER_FORM) from None
    if "@" in uri or parts.fragment:
        raise _wrong(uri, _KEY_REFUSED)
    is_local = parts.scheme.lower() == LOCAL_SCHEME
    connection, given = _read_options(uri, parts.query, _LOCAL_OPTIONS if is_local else _SERVER_OPTIONS)
    if is_local:
        if parts.netloc or not parts.path.strip("/"):
            raise _wrong(uri, _LOCAL_FORM)
        return QdrantLocation(_LOCAL_COLLECTION, folder=Path(url2pathname(parts.path)), **connection)
    if not parts.hostname:
        raise _wrong(uri, f"the host is missing; {_SERVER_FORM}")
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise _wrong(uri, f"the port must be a number from 1 to 65535; {_SERVER_FORM}") from None
    collection = parts.path.strip("/")
    if not collection or "/" in collection:
        raise _wrong(uri, f"it must name one collection; {_SERVER_FORM}")
    location = QdrantLocation(
        collection,
        host=parts.hostname,
        port=port,
        https=parts.scheme.lower() == "qdrants",
        given=given,
        **connection,
    )
    options = location.options
    if options.write_consistency > options.replicas:
        raise _wrong(
            uri, f"write_consistency={options.write_consistency} cannot be reached with replicas={options.replicas}"
        )
    return location


def _read_options(
    uri: str, query: str, known: dict[str, Callable[[str], Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the connection and those of the collection, by name."""
    values: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            if _SECRET_NAME.search(name):
                raise _wrong(uri, _KEY_REFUSED)
            # What stands alone may be anything, and is not repeated.
            named = f"there is no option {name!r}" if f"{name}=" in query else "an option has the form name=value"
            raise _wrong(uri, f"{named}; there are {', '.join(sorted(known))}")
        if name in values:
            raise _wrong(uri, f"option {name!r} is given twice")
        try:
            values[name] = known[name](text)
        except ValueError as error:
            raise _wrong(uri, f"option {name!r} must be {error}, got {text!r}") from None
    connection = {name: value for name, value in values.items() if name in _CONNECTION_OPTIONS}
    return connection, {name: value for name, value in values.items() if name not in connection}


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("a whole number of at least 1")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _quantization(text: str) -> str:
    if text not in get_args(Quantization):
        raise ValueError(f"one of {', '.join(get_args(Quantization))}")
    return text


_CONNECTION_OPTIONS = ("grpc_port", "timeout", "candidates", "parallel")
_LOCAL_OPTIONS: dict[str, Callable[[str], Any]] = {"candidates": _positive}
_SERVER_OPTIONS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(_CONNECTION_OPTIONS, _positive),
    "shards": _positive,
    "replicas": _positive,
    "write_consistency": _positive,
    "quantization": _quantization,
    "token_quantization": _quantization,
    "on_disk": _flag,
}


def _wrong(uri: str, reason: str) -> IndexStoreError:
    return IndexStoreError(f"{without_secrets(uri)}: {reason}")
