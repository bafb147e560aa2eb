"""Verification: does a checkpoint, as it is loaded here and now, give the scores that it was saved with?"""

from __future__ import annotations

import os
from dataclasses import dataclass

from video_colbert.encoding.pretrained import load_model_files
from video_colbert.encoding.stored_model.model_files import find_model_files
from video_colbert.errors import CheckpointError, ModelLoadError
from video_colbert.hub.self_test import SELF_TEST_FILES, SelfTest


@dataclass(frozen=True)
class VerificationReport:
    """The outcome of a verification.

    Attributes:
        name: the checkpoint's Hub id or folder.
        revision: the commit that was verified; None for a folder.
        differences: one sentence for each thing that is not as it was saved.
        largest_score_difference: over all levels and pairs of the self-test; NaN where scores cannot be compared.
    """

    name: str
    revision: str | None
    differences: list[str]
    largest_score_difference: float

    @property
    def passed(self) -> bool:
        """Whether the checkpoint is what it was when it was saved."""
        return not self.differences


def verify_checkpoint(
    name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | None = None,
    device: str = "cpu",
) -> VerificationReport:
    """Loads a checkpoint and runs its self-test.

    The classes of this package are used, never code from the checkpoint.

    Args:
        name_or_path: Hub id or local folder.
        revision: branch, tag or commit on the Hub; the main branch by default.
        token: Hub token; the stored one by default.
        device: a torch device. The tolerances hold for the CPU; an accelerator may round more coarsely.

    Raises:
        CheckpointError: there is no self-test, or it is damaged.
        ModelLoadError: the checkpoint cannot be loaded at all, or there is no such device.
        HubError: the checkpoint is not found on the Hub, or the Hub cannot be reached.
    """
    found = find_model_files(name_or_path, revision=revision, token=token, also=SELF_TEST_FILES)
    files = [found.folder / file for file in SELF_TEST_FILES]
    if missing := [file.name for file in files if not file.is_file()]:
        raise CheckpointError(f"{found.name} has no self-test to verify it with: {' and '.join(missing)} are missing")
    test = SelfTest.read(*files)
    loaded = load_model_files(found)
    try:
        model = loaded.model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelLoadError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    outcome = test.compare(model, loaded.processor)
    differences = loaded.differences + outcome.differences
    commit = None if found.is_local else found.revision
    return VerificationReport(os.fspath(name_or_path), commit, differences, outcome.largest_score_difference)
