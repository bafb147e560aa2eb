from __future__ import annotations

import pytest

from video_colbert.errors import IndexStoreError
from video_colbert.index import index_exists
from video_colbert.index.addresses import without_secrets

SECRET = "SEKRIT123"  # noqa: S105 - made up


@pytest.mark.parametrize(
    "address",
    [
        f"s3://key:{SECRET}@bucket/index",
        f"s3://key:{SECRET}/x@bucket/index",
        f"s3://{SECRET}@bucket/index",
        f"s3://bucket/index?secret={SECRET}",
        f"gs://bucket/index#{SECRET}",
        f"http://user:{SECRET}@127.0.0.1:1/index",
        f"ftp://{SECRET}@host/index",
    ],
)
def test_key_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    assert SECRET not in without_secrets(address)
    with pytest.raises(IndexStoreError) as error:
        index_exists(address)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "address",
    ["s3://bucket/a@b/index", "qdrant://host:6333/videos", "qdrant://[::1]:6333/videos", "/my/index", "index"],
)
def test_address_without_secrets_is_shown_as_it_is(address: str) -> None:
    expected = "s3://b/index" if "a@b" in address else address
    assert without_secrets(address) == expected
