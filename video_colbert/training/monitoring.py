"""What a run reports of each step, and when it refuses to go on."""

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.optim import Optimizer

from video_colbert.evaluation.retrieval import EvaluationResult
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.checkpoints import TrainingState
from video_colbert.training.contrastive_step import Batch, StepLoss

logger = logging.getLogger(__name__)

_EXIT_BAD_FILES = 3


class TrainingStoppedError(Exception):
    """A run cannot go on; the message says why and names the examples or files."""


class StepMonitor:
    """Logs steps to `log.jsonl` and to the trackers, and stops a run that diverges or loses too many videos.

    Args:
        accelerator: Of the run.
        arguments: Of the run.
        num_videos: Videos that are trained on.
        state: Of the run; bad videos are collected in it.
    """

    def __init__(
        self, accelerator: Accelerator, arguments: TrainingArguments, *, num_videos: int, state: TrainingState
    ) -> None:
        self.accelerator = accelerator
        self.arguments = arguments
        self.num_videos = num_videos
        self.state = state
        self.log_file = Path(arguments.output_dir) / "log.jsonl"
        self._last_step_end = time.perf_counter()
        if accelerator.is_main_process:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if arguments.report_to:
            accelerator.init_trackers("video-colbert", config=_tracker_config(arguments))

    def check(self, losses: StepLoss, micro_batches: Sequence[Batch]) -> None:
        """Collects the bad videos of a step and looks at its loss, before the optimizer steps.

        Raises:
            TrainingStoppedError: If the loss is not finite, or more than `max_bad_share` of the videos are bad.
        """
        if not torch.isfinite(losses.loss):
            ids = [video_id for batch in micro_batches for video_id in batch["video_ids"]]
            raise TrainingStoppedError(
                f"The loss is {losses.loss.item()} at step {self.state.global_step + 1}; this process's videos were "
                f"{', '.join(ids)}. The last checkpoint is from before it."
            )
        bad = [tuple(video) for batch in micro_batches for video in batch["bad_videos"]]
        if self.any_process(any(video_id not in self.state.bad_videos for video_id, _ in bad)):
            for video_id, reason in gather_object(bad):
                if video_id not in self.state.bad_videos:
                    logger.warning("Skipped %s: %s", video_id, reason)
                    self.state.bad_videos[video_id] = reason
            share = len(self.state.bad_videos) / self.num_videos
            if share > self.arguments.max_bad_share:
                raise TrainingStoppedError(
                    f"{len(self.state.bad_videos)} of {self.num_videos} training videos cannot be decoded, more than "
                    f"max_bad_share={self.arguments.max_bad_share}: {self._bad_list()}"
                )

    def record(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        losses: StepLoss,
        gradient_norm: Tensor,
        micro_batches: Sequence[Batch],
        seconds_waited: float,
    ) -> None:
        """Logs a step that was done, every `logging_steps` steps."""
        now = time.perf_counter()
        seconds, self._last_step_end = now - self._last_step_end, now
        if self.state.global_step % self.arguments.logging_steps != 0:
            return
        examples = sum(len(batch["video_ids"]) for batch in micro_batches) * self.accelerator.num_processes
        unwrapped = self.accelerator.unwrap_model(model)
        values = {
            "loss": losses.loss.item(),
            **{f"loss_{level}": value.item() for level, value in losses.level_losses.items()},
            **{f"temperature_{index}": value for index, value in enumerate(unwrapped.logit_scale.tolist())},
            "gradient_norm": float(gradient_norm),
            **{f"learning_rate_{group['name']}": group["lr"] for group in optimizer.param_groups},
            "samples_per_second": examples / seconds,
            "data_wait_share": seconds_waited / seconds,
            "epoch": self.state.epoch,
        }
        if hasattr(unwrapped, "logit_bias"):
            values |= {f"bias_{index}": value for index, value in enumerate(unwrapped.logit_bias.tolist())}
        self._log(values)

    def record_validation(self, results: Sequence[EvaluationResult]) -> None:
        """Logs the metrics of a validation."""
        values = {
            f"validation/{result.level}/{result.direction}/{name}": value
            for result in results
            for name, value in result.metrics.items()
        }
        recall = values.get("validation/sum/text_to_video/R@1", float("nan"))
        logger.info("Step %d: validation R@1 %.1f", self.state.global_step, recall)
        self._log(values)
        # What validation took is no part of the next step.
        self._last_step_end = time.perf_counter()

    def any_process(self, condition: bool) -> bool:
        """Whether the condition holds on any process; all processes get the same answer."""
        if self.accelerator.num_processes == 1:
            return condition
        flag = torch.tensor(float(condition), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, reduction="sum").item() > 0)

    def report_bad_videos(self) -> int:
        """Lists the videos that could not be decoded; returns the run's exit code."""
        if not self.state.bad_videos:
            return 0
        logger.warning(
            "%d of %d training videos could not be decoded: %s",
            len(self.state.bad_videos),
            self.num_videos,
            self._bad_list(),
        )
        return _EXIT_BAD_FILES

    def _bad_list(self) -> str:
        return "; ".join(f"{video_id} ({reason})" for video_id, reason in sorted(self.state.bad_videos.items()))

    def _log(self, values: dict[str, Any]) -> None:
        if not self.accelerator.is_main_process:
            return
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.state.global_step, **values}) + "\n")
        if self.arguments.report_to:
            self.accelerator.log(values, step=self.state.global_step)


def _tracker_config(arguments: TrainingArguments) -> dict[str, Any]:
    """Returns the arguments in the types that every tracker stores."""
    return {
        name: value if isinstance(value, int | float | str | bool) else json.dumps(value)
        for name, value in vars(arguments).items()
        if value is not None
    }


__all__ = ["StepMonitor", "TrainingStoppedError"]
