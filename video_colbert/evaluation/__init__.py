"""Evaluation; its names are imported when they are first used, so that a command without it starts at once."""

from typing import TYPE_CHECKING

from video_colbert.lazy_names import lazy_names

if TYPE_CHECKING:
    from video_colbert.evaluation.mteb_models.loading import mteb_model
    from video_colbert.evaluation.mteb_models.run_tasks import TaskRun, run_tasks
    from video_colbert.evaluation.robustness.attack_report import AttackReport
    from video_colbert.evaluation.robustness.attack_settings import PixelAttackSettings
    from video_colbert.evaluation.robustness.attack_split import attack_split, prepare_victim
    from video_colbert.evaluation.robustness.query_attack import attack_queries

_MODULES = {
    "AttackReport": "video_colbert.evaluation.robustness.attack_report",
    "PixelAttackSettings": "video_colbert.evaluation.robustness.attack_settings",
    "TaskRun": "video_colbert.evaluation.mteb_models.run_tasks",
    "attack_queries": "video_colbert.evaluation.robustness.query_attack",
    "attack_split": "video_colbert.evaluation.robustness.attack_split",
    "mteb_model": "video_colbert.evaluation.mteb_models.loading",
    "prepare_victim": "video_colbert.evaluation.robustness.attack_split",
    "run_tasks": "video_colbert.evaluation.mteb_models.run_tasks",
}

__all__ = [
    "AttackReport",
    "PixelAttackSettings",
    "TaskRun",
    "attack_queries",
    "attack_split",
    "mteb_model",
    "prepare_victim",
    "run_tasks",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
