"""The files of a checkpoint's state: which there may be, whether they are as written, and that they hold numbers.

Accelerate unpickles what `register_for_checkpointing` saved without any restriction, and goes on where a random state
cannot be read. So everything is looked at before it loads anything.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

from accelerate.utils import load

from video_colbert.encoding.media_files import content_digest
from video_colbert.errors import VideoColBERTError

# What Accelerate writes for a run of train.py, on any number of processes.
_WRITTEN = re.compile(
    r"model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|optimizer\.bin|scaler\.pt"
    r"|custom_checkpoint_0\.pkl|random_states_\d+\.pkl"
)
_LOADED_SUFFIXES = (".pkl", ".bin", ".pt", ".pth", ".safetensors")
# The small ones; Accelerate itself reads the optimizer's with weights only.
_PROBED = re.compile(r"custom_checkpoint_0\.pkl|random_states_\d+\.pkl")


class ResumeError(VideoColBERTError):
    """A run cannot be resumed from a checkpoint; the message says why."""


def state_file_digests(folder: Path) -> dict[str, str]:
    """Digests of the files that Accelerate wrote into a checkpoint, by name.

    Args:
        folder: The checkpoint.

    Raises:
        OSError: If a file cannot be read.
    """
    names = sorted(path.name for path in folder.iterdir() if _WRITTEN.fullmatch(path.name))
    return {name: content_digest(str(folder / name)) for name in names}


def check_state_files(folder: Path, digests: Mapping[str, str]) -> None:
    """Looks whether the files of a checkpoint are those that were written, before anything of them is used.

    Args:
        folder: The checkpoint.
        digests: What `state_file_digests` gave when it was written.

    Raises:
        ResumeError: If a file is missing or changed, is none that a run writes, or holds more than numbers.
    """
    found = {path.name for path in folder.iterdir()}
    loadable = {name for name in found if name.endswith(_LOADED_SUFFIXES)}
    for name in sorted({*digests, *loadable}):
        if name not in digests or not _WRITTEN.fullmatch(name):
            raise ResumeError(f"{folder / name} was not written by this run, so it is not loaded; remove it.")
        if name not in found:
            raise ResumeError(f"{folder} lacks {name}; use another checkpoint.")
        if content_digest(str(folder / name)) != digests[name]:
            raise ResumeError(
                f"{folder / name} is damaged: it is not what was written; go on from another checkpoint."
            )
        if _PROBED.fullmatch(name):
            _check_holds_numbers(folder / name)


def _check_holds_numbers(path: Path) -> None:
    """Unpickles a file with nothing but tensors, numbers and containers allowed.

    Raises:
        ResumeError: If it holds anything else.
    """
    try:
        load(path, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError, KeyError) as error:
        raise ResumeError(f"{path} holds more than the numbers of a run's state, so it is not loaded.") from error


__all__ = ["ResumeError", "check_state_files", "state_file_digests"]
