"""The number format that a processor was found to be fastest at, in the user's cache folder; safe to delete."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import torch

from video_colbert.cache_folder import cache_folder
from video_colbert.processor_identity import processor_identity
from video_colbert.whole_files import write_whole

logger = logging.getLogger(__name__)

_FILE = "scan_format.json"


def kept_format() -> str | None:
    """The name of the format that was found on this processor, with this torch and as many threads; else None."""
    try:
        kept = json.loads(_path().read_text(encoding="utf-8"))
        return str(kept["format"]) if kept["on"] == _machine() else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def keep_format(name: str) -> None:
    """Keeps the name of the format that was found to be fastest."""
    try:
        _path().parent.mkdir(parents=True, exist_ok=True)
        write_whole(_path(), json.dumps({"format": name, "on": _machine()}, indent=1) + "\n")
    except OSError as error:
        logger.info("the fastest number format is not kept and will be looked for again: %s", error)


def _path() -> Path:
    return cache_folder() / _FILE


def _machine() -> dict[str, str | int]:
    """What the speed of a format depends on."""
    return {
        "processor": processor_identity(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
    }
