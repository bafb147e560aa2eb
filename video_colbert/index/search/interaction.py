"""The one interaction of queries with videos that an index scores by."""

from __future__ import annotations

from video_colbert.errors import IndexStoreError


def check_interaction(interaction: str) -> None:
    """Checks that an index can score as a model does.

    Args:
        interaction: `interaction` of the model's configuration.

    Raises:
        IndexStoreError: it is not "mean_max_sim".
    """
    if interaction != "mean_max_sim":
        raise IndexStoreError(
            f"the model's configuration has interaction={interaction!r}, but an index scores by 'mean_max_sim' only; "
            "`video-colbert evaluate` takes such a model"
        )
