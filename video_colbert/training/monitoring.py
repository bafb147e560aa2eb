"""What a run reports of each step, and when it refuses to go on."""

import json
import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.optim import Optimizer

from video_colbert.console import ExitCode
from video_colbert.errors import VideoColBERTError
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.contrastive_step import Batch, StepLoss
from video_colbert.training.outputs import BEST
from video_colbert.training.run_state.checkpoints import TrainingState
from video_colbert.training.validation import Validation

logger = logging.getLogger(__name__)

BAD_VIDEOS_FILE = "bad_videos.json"


class TrainingStoppedError(VideoColBERTError):
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
            _drop_steps_after(self.log_file, state.global_step)
        if arguments.report_to:
            accelerator.init_trackers("video-colbert", config=_tracker_config(arguments))

    def check_videos(self, micro_batches: Sequence[Batch]) -> None:
        """Collects the bad videos that were met on the way to a step, before the step.

        Raises:
            TrainingStoppedError: If more than `max_bad_share` of the videos are bad, or all of them.
        """
        bad = [tuple(video) for batch in micro_batches for video in batch["bad_videos"]]
        if self.largest_of_processes(sum(video_id not in self.state.bad_videos for video_id, _ in bad)):
            for video_id, reason in gather_object(bad):
                if video_id not in self.state.bad_videos:
                    logger.warning("Skipped %s: %s", video_id, reason)
                    self.state.bad_videos[video_id] = reason
            num_bad = len(self.state.bad_videos)
            if num_bad > self.arguments.max_bad_share * self.num_videos or num_bad == self.num_videos:
                raise TrainingStoppedError(
                    f"{num_bad} of {self.num_videos} training videos cannot be decoded, and max_bad_share is "
                    f"{self.arguments.max_bad_share}: {_listed(self.state.bad_videos)}"
                )

    def check_loss(self, losses: StepLoss, gradient_norm: Tensor, micro_batches: Sequence[Batch]) -> None:
        """Looks at a step's loss and gradients, before the optimizer takes them.

        Raises:
            TrainingStoppedError: If they are not finite; the message names the videos of the step.
        """
        if not torch.isfinite(losses.loss):
            found = f"loss is {losses.loss.item()}"
        # Gradients that overflow are part of training in fp16: the scale is lowered and the step left out.
        elif self.accelerator.scaler is None and not torch.isfinite(gradient_norm):
            found = f"gradient's norm is {gradient_norm.item()}"
        else:
            return
        ids = [video_id for batch in micro_batches for video_id in batch["video_ids"]]
        raise TrainingStoppedError(
            f"The {found} at step {self.state.global_step + 1}; this process's videos were {', '.join(ids)}. No "
            "checkpoint holds this step."
        )

    def record(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        losses: StepLoss,
        gradient_norm: Tensor,
        micro_batches: Sequence[Batch],
        seconds_waited: float,
        num_steps: int,
    ) -> None:
        """Logs a step that was done, every `logging_steps` steps, and says its losses on the console."""
        now = time.perf_counter()
        seconds, self._last_step_end = now - self._last_step_end, now
        self.state.seconds += seconds
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
        levels = ", ".join(f"{level} {value.item():.4f}" for level, value in losses.level_losses.items())
        logger.info(
            "Step %d of %d, epoch %d: loss %.4f (%s), gradient norm %.3g, %.1f examples a second",
            self.state.global_step,
            num_steps,
            self.state.epoch,
            losses.loss.item(),
            levels,
            float(gradient_norm),
            examples / seconds,
        )

    def record_validation(self, validation: Validation) -> None:
        """Logs the metrics of a validation and keeps its bad videos for the report."""
        self.state.bad_validation_videos = validation.bad_videos
        values = {
            f"validation/{result.level}/{result.direction}/{name}": value
            for result in validation.results
            for name, value in result.metrics.items()
        }
        logger.info("Step %d: validation R@1 %.1f", self.state.global_step, validation.selection_recall)
        self._log(values)
        # What validation took is no part of the next step.
        self._last_step_end = time.perf_counter()

    def say_what_is_next(self) -> None:
        """Says where the best model is, and what can be done with it."""
        best = Path(self.arguments.output_dir) / BEST
        if not best.is_dir():
            return
        logger.info(
            "The best model, of epoch %d with a validation R@1 of %.1f, is in %s. Search with it: "
            "video-colbert index VIDEOS --model %s --index my_index; publish it: video-colbert publish %s OWNER/NAME",
            self.state.best_epoch,
            self.state.best_recall,
            best,
            shlex.quote(str(best)),
            shlex.quote(str(best)),
        )

    def largest_of_processes(self, value: int) -> int:
        """Returns the largest of the processes' values, on every process."""
        if self.accelerator.num_processes == 1:
            return value
        values = self.accelerator.gather(torch.tensor([value], device=self.accelerator.device))
        return int(values.max())

    def report_bad_videos(self) -> ExitCode:
        """Lists the videos that could not be decoded, also in `bad_videos.json`; returns the run's exit code."""
        train, validation = self.state.bad_videos, self.state.bad_validation_videos
        if not train and not validation:
            return ExitCode.OK
        if self.accelerator.is_main_process:
            logger.warning(
                "%d of %d training videos and %d validation videos could not be decoded: %s",
                len(train),
                self.num_videos,
                len(validation),
                _listed({**train, **validation}),
            )
            file = self.log_file.with_name(BAD_VIDEOS_FILE)
            content = {"train": train, "validation": validation}
            file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return ExitCode.SOME_BAD

    def _log(self, values: dict[str, Any]) -> None:
        if not self.accelerator.is_main_process:
            return
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.state.global_step, **values}) + "\n")
        if self.arguments.report_to:
            self.accelerator.log(values, step=self.state.global_step)


def _listed(bad_videos: Mapping[str, str]) -> str:
    return "; ".join(f"{video_id} ({reason})" for video_id, reason in sorted(bad_videos.items()))


def _drop_steps_after(log_file: Path, step: int) -> None:
    """Forgets what a run logged after the checkpoint that it goes on from."""
    if log_file.is_file():
        lines = log_file.read_text(encoding="utf-8").splitlines(keepends=True)
        # The last line of a run that was killed may be cut off.
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        log_file.write_text("".join(kept), encoding="utf-8")


def _tracker_config(arguments: TrainingArguments) -> dict[str, Any]:
    """Returns the arguments in the types that every tracker stores."""
    return {
        name: value if isinstance(value, int | float | str | bool) else json.dumps(value)
        for name, value in vars(arguments).items()
        if value is not None
    }


__all__ = ["BAD_VIDEOS_FILE", "StepMonitor", "TrainingStoppedError"]
