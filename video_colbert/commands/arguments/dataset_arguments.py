"""The arguments of every command that reads a data set, and what goes wrong with one in a sentence."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from video_colbert.dataset_builders.protocol_check import shortened
from video_colbert.dataset_builders.protocols import PROTOCOLS
from video_colbert.dataset_builders.video_files import MissingVideosError
from video_colbert.errors import DatasetError, MissingExtraError

BENCHMARKS = tuple(PROTOCOLS)
"""Names of the benchmarks."""

# What reading a data set imports: the package of the `train` extra, and one that comes with it.
_PACKAGES_OF_EXTRA = ("datasets", "pyarrow")


def add_data_arguments(parser: argparse.ArgumentParser, *, data_dir_required: bool = True) -> None:
    """Adds --data-dir, --video-dir and --protocol.

    Args:
        parser: the command's parser.
        data_dir_required: whether --data-dir must be given.
    """
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        required=data_dir_required,
        help="folder with the official annotation files, unchanged, and the videos at any depth",
    )
    parser.add_argument("--video-dir", metavar="DIR", help="folder of the videos, where it is another one")
    choices = "; ".join(f"{name}: {', '.join(protocols)}" for name, protocols in PROTOCOLS.items())
    parser.add_argument("--protocol", help=f"protocol of a benchmark, by default its first ({choices})")


def add_allow_missing(parser: argparse.ArgumentParser) -> None:
    """Adds --allow-missing."""
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="go on without the videos whose files are missing; the report says how many of how many are there",
    )


@contextmanager
def dataset_errors() -> Iterator[None]:
    """Turns what goes wrong while a data set is read into errors that the command line shows as a sentence.

    Raises:
        MissingExtraError: a package of the `train` extra is not installed.
        DatasetError: in place of an error of the data set's files or of the names that it was asked for by.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _PACKAGES_OF_EXTRA:
            raise
        raise MissingExtraError(
            "this command needs the package datasets, which is not installed: pip install 'video-colbert[train]'"
        ) from error
    except (ValueError, OSError) as error:
        raise DatasetError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    """The error's message, with the command line's name for what would help."""
    if isinstance(error, MissingVideosError):
        names = shortened(error.missing, error.SHOWN)
        return (
            f"{len(error.missing)} of {error.total} videos are not in {error.folder}: {names}; put them there, or go "
            "on without them with --allow-missing"
        )
    return str(error)
