"""What a model card is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from video_colbert.evaluation.mteb_models.task_results import MtebResult
from video_colbert.evaluation.retrieval import EvaluationResult
from video_colbert.modeling_video_colbert import VideoColBERTConfig


@dataclass(frozen=True)
class CardSource:
    """What a card is made of.

    Attributes:
        name: Hub id, or a folder's name.
        config: the model's.
        processor: the content of `processor_config.json`.
        training: the training arguments, without this machine's folders; empty if none are recorded.
        run: what the run measured of itself, the content of `training_run.json`; empty if it is not recorded.
        results: the evaluation results, if any.
        mteb_results: those of mteb's tasks, if any.
        backbone: the Hub id of what training started from; None where it was a folder.
        license: the Hub's id of the weights' licence; None where it is not known.
    """

    name: str
    config: VideoColBERTConfig
    processor: dict[str, Any]
    training: dict[str, Any]
    run: dict[str, Any]
    results: list[EvaluationResult]
    mteb_results: list[MtebResult]
    backbone: str | None
    license: str | None
