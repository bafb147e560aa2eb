"""Verification: does a checkpoint, as it is loaded here and now, give the scores that it was saved with?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import RemoteEntryNotFoundError
from transformers.utils.hub import extract_commit_hash

from video_colbert.errors import CheckpointError, HubError, ModelLoadError
from video_colbert.hub.hub_errors import hub_errors
from video_colbert.hub.self_test import SELF_TEST_FILES, SelfTest
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor


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


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint in memory.

    Attributes:
        model: in evaluation mode, float32.
        processor: its processor.
        differences: one sentence for each kind of weight that did not fit the model.
    """

    model: VideoColBERTModel
    processor: VideoColBERTProcessor
    differences: list[str]


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
        CheckpointError: there is no self-test, or the checkpoint cannot be loaded at all.
        ModelLoadError: there is no such device.
        HubError: the checkpoint is not found on the Hub, or the Hub cannot be reached.
    """
    name = os.fspath(name_or_path)
    if Path(name).is_dir():
        files = [Path(name) / file for file in SELF_TEST_FILES]
        commit = None
    else:
        files = _download(name, revision, token)
        commit = extract_commit_hash(str(files[0]), None)
    if missing := [file.name for file in files if not file.is_file()]:
        raise CheckpointError(f"{name} has no self-test to verify it with: {' and '.join(missing)} are missing")
    test = SelfTest.read(*files)
    # Everything is read from the one commit that the self-test is of.
    loaded = load_checkpoint(name, revision=commit or revision, token=token)
    try:
        model = loaded.model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelLoadError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    outcome = test.compare(model, loaded.processor)
    differences = loaded.differences + outcome.differences
    return VerificationReport(name, commit, differences, outcome.largest_score_difference)


def load_checkpoint(name: str, *, revision: str | None = None, token: str | None = None) -> LoadedCheckpoint:
    """Loads a checkpoint in float32 on the CPU and says what of it did not fit.

    Args:
        name: Hub id or local folder.
        revision: branch, tag or commit on the Hub; the main branch by default.
        token: Hub token; the stored one by default.

    Raises:
        CheckpointError: the checkpoint cannot be loaded at all.
        HubError: the checkpoint is not found on the Hub, or the Hub cannot be reached.
    """
    hub = {"revision": revision or "main", "token": token}
    try:
        with hub_errors(f"{name} cannot be loaded"):
            model, loading = VideoColBERTModel.from_pretrained(
                name, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True, **hub
            )
            processor = VideoColBERTProcessor.from_pretrained(name, **hub)
    except HubError:
        raise
    # Whatever a damaged file makes a parser raise: it does not load, which is what is asked here.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{name} cannot be loaded: {reason}") from error
    return LoadedCheckpoint(model.eval(), processor, _loading_differences(loading))


def _download(repo_id: str, revision: str | None, token: str | None) -> list[Path]:
    with hub_errors(f"{repo_id} cannot be verified"):
        try:
            first = hf_hub_download(repo_id, SELF_TEST_FILES[0], revision=revision, token=token)
            commit = extract_commit_hash(first, None)
            rest = [hf_hub_download(repo_id, file, revision=commit, token=token) for file in SELF_TEST_FILES[1:]]
        except RemoteEntryNotFoundError as error:
            raise CheckpointError(f"{repo_id} has no self-test to verify it with") from error
        return [Path(file) for file in (first, *rest)]


def _loading_differences(loading: dict[str, set[str]]) -> list[str]:
    kinds = {
        "missing_keys": "weights that the checkpoint lacks, at random here",
        "mismatched_keys": "weights of another shape than the model's, at random here",
        "unexpected_keys": "weights that the model does not know",
    }
    return [
        f"{text}: {', '.join(sorted(map(str, loading[kind])))}" for kind, text in kinds.items() if loading.get(kind)
    ]
