"""Checkpoints of a run: written whole or not at all, limited in number, found again."""

import re
import shutil
import signal
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from accelerate import Accelerator

_FOLDER = "checkpoints"
_NAME = re.compile(r"step_(\d{8})")


class ResumeError(Exception):
    """A run cannot be resumed from a checkpoint; the message says why."""


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
        bad_videos: Videos that could not be decoded, id to reason.
    """

    run_identity: dict[str, Any]
    epoch: int = 0
    step_in_epoch: int = 0
    global_step: int = 0
    best_recall: float = -1.0
    best_epoch: int = -1
    bad_videos: dict[str, str] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """Returns the fields, for a checkpoint."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over the fields of a checkpoint.

        Raises:
            ResumeError: If the checkpoint is of a run with other data or batches.
        """
        different = [
            f"{name} was {state['run_identity'].get(name)!r} and is {value!r}"
            for name, value in self.run_identity.items()
            if state["run_identity"].get(name) != value
        ]
        if different:
            raise ResumeError(f"The checkpoint is of another run: {'; '.join(different)}.")
        for name, value in state.items():
            setattr(self, name, value)


class StopSignals:
    """Turns the first SIGTERM or SIGINT into a request to stop after the current step.

    A second SIGINT interrupts at once. Used as a context manager.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.is_requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.is_requested = True


def save_checkpoint(accelerator: Accelerator, output_dir: Path, global_step: int, limit: int | None) -> Path:
    """Writes model, optimizer, schedule, random states and registered objects; called on every process.

    Args:
        accelerator: Of the run.
        output_dir: The run's folder.
        global_step: Steps done.
        limit: How many checkpoints to keep; `None` keeps all.

    Returns:
        The checkpoint's folder.
    """
    folder = output_dir / _FOLDER / f"step_{global_step:08d}"
    unfinished = folder.with_suffix(".unfinished")
    if accelerator.is_main_process:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(unfinished))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
        if limit is not None:
            for old in checkpoints(output_dir)[:-limit]:
                shutil.rmtree(old)
    accelerator.wait_for_everyone()
    return folder


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
    "save_checkpoint",
]
