"""What mteb asks of encoding, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_BATCH_SIZE = 32


def checked_batch_size(encode_kwargs: Mapping[str, Any]) -> int:
    """The batch size of mteb's `encode_kwargs`.

    Args:
        encode_kwargs: `batch_size` and `show_progress_bar`, of which the second changes nothing here.

    Raises:
        ValueError: there is something else, such as `precision`, which would change what is measured.
    """
    if unknown := set(encode_kwargs) - {"batch_size", "show_progress_bar"}:
        raise ValueError(f"encode_kwargs has {', '.join(sorted(unknown))}; batch_size and show_progress_bar are taken")
    return int(encode_kwargs.get("batch_size", DEFAULT_BATCH_SIZE))
