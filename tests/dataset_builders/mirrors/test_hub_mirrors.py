import io
import json
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from video_colbert.dataset_builders.benchmarks import load_benchmark
from video_colbert.dataset_builders.mirrors import hub_mirrors
from video_colbert.dataset_builders.mirrors.hub_mirrors import MIRRORS, download_mirror

COMMIT, OTHER = "1" * 40, "2" * 40


class FakeHub:
    """Files of repositories in a folder, served in place of the Hub's own client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.newest = COMMIT
        self.fetched: list[tuple[str, str]] = []

    def __call__(self, token: str | None = None) -> "FakeHub":
        return self

    def dataset_info(self, repo_id: str, revision: str) -> SimpleNamespace:
        assert revision == "main"
        return SimpleNamespace(sha=self.newest)

    def list_repo_files(self, repo_id: str, repo_type: str, revision: str) -> list[str]:
        assert repo_type == "dataset"
        root = self.folder / repo_id
        return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]

    def download(self, repo_id: str, file: str, repo_type: str, revision: str, token: str | None) -> str:
        self.fetched.append((file, revision))
        return str(self.folder / repo_id / file)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(tmp_path / "hub")
    monkeypatch.setattr(hub_mirrors, "HfApi", fake)
    monkeypatch.setattr(hub_mirrors, "hf_hub_download", fake.download)
    return fake


def add_msrvtt(hub: FakeHub) -> None:
    root = hub.folder / MIRRORS["msrvtt"].repo_id
    root.mkdir(parents=True)
    (root / "README.md").write_text("card")
    rows = [{"video_id": f"video{i}", "video": f"video{i}.mp4", "caption": f"text {i}"} for i in (1, 2)]
    (root / "msrvtt_test_1k.json").write_text(json.dumps(rows))
    with zipfile.ZipFile(root / "MSRVTT_Videos.zip", "w") as archive:
        for i in (1, 2):
            archive.writestr(f"video/video{i}.mp4", b"v" * i)


def add_activitynet(hub: FakeHub) -> None:
    root = hub.folder / MIRRORS["activitynet"].repo_id
    (root / "raw_data").mkdir(parents=True)
    for name, video in (("train", "v_t"), ("val_1", "v_v")):
        data = {video: {"duration": 2.0, "timestamps": [[0, 1]], "sentences": ["It rains."]}}
        (root / f"raw_data/{name}.json").write_text(json.dumps(data))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for video in ("v_t", "v_v"):
            info = tarfile.TarInfo(f"Activity_Videos/{video}.mp4")
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    whole = buffer.getvalue()
    for part in range(3):
        size = len(whole) // 3 + 1
        (root / f"ActivityNet_Videos.tar.part-00{part}").write_bytes(whole[part * size : (part + 1) * size])


def test_a_zipped_mirror_loads_after_its_download(hub: FakeHub, tmp_path: Path) -> None:
    add_msrvtt(hub)
    folder = download_mirror("msrvtt", tmp_path / "data")
    rows = load_benchmark("msrvtt", split="test", data_dir=folder)
    assert [(row["video_id"], row["captions"]) for row in rows] == [("video1", ["text 1"]), ("video2", ["text 2"])]
    assert Path(rows[1]["video"]["path"]).read_bytes() == b"vv"
    assert {revision for _, revision in hub.fetched} == {MIRRORS["msrvtt"].revision}


def test_split_tar_parts_are_joined(hub: FakeHub, tmp_path: Path) -> None:
    add_activitynet(hub)
    folder = download_mirror("activitynet", tmp_path / "data")
    dataset = load_benchmark("activitynet", data_dir=folder)
    assert {name: rows["captions"][:] for name, rows in dataset.items()} == {
        "train": [["It rains."]],
        "test": [["It rains."]],
    }


def test_the_commit_of_the_first_download_stays(hub: FakeHub, tmp_path: Path) -> None:
    add_activitynet(hub)
    download_mirror("activitynet", tmp_path / "data", videos=False)
    assert json.loads((tmp_path / "data/hub_mirror.json").read_text())["revision"] == COMMIT
    hub.newest = OTHER
    download_mirror("activitynet", tmp_path / "data")
    assert {revision for _, revision in hub.fetched} == {COMMIT}
    with pytest.raises(ValueError, match=f"at {COMMIT}, not friedrichor/ActivityNet_Captions at {OTHER}"):
        download_mirror("activitynet", tmp_path / "data", revision=OTHER)


def test_nothing_is_fetched_twice(hub: FakeHub, tmp_path: Path) -> None:
    add_activitynet(hub)
    download_mirror("activitynet", tmp_path / "data")
    first = list(hub.fetched)
    download_mirror("activitynet", tmp_path / "data")
    assert hub.fetched == first


def test_annotations_alone_and_chosen_archives(hub: FakeHub, tmp_path: Path) -> None:
    add_msrvtt(hub)
    download_mirror("msrvtt", tmp_path / "data", videos=False)
    assert [file for file, _ in hub.fetched] == ["msrvtt_test_1k.json"]
    with pytest.raises(ValueError, match=r"no archive of friedrichor/MSR-VTT matches '\*train\*'"):
        download_mirror("msrvtt", tmp_path / "data", archives="*train*")


def test_a_repository_without_the_expected_files_is_an_error(hub: FakeHub, tmp_path: Path) -> None:
    add_msrvtt(hub)
    (hub.folder / MIRRORS["msrvtt"].repo_id / "MSRVTT_Videos.zip").unlink()
    with pytest.raises(ValueError, match=r"friedrichor/MSR-VTT holds no file MSRVTT_Videos.zip; it has README.md"):
        download_mirror("msrvtt", tmp_path / "data")


def test_a_benchmark_without_a_mirror_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no copy of 'vatex' on the Hub is known; there are copies of msrvtt, msvd"):
        download_mirror("vatex", tmp_path)
