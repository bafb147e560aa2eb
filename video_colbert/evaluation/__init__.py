"""Evaluation; its names are imported when they are first used, so that a command without it starts at once."""

from typing import TYPE_CHECKING

from video_colbert.lazy_names import lazy_names

if TYPE_CHECKING:
    from video_colbert.evaluation.mteb_models.loading import mteb_model
    from video_colbert.evaluation.mteb_models.run_tasks import TaskRun, run_tasks

_MODULES = {
    "TaskRun": "video_colbert.evaluation.mteb_models.run_tasks",
    "mteb_model": "video_colbert.evaluation.mteb_models.loading",
    "run_tasks": "video_colbert.evaluation.mteb_models.run_tasks",
}

__all__ = ["TaskRun", "mteb_model", "run_tasks"]

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
