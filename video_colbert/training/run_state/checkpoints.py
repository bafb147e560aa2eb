"""Checkpoints of a run: written whole or not at all, limited in number, found again."""

import hashlib
import json
import logging
import pickle
import re
import shutil
import signal
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import FrameType
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from video_colbert.training.outputs import writing_for_training
from video_colbert.training.run_state.run_identity import identity_differences
from video_colbert.training.run_state.state_files import ResumeError, check_state_files, state_file_digests

logger = logging.getLogger(__name__)

_FOLDER = "checkpoints"
_STATE_FILE = "training_state.json"
_NAME = re.compile(r"step_(\d{8})")


@dataclass
class TrainingState:
    """Where a run is; part of its checkpoints.

    Attributes:
        run_identity: What must be the same for a resumed run to continue this one.
        epoch: The epoch that the next step belongs to.
        step_in_epoch: The step of it that comes next.
        global_step: Steps done.
        best_recall: Best R@1 in percent so far; -1 before the first evaluation.
        best_epoch: The epoch after which it was measured.
        logit_bias_calibration: What the bias of the loss was set to before the first step, if it was.
        bad_videos: Training videos that could not be decoded, id to reason.
        bad_validation_videos: The same of the validation videos.
        seconds: How long the steps took together, with the wait for their data and without validation.
    """

    run_identity: dict[str, Any]
    epoch: int = 0
    step_in_epoch: int = 0
    global_step: int = 0
    best_recall: float = -1.0
    best_epoch: int = -1
    logit_bias_calibration: list[float] | None = None
    bad_videos: dict[str, str] = field(default_factory=dict)
    bad_validation_videos: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def save(self, checkpoint: Path) -> None:
        """Writes the fields into a checkpoint, after its other files, with the digests of all."""
        content = {**asdict(self), "files": state_file_digests(checkpoint)}
        signed = {**content, "digest": _digest_of(content)}
        (checkpoint / _STATE_FILE).write_text(json.dumps(signed, indent=2) + "\n", encoding="utf-8")

    def load(self, checkpoint: Path, *, allow_changes: bool = False) -> list[str]:
        """Takes over the fields of a checkpoint, once its files are found to be as they were written.

        Args:
            checkpoint: Its folder.
            allow_changes: Whether it may be of a run with other data, settings or model.

        Returns:
            What is not as it was in that run, a part of a sentence each.

        Raises:
            ResumeError: If it is no checkpoint, or is damaged, or is of another run.
        """
        content = _read_state(checkpoint)
        check_state_files(checkpoint, content.pop("files"))
        different = identity_differences(content["run_identity"], self.run_identity)
        if different and not allow_changes:
            raise ResumeError(
                f"{checkpoint} is of another run: {'; '.join(different)}. To go on all the same, give "
                "--allow_changes true."
            )
        for name, value in content.items():
            if name != "run_identity":
                setattr(self, name, value)
        return different


class StopSignals:
    """Turns the first SIGTERM or SIGINT into a request to stop after the current step.

    A second SIGINT interrupts at once. Used as a context manager.

    Attributes:
        received: Number of the signal, 0 if there was none.
    """

    def __init__(self) -> None:
        self.received = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number


def save_checkpoint(accelerator: Accelerator, output_dir: Path, state: TrainingState, limit: int | None) -> Path:
    """Writes model, optimizer, schedule, random states and the run's state; called on every process.

    Args:
        accelerator: Of the run.
        output_dir: The run's folder.
        state: Of the run.
        limit: How many checkpoints to keep; `None` keeps all.

    Returns:
        The checkpoint's folder.

    Raises:
        TrainingWriteError: If it cannot be written; those before are whole.
    """
    folder = output_dir / _FOLDER / f"step_{state.global_step:08d}"
    unfinished = folder.with_suffix(".unfinished")
    with writing_for_training(folder):
        if accelerator.is_main_process:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(unfinished))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            state.save(unfinished)
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
            if limit is not None:
                for old in checkpoints(output_dir)[:-limit]:
                    shutil.rmtree(old)
        accelerator.wait_for_everyone()
    return folder


def resume(
    accelerator: Accelerator,
    output_dir: Path,
    wanted: str | None,
    state: TrainingState,
    *,
    allow_changes: bool = False,
) -> Path | None:
    """Goes on from a checkpoint; called on every process, after `accelerator.prepare`.

    Args:
        accelerator: Of the run.
        output_dir: The run's folder.
        wanted: A checkpoint's folder, `latest`, or `None` for a run that begins.
        state: Takes over that of the checkpoint.
        allow_changes: Whether to go on though the run's data, settings or model have changed, which is logged.

    Returns:
        The checkpoint; `None` if the run begins.

    Raises:
        ResumeError: If the checkpoint does not exist, is damaged, or is of another run or model, or a run would begin
            in the folder of another one, whose checkpoints would then be taken for its own.
    """
    if wanted is None:
        if checkpoints(output_dir):
            raise ResumeError(
                f"{output_dir} holds checkpoints of an earlier run; go on with it by resume_from_checkpoint=latest, "
                "or give another output_dir."
            )
        return None
    checkpoint = find_checkpoint(output_dir, wanted)
    if checkpoint is None:
        return None
    for difference in _load_on_every_process(accelerator, checkpoint, state, allow_changes):
        logger.warning("Going on with another run than before: %s.", difference)
    if not (checkpoint / f"random_states_{accelerator.process_index}.pkl").is_file():
        logger.warning("Process %d begins with random numbers of its own.", accelerator.process_index)
    try:
        accelerator.load_state(str(checkpoint))
    except (RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())
        raise ResumeError(f"{checkpoint} does not fit this run's model or optimizer: {reason}") from error
    return checkpoint


def _load_on_every_process(
    accelerator: Accelerator, checkpoint: Path, state: TrainingState, allow_changes: bool
) -> list[str]:
    """Loads the state on the main process, which alone reads all files, and hands it and its errors to the others."""
    loaded: list[Any] = [None, None, None]
    if accelerator.is_main_process:
        try:
            different = state.load(checkpoint, allow_changes=allow_changes)
            loaded = [None, different, asdict(state)]
        except ResumeError as error:
            loaded = [str(error), None, None]
    problem, different, content = broadcast_object_list(loaded)
    if problem is not None:
        raise ResumeError(problem)
    for name, value in content.items():
        setattr(state, name, value)
    return list(different)


def _read_state(checkpoint: Path) -> dict[str, Any]:
    """Reads the state's file.

    Raises:
        ResumeError: If there is none, or it is not as it was written.
    """
    file = checkpoint / _STATE_FILE
    if not file.is_file():
        raise ResumeError(f"{checkpoint} is no checkpoint of a run: it has no {_STATE_FILE}.")
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        digest = content.pop("digest")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ResumeError(f"{file} is damaged, or of another release; go on from another checkpoint.") from error
    if digest != _digest_of(content) or content.keys() != {"files", *(item.name for item in fields(TrainingState))}:
        raise ResumeError(f"{file} is damaged, or of another release; go on from another checkpoint.")
    return content


def _digest_of(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def checkpoints(output_dir: Path) -> list[Path]:
    """Returns the complete checkpoints of a run, oldest first."""
    folder = output_dir / _FOLDER
    return sorted(path for path in folder.glob("step_*") if path.is_dir() and _NAME.fullmatch(path.name))


def find_checkpoint(output_dir: Path, wanted: str) -> Path | None:
    """Finds the checkpoint to resume from.

    Args:
        output_dir: The run's folder.
        wanted: A checkpoint's folder, or `latest`.

    Returns:
        The folder; `None` for `latest` of a run without any, which starts from the beginning.

    Raises:
        ResumeError: If the named checkpoint does not exist.
    """
    if wanted == "latest":
        found = checkpoints(output_dir)
        return found[-1] if found else None
    folder = Path(wanted)
    if not folder.is_dir():
        raise ResumeError(f"resume_from_checkpoint is {wanted}, which is not a folder; use a checkpoint or 'latest'.")
    return folder


__all__ = [
    "ResumeError",
    "StopSignals",
    "TrainingState",
    "checkpoints",
    "find_checkpoint",
    "resume",
    "save_checkpoint",
]
