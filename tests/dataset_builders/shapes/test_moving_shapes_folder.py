import json
import subprocess
from pathlib import Path

import pytest

from tests.dataset_builders.shapes.test_moving_shapes import SMALL, built
from tests.warm_python import warm_python
from video_colbert.dataset_builders.shapes.moving_shapes import MovingShapesConfig
from video_colbert.dataset_builders.shapes.moving_shapes_folder import write_moving_shapes
from video_colbert.dataset_builders.video_folder import VideoFolder

# Without `if __name__ == "__main__":`, which processes that are spawned would need.
PLAIN_SCRIPT = """
from pathlib import Path
from video_colbert.dataset_builders import MovingShapesConfig, write_moving_shapes

with Path("runs.txt").open("a") as file:
    file.write("run\\n")
config = MovingShapesConfig(num_train=70, num_frames=12, image_size=32)
write_moving_shapes("shapes", config, "train", num_proc=2)
"""


def test_written_files_are_those_of_the_builder(tmp_path: Path) -> None:
    config = MovingShapesConfig(**SMALL)
    dataset = built(tmp_path)
    for split in ("test", "twins"):
        folder = write_moving_shapes(tmp_path / "clips", config, split)
        lines = [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines()]
        for row, line in zip(dataset[split], lines, strict=True):
            assert line["video"] == row["video"]["path"]
            assert line["caption"] == row["captions"][0]
            assert line["twin"] == (row["twin_id"] and row["twin_id"] + ".mp4")
            assert (folder / line["video"]).read_bytes() == row["video"]["bytes"]


def test_parallel_writing_gives_the_same_folder_and_a_second_call_changes_nothing(tmp_path: Path) -> None:
    config = MovingShapesConfig(**SMALL)
    one = write_moving_shapes(tmp_path / "one", config, "train", num_proc=1)
    two = write_moving_shapes(tmp_path / "two", config, "train", num_proc=2)
    contents = {path.name: path.read_bytes() for path in one.iterdir()}
    assert {path.name: path.read_bytes() for path in two.iterdir()} == contents
    assert len(contents) == 72
    (two / "train_000007.mp4").unlink()
    kept = {path: path.stat().st_mtime_ns for path in two.glob("*.mp4")}
    write_moving_shapes(tmp_path / "two", config, "train", num_proc=1)
    assert {path.name: path.read_bytes() for path in two.iterdir()} == contents
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_folder_of_another_configuration_is_not_mixed(tmp_path: Path) -> None:
    write_moving_shapes(tmp_path, MovingShapesConfig(**SMALL), "test")
    with pytest.raises(ValueError, match="another value of fps, seed"):
        write_moving_shapes(tmp_path, MovingShapesConfig(**SMALL, seed=1, fps=5), "test")


def test_a_written_folder_is_a_video_folder(tmp_path: Path) -> None:
    folder = write_moving_shapes(tmp_path / "clips", MovingShapesConfig(**SMALL), "test")
    builder = VideoFolder(cache_dir=tmp_path / "cache", data_dir=str(folder), split="test")
    builder.download_and_prepare()
    rows = builder.as_dataset(split="test")
    assert rows["captions"] == built(tmp_path)["test"]["captions"]
    assert rows[0]["video"] == {"path": str(folder / "test_000000.mp4"), "bytes": None}


def test_a_plain_script_writes_with_several_processes_and_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PLAIN_SCRIPT)
    process = subprocess.run([warm_python(), script.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "runs.txt").read_text() == "run\n"
    config = MovingShapesConfig(num_train=70, num_frames=12, image_size=32)
    expected = write_moving_shapes(tmp_path / "expected", config, "train", num_proc=1)
    contents = {path.name: path.read_bytes() for path in expected.iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "shapes" / "train").iterdir()} == contents
