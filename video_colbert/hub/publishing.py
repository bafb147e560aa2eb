"""Publishing: a checkpoint becomes one commit on the Hub."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import ModelInfo

from video_colbert.encoding.pretrained import load_model_files
from video_colbert.encoding.stored_model.model_files import find_model_files
from video_colbert.errors import CheckpointError, HubError
from video_colbert.evaluation.mteb_models.task_results import MTEB_RESULTS_FILE
from video_colbert.hub.backbone_facts import backbone_of, license_of
from video_colbert.hub.checkpoint_files import (
    CONFIG_FILE,
    TRAINING_FILE,
    TRAINING_RUN_FILE,
    WEIGHTS_INDEX_FILE,
    CheckpointFiles,
    find_checkpoint_files,
)
from video_colbert.hub.evaluation_files import EVALUATION_FILE, hub_result_files, read_evaluation_results
from video_colbert.hub.json_files import read_json_object
from video_colbert.hub.model_card import CARD_FILE, build_model_card
from video_colbert.hub.published_text import without_local_folders
from video_colbert.hub.self_test import SELF_TEST_FILES, make_self_test
from video_colbert.hub.verification import verify_checkpoint
from video_colbert.hub_errors import hub_errors
from video_colbert.modeling_video_colbert import VideoColBERTConfig

# What an earlier commit may have left that no longer belongs to the checkpoint: shards, reports, and results of the
# weights that this commit replaces.
_REPLACED = (
    "model*.safetensors",
    WEIGHTS_INDEX_FILE,
    EVALUATION_FILE,
    MTEB_RESULTS_FILE,
    TRAINING_FILE,
    TRAINING_RUN_FILE,
    ".eval_results/*.yaml",
)


@dataclass(frozen=True)
class PublishedCheckpoint:
    """What was published.

    Attributes:
        repo_id: the repository, with its owner.
        commit: the commit's full hash.
        url: of the commit.
        pull_request_url: of the pull request, if one was opened.
        tag: the tag put on the commit, if any.
        files: paths in the commit.
        left_out: names in the folder that were not published.
        license: the licence that the card names; None where none is known.
    """

    repo_id: str
    commit: str
    url: str
    pull_request_url: str | None
    tag: str | None
    files: list[str]
    left_out: list[str]
    license: str | None


def publish_checkpoint(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    tag: str | None = None,
    token: str | None = None,
    commit_message: str = "Publish a Video-ColBERT checkpoint",
    license: str | None = None,
) -> PublishedCheckpoint:
    """Publishes a checkpoint in one commit: all of it appears at once, or nothing does.

    Only files of an allow-list go: safetensors weights, settings, tokenizer, code, reports. The model card and a
    missing self-test are made on the way; a self-test that is there must pass. The folder is not changed.

    Args:
        folder: where model and processor are saved.
        repo_id: repository, made if there is none; without an owner, one of the token's user.
        private: whether the repository is private. If it exists, it must be so already.
        revision: branch to commit to, made from the main branch if there is none; the main branch by default.
        create_pr: whether to open a pull request instead of committing to the branch, which must exist.
        tag: tag to put on the commit; it must be new.
        token: Hub token; the stored one by default.
        commit_message: title of the commit.
        license: the Hub's id of the weights' licence, for the card; by default that of the backbone, as far as it
            is known or the Hub says it.

    Raises:
        ValueError: a tag for a pull request, which has no commit of the repository yet.
        CheckpointError: the folder holds no complete checkpoint, or it fails its self-test.
        ModelLoadError: a file of the checkpoint is damaged.
        HubError: the token is wrong, the name is taken, or the Hub refuses or cannot be reached.
    """
    if tag is not None and create_pr:
        raise ValueError("tag and create_pr exclude each other: tag the commit once the pull request is merged")
    folder = Path(folder)
    found = find_checkpoint_files(folder)
    api = HfApi(token=token)
    with hub_errors(f"{repo_id} cannot be published"):
        # Before anything that takes long, since a wrong token is the most common mistake.
        user = api.whoami()["name"]
        if "/" not in repo_id:
            repo_id = f"{user}/{repo_id}"
        existing = _existing_repository(api, repo_id)
        if existing is not None:
            _check_name_is_free(api, existing, private, tag)
    license = license or license_of(backbone_of(folder), api)
    additions = _additions(folder, found, repo_id, license)
    with hub_errors(f"{repo_id} cannot be published"):
        if existing is None:
            api.create_repo(repo_id, private=private)
        if revision is not None and not create_pr and not revision.startswith("refs/"):
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        head = api.model_info(repo_id, revision=revision)
        deletions = _deletions(head, (addition.path_in_repo for addition in additions))
        files = sorted(addition.path_in_repo for addition in additions)
        # The parent is named so that what others commit meanwhile is not undone unseen.
        commit = api.create_commit(
            repo_id,
            [*additions, *deletions],
            commit_message=commit_message,
            revision=revision,
            create_pr=create_pr,
            parent_commit=head.sha,
        )
    if tag is not None:
        with hub_errors(f"{repo_id} is published as commit {commit.oid}, but the tag {tag!r} is not there"):
            api.create_tag(repo_id, tag=tag, revision=commit.oid)
    published = {path.split("/")[0] for path in files}
    left_out = [name for name in found.left_out if name not in published]
    url = str(commit.commit_url)
    return PublishedCheckpoint(repo_id, commit.oid, url, commit.pr_url, tag, files, left_out, license)


def _existing_repository(api: HfApi, repo_id: str) -> ModelInfo | None:
    try:
        return api.model_info(repo_id)
    except RepositoryNotFoundError:
        return None


def _check_name_is_free(api: HfApi, existing: ModelInfo, private: bool, tag: str | None) -> None:
    """Refuses to publish over another model, in public where private was asked for, or under a tag that is taken."""
    repo_id = existing.id
    if private and not existing.private:
        raise HubError(f"{repo_id} exists and is public; make it private on the Hub first, or choose another name")
    if any(file.rfilename == CONFIG_FILE for file in existing.siblings or ()):
        config = read_json_object(Path(api.hf_hub_download(repo_id, CONFIG_FILE, revision=existing.sha)))
        if config.get("model_type") != VideoColBERTConfig.model_type:
            raise HubError(
                f"{repo_id} exists and holds a {config.get('model_type')!r} model; choose another name for this one"
            )
    if tag is not None and tag in {known.name for known in api.list_repo_refs(repo_id).tags}:
        raise HubError(f"{repo_id} already has a tag {tag!r}; choose another")


def _additions(folder: Path, found: CheckpointFiles, repo_id: str, license_id: str | None) -> list[CommitOperationAdd]:
    """The files of the commit: those of the folder, and those that are made for it."""
    if all((folder / name).is_file() for name in SELF_TEST_FILES):
        report = verify_checkpoint(folder)
        if not report.passed:
            raise CheckpointError(f"{folder} fails its self-test: {'; '.join(report.differences)}")
        made = {name: (folder / name).read_bytes() for name in SELF_TEST_FILES}
    else:
        loaded = load_model_files(find_model_files(folder))
        # Otherwise the expected scores would be those of weights at random.
        if loaded.differences:
            raise CheckpointError(f"{folder} has {'; '.join(loaded.differences)}")
        made = make_self_test(loaded.model, loaded.processor).files()
    made[CARD_FILE] = str(build_model_card(folder, repo_id=repo_id, license=license_id)).encode()
    made |= hub_result_files(read_evaluation_results(folder))
    if TRAINING_FILE in found.kept:
        training = without_local_folders(read_json_object(folder / TRAINING_FILE))
        made[TRAINING_FILE] = (json.dumps(training, indent=2) + "\n").encode()
    # By path, so that weights are read as they are sent.
    contents: dict[str, bytes | str] = {**{name: str(folder / name) for name in found.kept}, **made}
    return [CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in contents.items()]


def _deletions(head: ModelInfo, added: Iterable[str]) -> list[CommitOperationDelete]:
    stale = {file.rfilename for file in head.siblings or ()} - set(added)
    return [
        CommitOperationDelete(path_in_repo=path)
        for path in sorted(stale)
        # From the root, so that a star stands for one name and never for a path.
        if any(PurePosixPath("/", path).match(f"/{pattern}") for pattern in _REPLACED)
    ]
