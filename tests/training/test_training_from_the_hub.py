"""Training on data sets of the Hub: two steps, resumed after one, published, loaded again and verified."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi
from safetensors.torch import load_file

from tests.data.opened.video_layouts import write_videofolder
from tests.dataset_builders.small_benchmarks import write_msrvtt
from tests.hub.clients import HubClient
from tests.hub_stand_in import HubStandIn
from tests.video_files import write_clip


@pytest.fixture(scope="module")
def client(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    settings = hub.settings(tmp_path_factory.mktemp("hub_home"))
    client = HubClient({**settings, "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"})
    yield client
    client.close()


@pytest.fixture(scope="module")
def videofolder(hub: HubStandIn, client: HubClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data set of the Hub that others made, in the layout `videofolder`."""
    root = write_videofolder(tmp_path_factory.mktemp("videofolder"), clips=6)
    write_videofolder(root, split="test", clips=3)
    api = HfApi(endpoint=hub.endpoint, token=hub.owner_token)
    client(api.create_repo, f"{hub.owner}/clips", repo_type="dataset")
    client(api.upload_folder, repo_id=f"{hub.owner}/clips", repo_type="dataset", folder_path=root)
    return f"{hub.owner}/clips"


@pytest.fixture(scope="module")
def published(hub: HubStandIn, client: HubClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `publish-dataset --include-videos` makes."""
    source = tmp_path_factory.mktemp("msrvtt")
    write_msrvtt(source)
    for number in range(6):
        write_clip(source / f"videos/video{number}.mp4", number, frames=6)
    repo_id = f"{hub.owner}/msrvtt-with-videos"
    code, _, err = client.command_line(
        "publish-dataset", "msrvtt", repo_id, "--data-dir", source, "--include-videos", "--protocol", "1k-A"
    )
    assert code == 0, err
    return repo_id


def train_in_client(command_line: list[str]) -> int:
    from accelerate.state import AcceleratorState

    from video_colbert.training.arguments import parse_arguments
    from video_colbert.training.training_run import train

    torch.set_num_threads(1)
    try:
        return train(parse_arguments(command_line))
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", ["videofolder", "published"])
def test_two_steps_on_a_set_of_the_hub_resume_publish_reload_and_verify(
    kind: str,
    streaming: bool,
    hub: HubStandIn,
    client: HubClient,
    clip_backbone_folder: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    dataset: str = request.getfixturevalue(kind)
    repo_id = f"{hub.owner}/trained-on-{kind}-{streaming}"
    config = {"query_length": 16, "max_frames": 4, "temporal_num_layers": 1, "temporal_num_heads": 4}
    command = [
        f"--backbone={clip_backbone_folder}",
        f"--config_overrides={json.dumps(config)}",
        f"--dataset={dataset}",
        "--hold_out=2",
        f"--output_dir={tmp_path / 'run'}",
        "--num_frames=3",
        "--num_workers=0",
        "--max_train_steps=2",
        "--per_device_train_batch_size=2",
        "--checkpointing_steps=1",
        "--learning_rate=1e-3",
        *(["--streaming", "--stream_window=3"] if streaming else []),
    ]
    assert client(train_in_client, command) == 0
    expected = load_file(tmp_path / "run/last/model.safetensors")
    checkpoint = tmp_path / "run/checkpoints/step_00000001"
    resumed = [f"--resume_from_checkpoint={checkpoint}", "--push_to_hub", f"--hub_model_id={repo_id}"]
    assert client(train_in_client, [*command, *resumed]) == 0
    weights = load_file(tmp_path / "run/last/model.safetensors")
    assert all(torch.equal(weights[name], expected[name]) for name in expected)

    # Of a stream nothing stays.
    assert not list((tmp_path / "run").glob("stream/*"))

    assert client.command_line("verify", repo_id)[0] == 0
    command_of_evaluation = ("evaluate", "--model", repo_id, "--dataset", dataset, "--output")
    code, out, err = client.command_line(*command_of_evaluation, tmp_path / "evaluation.json")
    assert code == 0, err
    if streaming:
        code, _, err = client.command_line(*command_of_evaluation, tmp_path / "streamed.json", "--streaming")
        assert code == 0, err
        assert (tmp_path / "streamed.json").read_text() == (tmp_path / "evaluation.json").read_text()
    assert f"{dataset}, split test" in out or f"{dataset}, protocol" in out
    found = json.loads((tmp_path / "evaluation.json").read_text())[0]
    videos, queries = (3, 4) if kind == "videofolder" else (2, 2)
    assert (found["dataset"], found["num_videos"], found["num_queries"]) == (dataset, videos, queries)
    card = hub.repository(repo_id).resolve("main").files["README.md"].content.decode()
    assert f"datasets:\n- {dataset}\n" in card


def test_unknown_set_or_state_of_one_is_one_sentence(
    hub: HubStandIn, client: HubClient, videofolder: str, checkpoint_folder: Path
) -> None:
    for dataset, message in (
        (f"{hub.owner}/none", "cannot be opened: Dataset 'tester/none' doesn't exist on the Hub"),
        (f"{videofolder}@v9", "cannot be opened: "),
        ("no_such", "there is no data set 'no_such'; there are msrvtt, "),
    ):
        code, out, err = client.command_line("evaluate", "--model", checkpoint_folder, "--dataset", dataset)
        assert (code, out) == (1, "")
        assert message in err
        assert len(err.strip().splitlines()) == 1
