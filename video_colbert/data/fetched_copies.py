"""Benchmarks fetched from the copies that others than their authors keep on the Hub."""

from __future__ import annotations

import json
import os
from pathlib import Path

from video_colbert.errors import DatasetError


def fetch_copy(dataset: str, data_dir: str | os.PathLike[str] | None) -> str:
    """Fetches a benchmark's files from a copy on the Hub, but for those that are there.

    Args:
        dataset: name of the benchmark.
        data_dir: the folder to fill.

    Returns:
        A sentence that says whose copy it is, and at which commit.

    Raises:
        DatasetError: no copy of the data set is known, there is no folder, or the copy is not what is expected.
        HubError: the Hub refuses it or cannot be reached.
    """
    from video_colbert.dataset_builders.mirrors.hub_mirrors import RECORD_FILE, download_mirror
    from video_colbert.hub_errors import hub_errors

    if data_dir is None:
        raise DatasetError("--mirror needs --data-dir, the folder that the copy is fetched into")
    try:
        with hub_errors(f"the copy of {dataset} cannot be fetched"):
            folder = download_mirror(dataset, Path(data_dir))
    except ValueError as error:
        raise DatasetError(str(error)) from error
    record = json.loads((folder / RECORD_FILE).read_text("utf-8"))
    return (
        f"{dataset} is the copy {record['repo_id']} at {record['revision'][:12]}, which others than its authors keep."
    )
