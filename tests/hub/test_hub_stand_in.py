"""That the stand-in answers the real client as the Hub does, where publishing does not go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from tests.hub.clients import HubClient
from tests.hub_stand_in import HubStandIn


@pytest.fixture
def api(hub: HubStandIn) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=hub.owner_token)


def test_branches_tags_and_commits_are_kept_apart(
    hub: HubStandIn, client: HubClient, api: HfApi, repo_id: str, tmp_path: Path
) -> None:
    client(api.create_repo, repo_id)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("first")
    (tmp_path / "weights.safetensors").write_bytes(b"\0" * 1000)
    first = client(api.upload_folder, repo_id=repo_id, folder_path=tmp_path)
    client(api.create_tag, repo_id, tag="v1")
    (tmp_path / "deep" / "a.txt").write_text("second")
    client(api.create_branch, repo_id, branch="feature/x")
    client(api.upload_folder, repo_id=repo_id, folder_path=tmp_path, revision="feature/x")

    references = client(api.list_repo_refs, repo_id)
    assert {branch.name for branch in references.branches} == {"main", "feature/x"}
    assert {tag.name: tag.target_commit for tag in references.tags} == {"v1": first.oid}
    assert len(client(api.list_repo_commits, repo_id, revision="feature/x")) == 3
    assert client(api.list_repo_files, repo_id) == ["deep/a.txt", "weights.safetensors"]
    for revision, text in (("v1", "first"), ("main", "first"), (first.oid[:8], "first"), ("feature/x", "second")):
        folder = client(snapshot_download, repo_id, revision=revision)
        assert (Path(folder) / "deep" / "a.txt").read_text() == text
    file = hub.repository(repo_id).resolve("main").files["weights.safetensors"]
    assert file.is_large
    [uploaded] = [it for it in hub.log if it.method == "PUT" and it.path.endswith(file.oid)]
    assert uploaded


def test_name_clash_is_409_unless_existing_is_fine(client: HubClient, api: HfApi, repo_id: str) -> None:
    client(api.create_repo, repo_id)
    with pytest.raises(HfHubHTTPError) as clash:
        client(api.create_repo, repo_id)
    assert clash.value.response.status_code == 409
    assert client(api.create_repo, repo_id, exist_ok=True).repo_id == repo_id


def test_commit_on_an_outdated_parent_is_refused(client: HubClient, api: HfApi, repo_id: str) -> None:
    client(api.create_repo, repo_id)
    parent = client(api.model_info, repo_id).sha
    client(api.upload_file, path_or_fileobj=b"1", path_in_repo="a.txt", repo_id=repo_id)
    with pytest.raises(HfHubHTTPError) as refusal:
        client(
            api.create_commit,
            repo_id,
            [CommitOperationAdd("a.txt", b"2")],
            commit_message="too late",
            parent_commit=parent,
        )
    assert refusal.value.response.status_code == 412


def test_private_repositories_data_sets_and_revisions_are_found_by_those_who_may(
    hub: HubStandIn, client: HubClient, api: HfApi, repo_id: str
) -> None:
    client(api.create_repo, repo_id, private=True, repo_type="dataset")
    assert client(api.dataset_info, repo_id).private
    guest = HfApi(endpoint=hub.endpoint, token=hub.guest_token)
    with pytest.raises(RepositoryNotFoundError):
        client(guest.dataset_info, repo_id)
    with pytest.raises(RevisionNotFoundError):
        client(api.dataset_info, repo_id, revision="v9")


def test_wrong_token_is_401_everywhere(hub: HubStandIn, client: HubClient, repo_id: str) -> None:
    api = HfApi(endpoint=hub.endpoint, token="hf_wrong")  # noqa: S106 - it is nobody's
    calls: list[tuple[Callable[..., object], tuple[str, ...]]] = [
        (api.whoami, ()),
        (api.create_repo, (repo_id,)),
        (api.model_info, (repo_id,)),
    ]
    for call, arguments in calls:
        with pytest.raises(HfHubHTTPError) as refusal:
            client(call, *arguments)
        assert refusal.value.response.status_code == 401
