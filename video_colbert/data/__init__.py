"""Tools for video-text data sets: opening those of the Hub, preparing folders of videos, publishing benchmarks.

The names below are imported when they are first used, so that worker processes do not load what they do not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .opened.dataset_rows import load_dataset_rows
    from .prepare import Preparation, prepare_videos
    from .publish import publish_dataset, write_dataset_repository
    from .video_check import VideoRecord
    from .video_copies import Reencoding

_MODULES = {
    "Preparation": "prepare",
    "Reencoding": "video_copies",
    "VideoRecord": "video_check",
    "load_dataset_rows": "opened.dataset_rows",
    "prepare_videos": "prepare",
    "publish_dataset": "publish",
    "write_dataset_repository": "publish",
}

__all__ = [
    "Preparation",
    "Reencoding",
    "VideoRecord",
    "load_dataset_rows",
    "prepare_videos",
    "publish_dataset",
    "write_dataset_repository",
]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
