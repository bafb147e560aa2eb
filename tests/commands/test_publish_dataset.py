import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.dataset_builders.small_benchmarks import write_msrvtt
from tests.hub.clients import HubClient, run_without_packages
from tests.hub_stand_in import HubStandIn
from video_colbert.dataset_builders.benchmarks import load_benchmark

LOAD = """
import json
from datasets import load_dataset
dataset = load_dataset({repo_id!r})
print(json.dumps({{split: rows.to_list() for split, rows in dataset.items()}}))
"""


@pytest.fixture(scope="module")
def client(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    settings = hub.settings(tmp_path_factory.mktemp("client"))
    client = HubClient({**settings, "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"})
    yield client
    client.close()


def test_a_published_benchmark_loads_by_name_in_a_clean_process_with_the_same_rows(
    tmp_path: Path, hub: HubStandIn, client: HubClient
) -> None:
    write_msrvtt(tmp_path / "data")
    repo_id = f"{hub.owner}/msrvtt-1k-A"
    code, out, err = client.command_line("publish-dataset", "msrvtt", repo_id, "--data-dir", tmp_path / "data")
    assert code == 0, err
    commit = hub.repository(repo_id, "dataset").resolve("main").oid
    assert out.splitlines()[-1].startswith(f"published: {hub.endpoint}/")
    assert out.splitlines()[-1].endswith(f"{repo_id}/commit/{commit}")
    assert "msrvtt, protocol 1k-A, test: 2 of 2 videos; differs from the protocol" in out
    loaded = json.loads(run_without_packages(LOAD.format(repo_id=repo_id), hub.environment(tmp_path / "home")))
    expected = {}
    for split, rows in load_benchmark("msrvtt", data_dir=tmp_path / "data", streaming=True).items():
        expected[split] = list(rows)
        for row in expected[split]:
            row["video"]["path"] = f"videos/{Path(row['video']['path']).name}"
    assert loaded == expected
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 4, "test": 2}


def test_video_files_are_uploaded_only_when_asked_for(tmp_path: Path, hub: HubStandIn, client: HubClient) -> None:
    write_msrvtt(tmp_path)
    (tmp_path / "videos/video4.mp4").write_bytes(b"the video itself")
    command = ("publish-dataset", "msrvtt", f"{hub.owner}/videos", "--data-dir", tmp_path, "--split", "test")

    def files() -> set[str]:
        return set(hub.repository(f"{hub.owner}/videos", "dataset").resolve("main").files)

    assert client.command_line(*command, "--private")[0] == 0
    assert files() - {".gitattributes"} == {"README.md", "data/test-00000-of-00001.parquet"}
    assert hub.repository(f"{hub.owner}/videos", "dataset").is_private
    environment = hub.environment(tmp_path / "home")
    load = LOAD.format(repo_id=f"{hub.owner}/videos").replace("to_list()", "to_list()[0]['video']['bytes']")
    assert json.loads(run_without_packages(load, environment))["test"] is None
    assert client.command_line(*command, "--include-videos")[0] == 0
    assert files() - {".gitattributes"} == {"README.md", "data/test-00000-of-00001.parquet"}
    load = load.replace("['bytes']", "['bytes'].decode()")
    assert json.loads(run_without_packages(load, environment))["test"] == "the video itself"


def test_help_says_why_uploading_videos_matters(run_command: RunCommand, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_command("publish-dataset", "--help")
    assert "whose licence allows it" in " ".join(capsys.readouterr().out.split())


def test_missing_videos_are_published_as_null_only_when_allowed(
    tmp_path: Path, hub: HubStandIn, client: HubClient
) -> None:
    write_msrvtt(tmp_path)
    (tmp_path / "videos/video5.mp4").unlink()
    command = ("publish-dataset", "msrvtt", f"{hub.owner}/missing", "--data-dir", tmp_path, "--split", "test")
    code, out, err = client.command_line(*command)
    assert (code, out) == (1, "")
    assert "1 of 2 videos are not in" in err
    assert ("dataset", f"{hub.owner}/missing") not in hub.storage.repositories
    code, out, _ = client.command_line(*command, "--allow-missing")
    assert code == 3
    assert "test: 1 of 2 videos" in out
    assert "missing videos: video5" in out


def test_what_the_hub_refuses_is_one_sentence(tmp_path: Path, hub: HubStandIn, client: HubClient) -> None:
    write_msrvtt(tmp_path)
    code, out, err = client.command_line(
        "publish-dataset", "msrvtt", "not a name", "--data-dir", tmp_path, "--split", "test"
    )
    assert (code, out) == (1, "")
    assert err.strip().startswith("video-colbert: not a name cannot be published: ")
