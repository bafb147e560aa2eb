"""Which names mean a data set that `datasets` opens, and how it is opened, with its errors in one sentence."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from video_colbert.dataset_builders.video_files import user_path
from video_colbert.errors import DatasetError

if TYPE_CHECKING:
    from datasets import DatasetBuilder

VIDEOFOLDER = "videofolder"
"""Name of the layout of `datasets`: a folder of videos with `metadata.jsonl` or `metadata.csv`."""

NAMES_IN_WORDS = (
    f"OWNER/NAME of a data set of the Hub (OWNER/NAME@REVISION for one state of it), {VIDEOFOLDER} for a folder of "
    "videos with a metadata.jsonl or metadata.csv and its column file_name, or a folder that `datasets.load_dataset` "
    "opens"
)
"""What may be given, for help and errors."""

_HUB_NAME = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^\s@]+))?")


def is_opened(name: str) -> bool:
    """Whether a name is that of a data set of the Hub, of the layout `videofolder` or of a folder.

    Args:
        name: What the user gave.
    """
    return name == VIDEOFOLDER or _HUB_NAME.fullmatch(name) is not None or user_path(name).is_dir()


def shown_name(name: str) -> str:
    """What a data set is called in results and cards: its repository without a revision, or its folder's own name.

    Args:
        name: What the user gave.
    """
    folder = user_path(name)
    if name != VIDEOFOLDER and "/" in name and folder.is_dir():
        return folder.absolute().name
    found = _HUB_NAME.fullmatch(name)
    return name if found is None else found["repository"]


def open_builder(
    name: str, *, config: str | None = None, data_dir: str | os.PathLike[str] | None = None
) -> DatasetBuilder:
    """Opens a data set, without its rows.

    Args:
        name: Such as "me/set", "me/set@v1", "videofolder" or a folder.
        config: Its configuration, where it has several; `publish-dataset` names it after the protocol.
        data_dir: For "videofolder" the folder.

    Raises:
        DatasetError: There is none of this name, or it has several configurations and `config` is not given.
    """
    from datasets import load_dataset_builder

    with opening_errors(name):
        if name == VIDEOFOLDER:
            if data_dir is None:
                raise DatasetError(f"{VIDEOFOLDER} needs --data-dir (data_dir in Python), the folder of the videos")
            folder = user_path(data_dir)
            if not folder.is_dir():
                raise DatasetError(f"there is no folder {data_dir} for the data set {VIDEOFOLDER}")
            return load_dataset_builder(VIDEOFOLDER, data_dir=str(folder.absolute()))
        folder = user_path(name)
        if folder.is_dir():
            return load_dataset_builder(str(folder.absolute()), config)
        found = _HUB_NAME.fullmatch(name)
        if found is None:
            raise DatasetError(f"there is no data set {name!r}; give {NAMES_IN_WORDS}")
        return load_dataset_builder(found["repository"], config, revision=found["revision"])


@contextmanager
def opening_errors(name: str) -> Iterator[None]:
    """Turns what `datasets` raises over a data set into one sentence that names it.

    Args:
        name: Of the data set.

    Raises:
        DatasetError: In place of its errors.
    """
    from datasets.exceptions import DatasetsError

    try:
        yield
    except (DatasetsError, ValueError, RuntimeError, OSError) as error:
        # "An error occurred while generating the dataset" says nothing; what it came of does.
        cause = error.__cause__ if isinstance(error, DatasetsError) and error.__cause__ is not None else error
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise DatasetError(f"the data set {name} cannot be opened: {reason}") from error


__all__ = ["NAMES_IN_WORDS", "VIDEOFOLDER", "is_opened", "open_builder", "opening_errors", "shown_name"]
