"""Where a Lance table may lie, a folder or object storage, and the options that reach it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from video_colbert.errors import IndexStoreError
from video_colbert.index.addresses import without_secrets

TABLE_NAME = "videos"
"""Name of the table in the index's folder or address."""

# Of the format that came before the table.
_EARLIER_FILE = "videos.jsonl"
_REMOTE_SCHEMES = ("s3", "gs", "az", "memory")


def is_remote(location: str) -> bool:
    """Whether a location is an address in object storage; a folder otherwise.

    Raises:
        IndexStoreError: the address has a scheme that is not supported, or holds a user, a key or options.
    """
    scheme, separator, rest = location.partition("://")
    if not separator:
        return False
    if scheme not in _REMOTE_SCHEMES:
        raise IndexStoreError(
            f"{without_secrets(location)} is no address of an index; use a folder or {', '.join(_REMOTE_SCHEMES)} "
            "with ://"
        )
    # Addresses are shown and stored, and a storage service would take these for a part of the bucket's name.
    if re.search(r"[@:]", rest.partition("/")[0]) or re.search(r"[?#]", rest):
        raise IndexStoreError(
            f"{without_secrets(location)} was given with a user, a key or options; leave them out of the address and "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
        )
    return True


def storage_options_of(given: Mapping[str, str] | None) -> dict[str, str] | None:
    """Options for object storage; those that are not given come from the environment, as with the AWS tools."""
    options = dict(given or {})
    endpoint = options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT")
    if endpoint is not None:
        options.setdefault("endpoint", endpoint)
        options.setdefault("allow_http", str(endpoint.startswith("http://")).lower())
    return options or None


def copies_out_of_reach(location: str) -> list[str]:
    """Where, in words, bytes of an index may stay that were erased from it: none for a folder of this machine."""
    if not is_remote(location):
        return []
    return [
        f"versions that the storage of {location} keeps of its objects, if it is set to keep them",
        "cache folders of other users and machines that searched the index",
    ]


def has_table(location: str, storage_options: Mapping[str, str] | None = None) -> bool:
    """Whether there is the table of an index; of a folder that takes no LanceDB to say.

    Args:
        location: folder or address.
        storage_options: as LanceDB takes them.

    Raises:
        IndexStoreError: the storage cannot be reached.
    """
    if not is_remote(location):
        return any((Path(location) / f"{TABLE_NAME}.lance" / "_versions").glob("*.manifest"))
    import lancedb

    from video_colbert.index.lance.errors import reading

    with reading(location):
        database = lancedb.connect(location, storage_options=storage_options_of(storage_options))
        return TABLE_NAME in database.list_tables().tables


def is_of_earlier_format(location: str) -> bool:
    """Whether a folder holds an index of a release that had no table."""
    return not is_remote(location) and (Path(location) / _EARLIER_FILE).is_file()
