"""The builders as stand-alone dataset scripts of `datasets` 3.6, the last version that runs scripts.

Another Python, in whose environment `datasets` 3.6 is installed and this package is not, is named by
VIDEO_COLBERT_DATASETS36_PYTHON; `make test-datasets36` makes one.
"""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.dataset_builders.small_benchmarks import WRITERS
from video_colbert.dataset_builders.benchmarks import load_benchmark
from video_colbert.dataset_builders.shapes.moving_shapes import MovingShapes
from video_colbert.dataset_builders.video_folder import VideoFolder

OTHER_PYTHON = os.environ.get("VIDEO_COLBERT_DATASETS36_PYTHON")
BUILDERS = Path(__file__).parents[2] / "dataset_builders"

pytestmark = pytest.mark.skipif(
    OTHER_PYTHON is None, reason="VIDEO_COLBERT_DATASETS36_PYTHON does not name a Python with datasets 3.6"
)

LOADER = """
import hashlib, json, sys
import datasets
assert datasets.__version__.startswith("3.6."), datasets.__version__
try:
    import video_colbert.dataset_builders
except ImportError:
    pass
else:
    raise SystemExit("the package must not be importable here")

def plain(value):
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value

script, name, arguments = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
dataset = datasets.load_dataset(script, name, trust_remote_code=True, **arguments)
print(json.dumps({split: rows.to_list() for split, rows in dataset.items()}, default=plain))
"""


def load_script(script: str, tmp_path: Path, name: str | None = None, **arguments: object) -> dict[str, Any]:
    # The scripts are copied, as users have them: no package around, and nothing of this checkout on the path.
    folder = tmp_path / "scripts"
    shutil.copytree(BUILDERS, folder, ignore=shutil.ignore_patterns("__init__.py", "__pycache__"))
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))},
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "1",
    }
    result = subprocess.run(
        [str(OTHER_PYTHON), "-c", LOADER, str(folder / script), json.dumps(name), json.dumps(arguments)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    rows: dict[str, Any] = json.loads(result.stdout)
    return rows


def as_json(dataset: Any) -> dict[str, Any]:
    def plain(value: bytes) -> str:
        return hashlib.sha256(value).hexdigest()

    return dict(json.loads(json.dumps({split: rows.to_list() for split, rows in dataset.items()}, default=plain)))


@pytest.mark.parametrize("name", WRITERS)
def test_a_benchmark_script_gives_the_rows_of_load_benchmark(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / "data")
    expected = as_json(load_benchmark(name, data_dir=tmp_path / "data", cache_dir=tmp_path / "cache"))
    assert load_script(f"{name}.py", tmp_path, data_dir=str(tmp_path / "data")) == expected


@pytest.mark.parametrize(("name", "protocol"), [("msrvtt", "full"), ("didemo", "moments")])
def test_a_script_takes_the_protocol_as_its_configuration(tmp_path: Path, name: str, protocol: str) -> None:
    WRITERS[name](tmp_path / "data")
    dataset = load_benchmark(name, protocol=protocol, data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
    assert load_script(f"{name}.py", tmp_path, protocol, data_dir=str(tmp_path / "data")) == as_json(dataset)


def test_a_script_allows_missing_videos_when_asked(tmp_path: Path) -> None:
    WRITERS["msvd"](tmp_path / "data")
    (tmp_path / "data/YouTubeClips/d_7_8.avi").unlink()
    arguments = {"data_dir": str(tmp_path / "data"), "allow_missing": True}
    rows = load_script("msvd.py", tmp_path, **arguments)["test"]
    assert [row["video"] is None for row in rows] == [True, False]


def test_the_video_folder_script_gives_the_rows_of_the_builder(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"")
    (folder / "b.webm").write_bytes(b"")
    (folder / "captions.csv").write_text("video,caption,start,end\nb.webm,x,1,2.5\nb.webm,y,1,2.5\n")
    builder = VideoFolder(data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    builder.download_and_prepare()
    assert load_script("video_folder.py", tmp_path, data_dir=str(folder)) == as_json(builder.as_dataset())


def test_the_moving_shapes_script_makes_the_same_files(tmp_path: Path) -> None:
    numbers = {"num_train": 4, "num_validation": 2, "num_test": 2, "num_twin_pairs": 1, "seed": 3}
    builder = MovingShapes(cache_dir=str(tmp_path / "cache"), **numbers)
    builder.download_and_prepare()
    assert load_script("shapes/moving_shapes.py", tmp_path, **numbers) == as_json(builder.as_dataset())
