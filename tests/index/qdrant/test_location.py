from __future__ import annotations

import pytest

from video_colbert.errors import IndexStoreError
from video_colbert.index.qdrant.collection import connect
from video_colbert.index.qdrant.location import CollectionOptions, QdrantLocation, is_qdrant_uri, parse_qdrant_uri


def test_an_address_names_host_port_and_collection() -> None:
    assert parse_qdrant_uri("qdrant://db.local:7000/videos") == QdrantLocation("db.local", "videos", port=7000)


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


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("http://db/videos", "should look like qdrant://host:6333/collection"),
        ("qdrant:///videos", "the host is missing"),
        ("qdrant://db", "must name one collection"),
        ("qdrant://db/a/b", "must name one collection"),
        ("qdrant://db/a#b", "must name one collection"),
        ("qdrant://db:port/videos", "the port must be a number from 1 to 65535"),
        ("qdrant://db:99999/videos", "the port must be a number from 1 to 65535"),
        ("qdrant://db/videos?shard=6", "there is no option 'shard'; there are candidates, grpc_port, on_disk,"),
        ("qdrant://db/videos?shards=0", "option 'shards' must be a whole number of at least 1, got '0'"),
        ("qdrant://db/videos?shards=", "option 'shards' must be a whole number of at least 1, got ''"),
        ("qdrant://db/videos?on_disk=yes", "option 'on_disk' must be true or false, got 'yes'"),
        ("qdrant://db/videos?quantization=int4", "must be one of int8, 4bit, binary, got 'int4'"),
        ("qdrant://db/videos?shards=2&shards=3", "option 'shards' is given twice"),
        ("qdrant://db/videos?write_consistency=2", "write_consistency=2 cannot be reached with replicas=1"),
    ],
)
def test_a_bad_address_is_refused_with_what_would_be_right(uri: str, message: str) -> None:
    with pytest.raises(IndexStoreError) as raised:
        parse_qdrant_uri(uri)
    assert message in str(raised.value)
    assert uri.partition("?")[0] in str(raised.value)


def test_a_key_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(IndexStoreError, match="QDRANT_API_KEY") as raised:
        parse_qdrant_uri("qdrant://user:secret@db/videos")
    assert "secret" not in str(raised.value)


def test_only_qdrant_addresses_are_taken_for_such() -> None:
    assert is_qdrant_uri("qdrant://db/videos")
    assert is_qdrant_uri("qdrants://db/videos")
    for other in ("qdrant", "/data/qdrant", "s3://bucket/qdrant", "qdrant:videos"):
        assert not is_qdrant_uri(other)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", "from the environment")
    client = connect(parse_qdrant_uri("qdrants://db/videos"))
    assert client.init_options["api_key"] == "from the environment"
    client.close()
