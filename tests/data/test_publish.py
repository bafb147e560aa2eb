import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import datasets
import pytest
from huggingface_hub import DatasetCard

from tests.dataset_builders.small_benchmarks import WRITERS
from tests.video_files import write_clip
from tests.warm_python import warm_python
from video_colbert.data import publish
from video_colbert.data.publish import publish_dataset, write_dataset_repository
from video_colbert.dataset_builders.benchmarks import load_benchmark
from video_colbert.dataset_builders.video_files import MissingVideosError
from video_colbert.processing import decode_video

LOADER = """
import json, sys
import datasets
for name in ("dataset_builders", "video_colbert"):
    assert name not in sys.modules
dataset = datasets.load_dataset(sys.argv[1])
print(json.dumps({split: rows.to_list() for split, rows in dataset.items()}))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def load_in_a_clean_process(repository: Path, tmp_path: Path) -> dict[str, list[dict[str, Any]]]:
    environment = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PATH": ""}
    result = subprocess.run(
        [warm_python(), "-I", "-c", LOADER, str(repository)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    rows: dict[str, list[dict[str, Any]]] = json.loads(result.stdout)
    return rows


def relative(rows: datasets.Dataset) -> list[dict[str, Any]]:
    """The rows with the paths as a repository has them."""
    found: list[dict[str, Any]] = rows.to_list()
    for row in found:
        if row["video"] is not None:
            row["video"]["path"] = f"videos/{Path(row['video']['path']).name}"
    return found


@pytest.mark.parametrize("name", WRITERS)
def test_a_repository_loads_with_the_same_rows_in_a_clean_process(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / "source")
    write_dataset_repository(tmp_path / "repository", name, tmp_path / "source")
    expected = {split: relative(rows) for split, rows in load_benchmark(name, data_dir=tmp_path / "source").items()}
    assert load_in_a_clean_process(tmp_path / "repository", tmp_path) == expected


def test_features_survive_so_that_videos_stay_undecoded(tmp_path: Path) -> None:
    WRITERS["msvd"](tmp_path / "source")
    write_dataset_repository(tmp_path / "repository", "msvd", tmp_path / "source")
    rows = datasets.load_dataset(str(tmp_path / "repository"), split="test", cache_dir=str(tmp_path / "c"))
    assert rows.features["video"] == datasets.Video(decode=False)


def test_the_card_states_configuration_counts_protocol_and_licence(tmp_path: Path) -> None:
    WRITERS["msrvtt"](tmp_path / "source")
    reports = write_dataset_repository(
        tmp_path / "repository", "msrvtt", tmp_path / "source", protocol="full", splits=["test"], title="mine"
    )
    assert [(report.split, report.rows, report.queries) for report in reports] == [("test", 2, 4)]
    card = DatasetCard.load(tmp_path / "repository/README.md")
    (config,) = card.data.configs
    assert config["config_name"] == "full"
    assert config["data_files"] == [{"split": "test", "path": ["data/test-00000-of-00001.parquet"]}]
    assert "# mine" in card.text
    assert "Protocol full: each caption is a query" in card.text
    assert "| test | 2 | 4 | 2 of 2 | number of videos: expected 2990, found 2" in card.text
    assert "## Licence" in card.text
    assert "The video files are not in this repository" in card.text
    assert str(tmp_path) not in card.content


def test_videos_are_included_only_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS["msvd"](tmp_path / "source")
    files = sorted((tmp_path / "source/YouTubeClips").iterdir())
    for seed, file in enumerate(files):
        write_clip(tmp_path / "clip.mp4", seed).rename(file)
    write_dataset_repository(tmp_path / "without", "msvd", tmp_path / "source")
    rows = datasets.load_dataset(str(tmp_path / "without"), split="test", cache_dir=str(tmp_path / "a"))
    assert all(row["video"]["bytes"] is None for row in rows)
    # Each row is a group and a file of its own.
    monkeypatch.setattr(publish, "_GROUP_BYTES", 1)
    monkeypatch.setattr(publish, "_FILE_BYTES", 1)
    write_dataset_repository(tmp_path / "with", "msvd", tmp_path / "source", include_videos=True)
    assert "The rows hold the video files" in (tmp_path / "with/README.md").read_text()
    loaded = datasets.load_dataset(str(tmp_path / "with"), cache_dir=str(tmp_path / "b"))
    assert [path.name for path in sorted((tmp_path / "with/data").glob("test-*"))] == [
        "test-00000-of-00002.parquet",
        "test-00001-of-00002.parquet",
    ]
    contents = {row["video"]["path"]: row["video"]["bytes"] for split in loaded.values() for row in split}
    assert contents == {file.name: file.read_bytes() for file in files}
    shutil.rmtree(tmp_path / "source")
    decoded = decode_video(loaded["test"][0]["video"], num_frames=2)
    assert decoded.frames.shape[0] == 2


def test_missing_videos_are_an_error_unless_they_are_allowed(tmp_path: Path) -> None:
    WRITERS["msvd"](tmp_path / "source")
    (tmp_path / "source/YouTubeClips/d_7_8.avi").unlink()
    with pytest.raises(MissingVideosError, match="d_7_8"):
        write_dataset_repository(tmp_path / "a", "msvd", tmp_path / "source", splits=["test"])
    write_dataset_repository(tmp_path / "b", "msvd", tmp_path / "source", splits=["test"], allow_missing=True)
    rows = load_in_a_clean_process(tmp_path / "b", tmp_path)["test"]
    assert [row["video"] is None for row in rows] == [True, False]
    assert "1 of 2" in (tmp_path / "b/README.md").read_text()


class FakeApi:
    """Takes the calls that publishing makes, and keeps what was uploaded."""

    uploaded: dict[str, bytes]
    created: dict[str, object]

    def __init__(self, token: str | None = None) -> None:
        assert token == "hf_test"  # noqa: S105

    def create_repo(self, repo_id: str, **arguments: object) -> None:
        type(self).created = {"repo_id": repo_id, **arguments}

    def upload_folder(self, *, folder_path: str, repo_id: str, repo_type: str, **arguments: object) -> str:
        assert (repo_id, repo_type) == ("me/msvd", "dataset")
        root = Path(folder_path)
        type(self).uploaded = {
            path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
        }
        return "commit"


def test_publishing_uploads_annotations_and_card_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS["msvd"](tmp_path / "source")
    monkeypatch.setattr(publish, "HfApi", FakeApi)
    address, reports = publish_dataset("me/msvd", "msvd", tmp_path / "source", private=True, token="hf_test")  # noqa: S106
    assert (address, len(reports)) == ("commit", 3)
    assert FakeApi.created == {"repo_id": "me/msvd", "repo_type": "dataset", "private": True, "exist_ok": True}
    assert set(FakeApi.uploaded) == {
        "README.md",
        *(f"data/{split}-00000-of-00001.parquet" for split in ("train", "validation", "test")),
    }
    assert FakeApi.uploaded["README.md"].decode().count("# msvd") == 1
