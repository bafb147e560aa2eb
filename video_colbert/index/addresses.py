"""Addresses of indexes as they may be shown: in errors, logs and summaries."""

from __future__ import annotations

import re


def without_secrets(address: str) -> str:
    """Scheme, host, port and path of an address: neither a user nor what may be meant as a key.

    Args:
        address: what a user gave, well formed or not.

    Example:
        >>> without_secrets("s3://name:password@bucket/index?key=123")
        's3://bucket/index'
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return re.split(r"[?#@]", address)[0]
    place = re.split(r"[?#]", rest.rpartition("@")[2])[0]
    host, slash, path = place.partition("/")
    name, colon, port = host.rpartition(":")
    # A port that is no number may be the key of an address that was cut off or mistyped.
    shown = host if not colon or port.isdecimal() or port.endswith("]") else name
    return f"{scheme}://{shown}{slash}{path}"
