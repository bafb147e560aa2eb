"""Publishing to and verifying from the stand-in Hub, through the real client."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi, ModelCard, constants, hf_hub_download
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoProcessor

from tests.hub.clients import HubClient, run_without_packages
from tests.hub_stand_in import HubStandIn
from tests.video_files import write_clip
from video_colbert.errors import CheckpointError, HubError
from video_colbert.hub import publish_checkpoint, verify_checkpoint, write_self_test
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor

CAPTIONS = ["a red square moves left", "a dog"]

SCORE_FROM_HUB = """
import json
import torch
from transformers import AutoModel, AutoProcessor

torch.set_num_threads(1)
name, revision, example, captions, clips = json.loads({arguments!r})
tagged_model = AutoModel.from_pretrained(name, revision=revision, trust_remote_code=True).eval()
tagged_processor = AutoProcessor.from_pretrained(name, revision=revision, trust_remote_code=True)
with torch.inference_mode():
    tagged = tagged_model(**tagged_processor(text=captions, videos=clips))
exec(example)
for output in (tagged, score(captions, clips)):
    print(json.dumps([output.frame_scores.tolist(), output.video_scores.tolist()]))
"""


def test_published_tag_and_the_example_of_the_card_work_without_our_packages(
    hub: HubStandIn, client: HubClient, repo_id: str, evaluated_checkpoint: Path, tmp_path: Path
) -> None:
    code, out, err = client.command_line("publish", evaluated_checkpoint, repo_id, "--tag", "v1.0")
    assert code == 0, err
    assert hub.endpoint in out
    card = hub.repository(repo_id).resolve("v1.0").files["README.md"].content.decode()
    example, _ = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    clips = [str(write_clip(tmp_path / f"{seed}.mp4", seed)) for seed in range(2)]
    arguments = json.dumps([repo_id, "v1.0", example, CAPTIONS, clips])
    out = run_without_packages(
        SCORE_FROM_HUB.format(arguments=arguments), hub.environment(tmp_path / "clean", token=None)
    )
    model = VideoColBERTModel.from_pretrained(evaluated_checkpoint)
    processor = VideoColBERTProcessor.from_pretrained(evaluated_checkpoint)
    with torch.inference_mode():
        expected = model(**processor(text=CAPTIONS, videos=clips))
    for line in out.splitlines()[-2:]:
        frame_scores, video_scores = json.loads(line)
        np.testing.assert_allclose(frame_scores, expected.frame_scores, atol=1e-6)
        np.testing.assert_allclose(video_scores, expected.video_scores, atol=1e-6)


def test_installed_package_loads_by_auto_class_without_trusting_remote_code(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path
) -> None:
    client(publish_checkpoint, checkpoint_folder, repo_id)
    assert isinstance(client(AutoModel.from_pretrained, repo_id, trust_remote_code=False), VideoColBERTModel)
    processor = client(AutoProcessor.from_pretrained, repo_id, trust_remote_code=False)
    assert isinstance(processor, VideoColBERTProcessor)


def test_everything_of_the_checkpoint_and_nothing_else_goes_in_one_commit(
    hub: HubStandIn, client: HubClient, repo_id: str, evaluated_checkpoint: Path
) -> None:
    before = {path.name for path in evaluated_checkpoint.iterdir()}
    published = client(publish_checkpoint, evaluated_checkpoint, repo_id)
    repository = hub.repository(repo_id)
    assert [commit.title for commit in repository.history("main")] == [
        "Publish a Video-ColBERT checkpoint",
        "initial commit",
    ]
    files = repository.resolve("main").files
    assert sorted(files) == published.files
    assert published.commit == repository.branches["main"]
    unwanted = {
        "optimizer.bin",
        "random_states_0.pkl",
        "scheduler.pt",
        "pytorch_model.bin",
        "notes.txt",
        "secret.py",
    }
    assert unwanted == set(published.left_out)
    assert set(files) == before - unwanted | {
        "README.md",
        "self_test.json",
        "self_test.safetensors",
        ".eval_results/msr-vtt.yaml",
    }
    assert {"model.safetensors", "modeling_video_colbert.py", "processing_video_colbert.py"} <= set(files)
    assert files["model.safetensors"].content == (evaluated_checkpoint / "model.safetensors").read_bytes()
    assert {path.name for path in evaluated_checkpoint.iterdir()} == before
    card = ModelCard(files["README.md"].content.decode())
    assert f'from_pretrained("{repo_id}", trust_remote_code=True)' in card.text


def test_verify_passes_and_fails_when_a_tensor_is_re_initialised_on_the_hub(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path, tmp_path: Path
) -> None:
    first = client(publish_checkpoint, checkpoint_folder, repo_id, tag="good")
    weights = load_file(checkpoint_folder / "model.safetensors")
    weights["text_model.encoder.layers.1.mlp.fc2.weight"].normal_(std=0.02)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    api = HfApi(endpoint=hub.endpoint, token=hub.owner_token)
    client(
        api.upload_file,
        path_or_fileobj=str(tmp_path / "model.safetensors"),
        path_in_repo="model.safetensors",
        repo_id=repo_id,
    )

    code, out, _ = client.command_line("verify", repo_id, "--revision", "good")
    assert code == 0
    assert first.commit[:12] in out
    code, out, _ = client.command_line("verify", repo_id)
    assert code == 1
    assert "query tokens differ by up to" in out
    assert "frame tokens" not in out


def test_publishing_again_replaces_what_is_stale_and_keeps_what_others_added(
    hub: HubStandIn, client: HubClient, repo_id: str, evaluated_checkpoint: Path
) -> None:
    client(publish_checkpoint, evaluated_checkpoint, repo_id, tag="v1")
    api = HfApi(endpoint=hub.endpoint, token=hub.owner_token)
    for path in ("model-00001-of-00002.safetensors", "examples/handler.py", "handler.py"):
        client(api.upload_file, path_or_fileobj=b"x", path_in_repo=path, repo_id=repo_id)
    (evaluated_checkpoint / "evaluation.json").unlink()
    client(publish_checkpoint, evaluated_checkpoint, repo_id, tag="v2")
    repository = hub.repository(repo_id)
    old, new = (set(repository.resolve(tag).files) for tag in ("v1", "v2"))
    assert old - new == {"evaluation.json", ".eval_results/msr-vtt.yaml"}
    assert new - old == {"examples/handler.py", "handler.py"}


def test_branch_is_made_and_main_left_alone(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path
) -> None:
    published = client(publish_checkpoint, checkpoint_folder, repo_id, revision="experiments/one", tag="e1")
    repository = hub.repository(repo_id)
    assert repository.branches["experiments/one"] == repository.tags["e1"] == published.commit
    assert not repository.resolve("main").files
    assert client(verify_checkpoint, repo_id, revision="experiments/one").passed


def test_private_repository_is_for_its_owner_only(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path
) -> None:
    client(publish_checkpoint, checkpoint_folder, repo_id, private=True)
    assert hub.repository(repo_id).is_private
    assert client(verify_checkpoint, repo_id).passed
    with pytest.raises(HubError, match="has no such repository, or it is private"):
        client(verify_checkpoint, repo_id, token=hub.guest_token)


def test_private_is_never_published_into_a_public_repository(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path
) -> None:
    hub.storage.create("model", repo_id, False, hub.owner)
    with pytest.raises(HubError, match="exists and is public"):
        client(publish_checkpoint, checkpoint_folder, repo_id, private=True)
    assert not hub.repository(repo_id).resolve("main").files


def test_guest_may_open_a_pull_request_but_not_push(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path
) -> None:
    client(publish_checkpoint, checkpoint_folder, repo_id)
    main = hub.repository(repo_id).branches["main"]
    retrained: dict[str, Any] = {"commit_message": "Retrained", "license": "mit", "token": hub.guest_token}
    with pytest.raises(HubError, match="the token has no right to write there"):
        client(publish_checkpoint, checkpoint_folder, repo_id, **retrained)
    published = client(publish_checkpoint, checkpoint_folder, repo_id, create_pr=True, **retrained)
    repository = hub.repository(repo_id)
    assert published.pull_request_url == f"{hub.endpoint}/{repo_id}/discussions/1"
    assert repository.branches["main"] == main
    assert repository.resolve("refs/pr/1").title == "Retrained"
    assert client(verify_checkpoint, repo_id, revision="refs/pr/1").passed
    with pytest.raises(ValueError, match="tag and create_pr exclude each other"):
        publish_checkpoint(checkpoint_folder, repo_id, create_pr=True, tag="v1")


def test_wrong_token_gives_one_sentence_before_anything_is_made(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path
) -> None:
    code, out, err = client.command_line("publish", checkpoint_folder, repo_id, "--token", "hf_wrong")
    assert (code, out) == (1, "")
    assert err == (
        f"video-colbert: {repo_id} cannot be published: the Hub refuses the token as invalid or expired; "
        "log in with `hf auth login`, set HF_TOKEN, or pass a token\n"
    )
    assert ("model", repo_id) not in hub.storage.repositories


def test_names_and_tags_that_are_taken_are_refused(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path
) -> None:
    hub.storage.create("model", repo_id, False, hub.owner)
    api = HfApi(endpoint=hub.endpoint, token=hub.owner_token)
    other = json.dumps({"model_type": "bert"}).encode()
    client(api.upload_file, path_or_fileobj=other, path_in_repo="config.json", repo_id=repo_id)
    with pytest.raises(HubError, match="exists and holds a 'bert' model; choose another name"):
        client(publish_checkpoint, checkpoint_folder, repo_id)
    client(publish_checkpoint, checkpoint_folder, f"{repo_id}-2", tag="v1")
    main = hub.repository(f"{repo_id}-2").branches["main"]
    with pytest.raises(HubError, match="already has a tag 'v1'"):
        client(publish_checkpoint, checkpoint_folder, f"{repo_id}-2", tag="v1", license="mit")
    assert hub.repository(f"{repo_id}-2").branches["main"] == main
    with pytest.raises(HubError, match="the token has no right to write there"):
        client(publish_checkpoint, checkpoint_folder, "somebody-else/model")


def test_the_licence_is_the_one_that_the_backbones_card_names(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "README.md").write_text("---\nlicense: openrail\n---\n# A backbone\n")
    hub.host("other/backbone", tmp_path / "backbone")
    folder = Path(shutil.copytree(checkpoint_folder, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    for backbone, expected in (("other/backbone", "openrail"), ("other/not-there", None)):
        (folder / "config.json").write_text(json.dumps({**config, "backbone": backbone}))
        code, _, err = client.command_line("publish", folder, repo_id)
        assert code == 0, err
        assert ("give it with --license" in err) == (expected is None)
        card = hub.repository(repo_id).resolve("main").files["README.md"].content.decode()
        assert ModelCard(card).data.license == expected


def test_interrupted_download_resumes_where_it_broke(
    hub: HubStandIn, client: HubClient, repo_id: str, tmp_path: Path
) -> None:
    content = np.random.default_rng(0).bytes(constants.DOWNLOAD_CHUNK_SIZE + 2_000_000)
    hub.storage.create("model", repo_id, False, hub.owner)
    api = HfApi(endpoint=hub.endpoint, token=hub.owner_token)
    client(api.upload_file, path_or_fileobj=content, path_in_repo="model.safetensors", repo_id=repo_id)
    hub.drop_next_download("model.safetensors", after_bytes=constants.DOWNLOAD_CHUNK_SIZE + 1_000_000)
    before = len(hub.log)
    file = client(hf_hub_download, repo_id, "model.safetensors")
    assert Path(file).read_bytes() == content
    ranges = [it.byte_range for it in hub.log[before:] if it.method == "GET" and "model.safetensors" in it.path]
    # The client keeps whole chunks.
    assert ranges == [None, f"bytes={constants.DOWNLOAD_CHUNK_SIZE}-"]


def test_connection_that_breaks_while_weights_are_read_does_no_harm(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path
) -> None:
    client(publish_checkpoint, checkpoint_folder, repo_id)
    hub.drop_next_download("model.safetensors", after_bytes=100_000)
    before = len(hub.log)
    assert client(verify_checkpoint, repo_id).passed
    assert sum(it.method == "GET" and "model.safetensors" in it.path for it in hub.log[before:]) == 2


def test_checkpoint_that_fails_its_self_test_or_lacks_weights_is_not_published(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(checkpoint_folder, tmp_path / "copy"))
    weights = load_file(folder / "model.safetensors")
    del weights["frame_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"the checkpoint lacks, at random here: frame_head\.weight"):
        client(publish_checkpoint, folder, repo_id)
    model = VideoColBERTModel.from_pretrained(checkpoint_folder)
    write_self_test(folder, model, VideoColBERTProcessor.from_pretrained(checkpoint_folder))
    with pytest.raises(CheckpointError, match=r"fails its self-test: .*frame tokens differ by"):
        client(publish_checkpoint, folder, repo_id)
    assert ("model", repo_id) not in hub.storage.repositories


def test_unknown_repository_revision_and_missing_self_test_are_named(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path
) -> None:
    with pytest.raises(HubError, match="has no such repository"):
        client(verify_checkpoint, "tester/none")
    hub.storage.create("model", repo_id, False, hub.owner)
    with pytest.raises(CheckpointError, match="has no self-test to verify it with"):
        client(verify_checkpoint, repo_id)
    with pytest.raises(HubError, match="no such revision"):
        client(verify_checkpoint, repo_id, revision="v9")


def test_owner_is_added_to_a_bare_name(
    hub: HubStandIn, client: HubClient, repo_id: str, checkpoint_folder: Path
) -> None:
    assert client(publish_checkpoint, checkpoint_folder, repo_id.split("/")[1]).repo_id == repo_id
