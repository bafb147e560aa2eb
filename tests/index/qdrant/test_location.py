from __future__ import annotations

from pathlib import Path

import pytest

from video_colbert.errors import IndexStoreError
from video_colbert.index.qdrant.collection import QdrantCollection
from video_colbert.index.qdrant.location import CollectionOptions, QdrantLocation, is_qdrant_uri, parse_qdrant_uri


def test_an_address_names_host_port_and_collection() -> None:
    assert parse_qdrant_uri("qdrant://db.local:7000/videos") == QdrantLocation("videos", host="db.local", port=7000)


def test_the_port_is_qdrants_own_by_default() -> None:
    assert parse_qdrant_uri("qdrant://db.local/videos").port == 6333


def test_the_second_scheme_encrypts() -> None:
    assert not parse_qdrant_uri("qdrant://db/videos").https
    assert parse_qdrant_uri("qdrants://db/videos").https
    assert str(parse_qdrant_uri("qdrants://db/videos")) == "qdrants://db:6333/videos"


def test_an_ipv6_address_keeps_its_brackets_where_it_is_shown() -> None:
    location = parse_qdrant_uri("qdrant://[::1]:6333/videos")
    assert location.host == "::1"
    assert str(location) == "qdrant://[::1]:6333/videos"


def test_options_of_the_collection_and_of_the_connection_are_told_apart() -> None:
    location = parse_qdrant_uri(
        "qdrant://db/videos?shards=6&replicas=2&write_consistency=2&quantization=int8&token_quantization=4bit"
        "&on_disk=true&grpc_port=6334&timeout=5&candidates=200&parallel=4"
    )
    assert location.options == CollectionOptions(6, 2, 2, "int8", "4bit", True)
    assert (location.grpc_port, location.timeout, location.candidates, location.parallel) == (6334, 5, 200, 4)


def test_options_that_are_not_named_have_defaults_and_are_not_checked() -> None:
    location = parse_qdrant_uri("qdrant://db/videos")
    assert location.options == CollectionOptions()
    assert location.given == {}


def test_a_folder_is_named_by_its_absolute_path() -> None:
    location = parse_qdrant_uri("qdrant+local:///data/my%20index%3F?candidates=20")
    assert (location.folder, location.host, location.candidates) == (Path("/data/my index?"), None, 20)
    assert str(location) == "qdrant+local:///data/my%20index%3F"
    assert parse_qdrant_uri(str(location)).folder == location.folder


@pytest.mark.parametrize(
    ("uri", "shown", "message"),
    [
        ("http://db/videos", "http://db/videos", "should look like qdrant://host:6333/collection"),
        ("qdrant:///videos", "qdrant:///videos", "the host is missing"),
        ("qdrant://db", "qdrant://db", "must name one collection"),
        ("qdrant://db/a/b", "qdrant://db/a/b", "must name one collection"),
        ("qdrant://db:port/videos", "qdrant://db/videos", "the port must be a number from 1 to 65535"),
        ("qdrant://db:99999/videos", "qdrant://db:99999/videos", "the port must be a number from 1 to 65535"),
        ("qdrant://[::1/videos", "qdrant://", "should look like qdrant://host:6333/collection"),
        ("qdrant://db/videos?shard=6", "qdrant://db/videos", "there is no option 'shard'; there are candidates, grpc"),
        (
            "qdrant://db/videos?shards=0",
            "qdrant://db/videos",
            "'shards' must be a whole number of at least 1, got '0'",
        ),
        ("qdrant://db/videos?shards=", "qdrant://db/videos", "'shards' must be a whole number of at least 1, got ''"),
        ("qdrant://db/videos?on_disk=yes", "qdrant://db/videos", "option 'on_disk' must be true or false, got 'yes'"),
        (
            "qdrant://db/videos?quantization=int4",
            "qdrant://db/videos",
            "must be one of int8, 4bit, binary, got 'int4'",
        ),
        ("qdrant://db/videos?shards=2&shards=3", "qdrant://db/videos", "option 'shards' is given twice"),
        (
            "qdrant://db/v?write_consistency=2",
            "qdrant://db/v",
            "write_consistency=2 cannot be reached with replicas=1",
        ),
        ("qdrant+local://folder", "qdrant+local://folder", "should look like qdrant+local:///folder, with three"),
        ("qdrant+local:///", "qdrant+local:///", "should look like qdrant+local:///folder, with three slashes"),
        ("qdrant+local:///data?shards=2", "qdrant+local:///data", "there is no option 'shards'; there are candidates"),
    ],
)
def test_a_bad_address_is_refused_with_what_would_be_right(uri: str, shown: str, message: str) -> None:
    with pytest.raises(IndexStoreError) as raised:
        parse_qdrant_uri(uri)
    assert str(raised.value).startswith(shown)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "uri",
    [
        "qdrant://SECRET@db/videos",
        "qdrant://:SECRET@db/videos",
        "qdrant://user:SECRET@db/videos",
        "QDRANT://user:SECRET@db/videos",
        "qdrant://user:SECRET/x@db/videos",
        "qdrant://user:SECRET?x@db/videos",
        "qdrant://user:SECRET@db:99999/videos",
        "qdrant://user:SECRET",
        "qdrant://db/videos?api_key=SECRET",
        "qdrant://db/videos?Api-Key=SECRET",
        "qdrant://db/videos?key=SECRET",
        "qdrant://db/videos?token=SECRET",
        "qdrant://db/videos?x=SECRET",
        "qdrant://db/videos?SECRET",
        "qdrant://db/videos#SECRET",
        "qdrant://db/videos?shards=2#api_key=SECRET",
        "qdrant+local:///data?api_key=SECRET",
        "qdrant+local:///data#SECRET",
        "qdrant+local://user:SECRET@host/data",
    ],
)
def test_what_may_be_a_key_is_refused_and_never_repeated(uri: str) -> None:
    with pytest.raises(IndexStoreError) as raised:
        parse_qdrant_uri(uri)
    error: BaseException | None = raised.value
    while error is not None:
        assert "SECRET" not in str(error)
        error = error.__cause__ if error.__suppress_context__ else error.__context__


@pytest.mark.parametrize(
    "uri", ["qdrant://user:key@db/videos", "qdrant://db/videos?api_key=key", "qdrant://db/videos#key"]
)
def test_a_key_in_the_address_is_told_where_it_belongs(uri: str) -> None:
    with pytest.raises(IndexStoreError, match="put it in the environment variable QDRANT_API_KEY"):
        parse_qdrant_uri(uri)


def test_only_qdrant_addresses_are_taken_for_such() -> None:
    assert is_qdrant_uri("qdrant://db/videos")
    assert is_qdrant_uri("qdrants://db/videos")
    assert is_qdrant_uri("qdrant+local:///data")
    for other in ("qdrant", "qdrant+local:/data", "/data/qdrant", "s3://bucket/qdrant", "qdrant:videos"):
        assert not is_qdrant_uri(other)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", "from the environment")
    collection = QdrantCollection(parse_qdrant_uri("qdrants://db/videos"))
    assert collection.client.init_options["api_key"] == "from the environment"
    collection.close()
