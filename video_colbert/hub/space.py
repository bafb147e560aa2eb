"""Publishing a Space: the page over an index, with its videos, as one commit on the Hub."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import SpaceInfo

from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import HubError
from video_colbert.hub.space_files import MARKER, PACKAGE, app_file, card_file, package_files, requirements_file
from video_colbert.hub.space_index import INDEX_FOLDER, VIDEO_FOLDER, SpaceIndex, copy_for_space
from video_colbert.hub_errors import hub_errors
from video_colbert.index.opening import open_index
from video_colbert.index.video_index import VideoIndex

APP_FILE = "app.py"


@dataclass(frozen=True)
class PublishedSpace:
    """What was published.

    Attributes:
        repo_id: the Space, with its owner.
        commit: the commit's full hash.
        url: of the Space.
        num_videos: video files that went along.
        num_bytes: what they take.
        left_out: videos of the index that did not, since no file is there any more.
    """

    repo_id: str
    commit: str
    url: str
    num_videos: int
    num_bytes: int
    left_out: list[str]


def publish_space(
    repo_id: str,
    index: str | Path,
    *,
    model: str | None = None,
    where: str | None = None,
    most_bytes: int = 10**9,
    private: bool = False,
    token: str | None = None,
    title: str = "Video search",
) -> PublishedSpace:
    """Publishes the page over an index as a Space, in one commit: all of it appears at once, or nothing does.

    The index goes along without the paths of this machine, and with the video files that it names.

    Args:
        repo_id: the Space, made if there is none; without an owner, one of the token's user.
        index: folder of the index, which is not changed.
        model: Hub id of the model that made it; by default as the index says.
        where: condition that videos must satisfy to go along; None for all.
        most_bytes: what the video files may take together.
        private: whether the Space is private. If it exists, it must be so already.
        token: Hub token; the stored one by default.
        title: heading of the Space.

    Raises:
        HubError: the index is no folder, or not of that model or of none on the Hub; its videos are too large, the
            name is taken, or the Hub refuses or cannot be reached.
        FilterError: the condition is not understood.
        IndexStoreError: there is no index, or it cannot be read.
        MissingExtraError: the extra `app` is not installed.
    """
    if not Path(index).is_dir():
        raise HubError(f"the index {index} must be a folder here, since it is copied into the Space")
    with open_index(index) as opened:
        reference = _model_of(opened.stored, model)
        extras = ("app", "text") if opened.stored.passages.model is not None else ("app",)
    api = HfApi(token=token)
    with hub_errors(f"{repo_id} cannot be published"):
        # Before anything that takes long, since a wrong token is the most common mistake.
        user = api.whoami()["name"]
        if "/" not in repo_id:
            repo_id = f"{user}/{repo_id}"
        existing = existing_space(api, repo_id)
        if existing is not None:
            check_may_replace(api, existing, private, MARKER)
    with hub_errors(f"{reference} cannot be used by {repo_id}"):
        api.model_info(reference.name, revision=reference.commit)
    with tempfile.TemporaryDirectory(prefix="video_colbert_space_") as folder:
        shown = copy_for_space(index, Path(folder), where=where, most_bytes=most_bytes)
        made = {
            APP_FILE: app_file(),
            "requirements.txt": requirements_file(extras),
            "README.md": card_file(title, reference, len(shown.videos)),
        }
        files = _files(shown)
        with hub_errors(f"{repo_id} cannot be published"):
            if existing is None:
                api.create_repo(repo_id, repo_type="space", space_sdk="gradio", private=private)
            head = api.space_info(repo_id)
            # The parent is named so that what others commit meanwhile is not undone unseen.
            commit = api.create_commit(
                repo_id,
                [*_additions(made), *_additions(files), *_deletions(head, {*made, *files})],
                commit_message="Publish a page over an index of videos",
                repo_type="space",
                parent_commit=head.sha,
            )
    num_bytes = sum(path.stat().st_size for path in shown.videos.values())
    url = f"{api.endpoint}/spaces/{repo_id}"
    return PublishedSpace(repo_id, commit.oid, url, len(shown.videos), num_bytes, list(shown.left_out))


def _model_of(stored: VideoIndex, name: str | None) -> ModelReference:
    """The model that a Space loads: that of the index, by its name on the Hub."""
    own = stored.model
    if Path(own.name).is_absolute():
        raise HubError(
            f"the index was made with the model in the folder {own.name}, which a Space cannot load; publish it with "
            "`video-colbert publish` and index the videos with --model and its name on the Hub"
        )
    if name is not None and name != own.name:
        raise HubError(f"the index was made with {own}, not with {name}; leave --model out, or index with {name}")
    return own


def existing_space(api: HfApi, repo_id: str) -> SpaceInfo | None:
    """What the Hub says of a Space; None where there is none."""
    try:
        return api.space_info(repo_id)
    except RepositoryNotFoundError:
        return None


def check_may_replace(api: HfApi, existing: SpaceInfo, private: bool, marker: str) -> None:
    """Refuses to publish over another app, or in public where private was asked for.

    Args:
        api: of the Hub.
        existing: the Space that is there.
        private: whether it is to be private.
        marker: first line of an app that may be replaced.

    Raises:
        HubError: it may not be replaced.
    """
    if private and not existing.private:
        raise HubError(f"{existing.id} exists and is public; make it private on the Hub first, or choose another name")
    if any(file.rfilename == APP_FILE for file in existing.siblings or ()):
        path = api.hf_hub_download(existing.id, APP_FILE, repo_type="space", revision=existing.sha)
        if not Path(path).read_text(encoding="utf-8").startswith(marker):
            raise HubError(f"{existing.id} exists and holds another app; choose another name for this one")


def _files(shown: SpaceIndex) -> dict[str, Path]:
    of_index = {
        f"{INDEX_FOLDER}/{path.relative_to(shown.index).as_posix()}": path
        for path in sorted(shown.index.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }
    return {**of_index, **shown.videos, **package_files()}


def _additions(files: Mapping[str, bytes | Path]) -> list[CommitOperationAdd]:
    # By path, so that videos are read as they are sent.
    return [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=content if isinstance(content, bytes) else str(content))
        for name, content in files.items()
    ]


def _deletions(head: SpaceInfo, added: Iterable[str]) -> list[CommitOperationDelete]:
    """What an earlier publication left in the folders that are ours."""
    stale = {file.rfilename for file in head.siblings or ()} - set(added)
    ours = (INDEX_FOLDER, VIDEO_FOLDER, PACKAGE)
    return [CommitOperationDelete(path_in_repo=path) for path in sorted(stale) if path.split("/")[0] in ours]
