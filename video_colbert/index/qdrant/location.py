"""Where a Qdrant collection is and how it is to be made: `qdrant://host:6333/collection?shards=6&replicas=2`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, urlsplit

from video_colbert.errors import IndexStoreError

Quantization = Literal["int8", "4bit", "binary"]
"""How Qdrant compresses the copy of a vector that it searches: 8, 4 (rotated) or 1 bit a number."""

SCHEMES = ("qdrant", "qdrants")
DEFAULT_PORT = 6333


@dataclass(frozen=True)
class CollectionOptions:
    """How a collection is laid out; chosen when it is made and fixed from then on.

    Attributes:
        shards: parts the collection is cut into; None for the server's choice.
        replicas: copies of each shard, on different machines.
        write_consistency: copies that must confirm a write before it counts as done.
        quantization: compressed copy of the pooled vectors, kept in memory; None for none.
        token_quantization: compressed copy of the frame and video tokens, kept in memory; None for none.
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
    """A collection of a Qdrant server and how this process talks to it.

    Attributes:
        host: name or address of any machine of the cluster.
        collection: name of the collection.
        port: of the HTTP interface.
        https: whether the connection is encrypted.
        grpc_port: of the gRPC interface, which then carries vectors; None to use HTTP for everything.
        timeout: seconds that a request may take.
        candidates: videos that a query's pooled vector selects in each shard to be scored by their tokens.
        parallel: processes that upload.
        given: the options of the collection that were named, by name.
    """

    host: str
    collection: str
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
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SCHEMES[self.https]}://{host}:{self.port}/{self.collection}"


def is_qdrant_uri(uri: str) -> bool:
    """Whether a text names a Qdrant collection rather than a folder or a bucket."""
    return uri.partition("://")[0].lower() in SCHEMES and "://" in uri


def parse_qdrant_uri(uri: str) -> QdrantLocation:
    """Reads `qdrant://host:port/collection?option=value&...`; `qdrants://` encrypts the connection.

    Options of the connection are `grpc_port`, `timeout`, `candidates` and `parallel`; options of the collection,
    which count when it is made, are `shards`, `replicas`, `write_consistency`, `quantization`,
    `token_quantization` and `on_disk`. See `QdrantLocation` and `CollectionOptions`.

    Args:
        uri: the text.

    Raises:
        IndexStoreError: it is not of this form, or has an unknown option or a bad value; the message says which.
    """

    def wrong(reason: str) -> IndexStoreError:
        return IndexStoreError(f"{_without_password(uri)}: {reason}")

    form = "it should look like qdrant://host:6333/collection"
    if not is_qdrant_uri(uri):
        raise wrong(form)
    parts = urlsplit(uri)
    if parts.username is not None or parts.password is not None:
        raise wrong("a key does not belong in an address; put it in the environment variable QDRANT_API_KEY")
    if not parts.hostname:
        raise wrong(f"the host is missing; {form}")
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise wrong(f"the port must be a number from 1 to 65535; {form}") from None
    collection = parts.path.strip("/")
    if not collection or "/" in collection or parts.fragment:
        raise wrong(f"it must name one collection; {form}")
    connection: dict[str, int] = {}
    given: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        known = name in _CONNECTION_OPTIONS or name in _COLLECTION_OPTIONS
        if not known:
            names = ", ".join(sorted([*_CONNECTION_OPTIONS, *_COLLECTION_OPTIONS]))
            raise wrong(f"there is no option {name!r}; there are {names}")
        if name in connection or name in given:
            raise wrong(f"option {name!r} is given twice")
        try:
            if name in _CONNECTION_OPTIONS:
                connection[name] = _CONNECTION_OPTIONS[name](text)
            else:
                given[name] = _COLLECTION_OPTIONS[name](text)
        except ValueError as error:
            raise wrong(f"option {name!r} must be {error}, got {text!r}") from None
    options = CollectionOptions(**given)
    if options.write_consistency > options.replicas:
        raise wrong(
            f"write_consistency={options.write_consistency} cannot be reached with replicas={options.replicas}"
        )
    return QdrantLocation(
        host=parts.hostname,
        collection=collection,
        port=port,
        https=parts.scheme.lower() == "qdrants",
        given=given,
        **connection,
    )


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


_CONNECTION_OPTIONS: dict[str, Callable[[str], int]] = dict.fromkeys(
    ("grpc_port", "timeout", "candidates", "parallel"), _positive
)
_COLLECTION_OPTIONS: dict[str, Callable[[str], Any]] = {
    "shards": _positive,
    "replicas": _positive,
    "write_consistency": _positive,
    "quantization": _quantization,
    "token_quantization": _quantization,
    "on_disk": _flag,
}


def _without_password(uri: str) -> str:
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else uri
