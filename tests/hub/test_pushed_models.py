"""Models on the Hub are known by their commits: what was made with one is never used with another."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import HfApi, hf_hub_download

from tests.hub.clients import HubClient
from tests.hub_stand_in import HubStandIn
from tests.video_files import write_clip
from video_colbert.encoding.encoded import VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.errors import ModelLoadError, ModelMismatchError
from video_colbert.evaluation.embedding_cache import EmbeddingCache
from video_colbert.hub import publish_checkpoint, verify_checkpoint
from video_colbert.index import LanceIndex
from video_colbert.modeling_video_colbert import VideoColBERTModel

QUERY = "a red circle grows"


def push_other_weights(checkpoint: Path, repo_id: str, seed: int) -> str:
    """Pushes weights alone over a published model, and gives the commit."""
    model = VideoColBERTModel.from_pretrained(checkpoint)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model.query_head.weight.normal_(generator=generator)
    return str(model.push_to_hub(repo_id).oid)


def encoded(repo_id: str, cache: Path | None = None, revision: str | None = None) -> tuple[str, torch.Tensor]:
    """The revision of a model, and its tokens of a query."""
    encoder = VideoColBERTEncoder.from_pretrained(repo_id, revision=revision, device="cpu")
    encodes = encoder if cache is None else EmbeddingCache(cache, encoder)
    return encoder.reference.revision, encodes.encode_queries([QUERY], batch_size=1).bags_of("frame").embeds


def made_index(repo_id: str, index: Path, cache: Path, clip: Path) -> Path:
    """An index with the model, and the place of a clip's tokens in a cache."""
    encoder = VideoColBERTEncoder.from_pretrained(repo_id, device="cpu")
    LanceIndex.create(index, model=encoder.reference, num_frames=encoder.num_frames)
    path = EmbeddingCache(cache, encoder).video_path(VideoClip(clip))
    assert path is not None
    return path


def opened(repo_id: str, index: Path) -> None:
    LanceIndex.open(index, model=VideoColBERTEncoder.from_pretrained(repo_id, device="cpu").reference)


class DeadServer:
    """A server that ends every connection without a word, and counts those that asked for a model."""

    def __init__(self) -> None:
        self.attempts = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> DeadServer:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    self.attempts += b"/api/models/" in connection.recv(65536)


def test_second_push_is_another_model_to_index_cache_and_self_test(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path, tmp_path: Path
) -> None:
    first = client(publish_checkpoint, checkpoint_folder, repo_id).commit
    revision, old = client(encoded, repo_id, tmp_path / "cache")
    assert revision == first
    clip = write_clip(tmp_path / "clip.mp4", 0)
    old_path = client(made_index, repo_id, tmp_path / "index", tmp_path / "cache", clip)
    assert client(verify_checkpoint, repo_id).passed

    second = client(push_other_weights, checkpoint_folder, repo_id, 1)
    revision, new = client(encoded, repo_id)
    assert revision == second
    assert (old - new).abs().max() > 0.1
    with pytest.raises(ModelMismatchError, match=f"was made with {repo_id} at revision {first[:12]}, not with"):
        client(opened, repo_id, tmp_path / "index")
    _, cached = client(encoded, repo_id, tmp_path / "cache")
    torch.testing.assert_close(cached, new, rtol=0, atol=1e-6)
    assert client(made_index, repo_id, tmp_path / "other", tmp_path / "cache", clip) != old_path
    report = client(verify_checkpoint, repo_id)
    assert (report.passed, report.revision) == (False, second)
    assert client(verify_checkpoint, repo_id, revision=first).passed
    # The index knows which weights it needs, whatever main is now.
    code, _, err = client.command_line("search", QUERY, "--index", tmp_path / "index", "--json")
    assert (code, "is empty" in err) == (0, True), err


def test_model_in_the_cache_needs_no_network(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path, tmp_path: Path
) -> None:
    commit = client(publish_checkpoint, checkpoint_folder, repo_id).commit
    first = client(encoded, repo_id)
    before = len(hub.log)
    again = client(encoded, repo_id, None, commit)
    assert len(hub.log) == before
    assert again[0] == first[0] == commit
    torch.testing.assert_close(again[1], first[1], rtol=0, atol=0)
    # A branch is asked for by one request.
    client(encoded, repo_id)
    assert len(hub.log) == before + 1


@pytest.mark.parametrize("cached_by", ["this-library", "another"])
def test_unreachable_hub_is_tried_once_and_the_cache_is_used(
    hub: HubStandIn,
    client: HubClient,
    checkpoint_folder: Path,
    tmp_path: Path,
    cached_by: str,
) -> None:
    repo_id = f"{hub.owner}/unreachable-{cached_by}"
    commit = client(publish_checkpoint, checkpoint_folder, repo_id).commit
    settings = {**hub.settings(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    online = HubClient(settings)
    try:
        if cached_by == "this-library":
            online(encoded, repo_id)
        else:
            for name in hub.repository(repo_id).resolve("main").files:
                online(hf_hub_download, repo_id, name)
    finally:
        online.close()
    with DeadServer() as server:
        offline = HubClient({**settings, "HF_ENDPOINT": server.endpoint})
        try:
            assert offline(encoded, repo_id)[0] == commit
            assert server.attempts == 1
            assert offline(encoded, repo_id, None, commit)[0] == commit
            assert server.attempts == 1
            with pytest.raises(ModelLoadError, match=r"there is no model 'tester/none' here.*cannot be reached"):
                offline(encoded, "tester/none")
            assert server.attempts == 2
        finally:
            offline.close()


def test_unknown_model_and_revision_are_named(client: HubClient, repo_id: str, checkpoint_folder: Path) -> None:
    client(publish_checkpoint, checkpoint_folder, repo_id)
    for name, revision, message in (
        ("tester/none", None, "has no such repository"),
        (repo_id, "v9", "no such revision"),
        ("~/clip", None, "there is no model '~/clip' here"),
        ("./no/such/folder", None, "there is no model './no/such/folder' here"),
    ):
        with pytest.raises(ModelLoadError, match=message):
            client(encoded, name, None, revision)


def test_backbone_on_the_hub_is_loaded_zero_shot_without_what_it_does_not_need(
    hub: HubStandIn, client: HubClient, repo_id: str, clip_backbone_folder: Path
) -> None:
    api = HfApi(endpoint=hub.endpoint, token=hub.owner_token)
    client(api.create_repo, repo_id)
    client(api.upload_folder, repo_id=repo_id, folder_path=clip_backbone_folder)
    client(api.upload_file, path_or_fileobj=b"x" * 1000, path_in_repo="pytorch_model.bin", repo_id=repo_id)
    before = len(hub.log)
    loaded: dict[str, Any] = client(described, repo_id)
    assert loaded == {"zero_shot": True, "backbone": repo_id, "levels": ["frame"]}
    assert not [request.path for request in hub.log[before:] if "pytorch_model.bin" in request.path]


def described(repo_id: str) -> dict[str, Any]:
    encoder = VideoColBERTEncoder.from_pretrained(repo_id, device="cpu")
    config = encoder.model.config
    return {"zero_shot": encoder.is_zero_shot, "backbone": config.backbone, "levels": list(config.score_levels)}


def test_search_names_the_model_of_an_index_before_it_loads_it(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path, tmp_path: Path
) -> None:
    commit = client(publish_checkpoint, checkpoint_folder, repo_id).commit
    write_clip(tmp_path / "clips/0.mp4", 0)
    index = tmp_path / "index"
    code, _, err = client.command_line("index", tmp_path / "clips", "--model", repo_id, "--index", index)
    assert code == 0, err
    stranger = HubClient({**hub.settings(tmp_path / "home"), "OMP_NUM_THREADS": "1"})
    said = f"The index names the model {repo_id} at revision {commit[:12]}; it is loaded from the Hub."
    try:
        found = [stranger.command_line("search", QUERY, "--index", index, "--json") for _ in range(2)]
    finally:
        stranger.close()
    assert [code for code, _, _ in found] == [0, 0]
    assert [said in err for _, _, err in found] == [True, False]
    assert len(json.loads(found[0][1])["hits"]) == 1
