"""The package as users install it: a wheel, an editable install, and folders that hold files of the same names."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.video_files import write_clip

REPOSITORY = Path(__file__).parents[1]
SHADOWS = ("processing.py", "dataset_builders.py", "modeling_video_colbert.py", "encoding.py", "index.py", "train.py")

USE = """
import processing, dataset_builders, modeling_video_colbert  # the user's own
assert processing.OWN and dataset_builders.OWN and modeling_video_colbert.OWN
import torch
from video_colbert import VideoColBERTProcessor
from video_colbert.dataset_builders import PROTOCOLS
from video_colbert.modeling_video_colbert import mean_max_sim
from video_colbert.processing import decode_video
query, video = torch.eye(2)[None], torch.tensor([[[1.0, 0.0], [0.6, 0.8]]])
assert abs(mean_max_sim(query, video).item() - 0.9) < 1e-6
assert len(decode_video("clip.mp4", 3).frames) == 3 and PROTOCOLS and VideoColBERTProcessor
print("used")
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is built from: the repository's own files, so that building leaves nothing beside them."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder)
    for name in ("video_colbert", "processing", "modeling_video_colbert", "dataset_builders"):
        shutil.copytree(
            REPOSITORY / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(Path(sys.executable), "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module", params=["wheel", "editable"])
def python(request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with our package installed in one of two ways, over the packages that run these tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # Found through a .pth file, whose folders' own .pth files are not read: an installed package of ours is not.
    shared = [path for path in sys.path if "site-packages" in path]
    (own / "shared.pth").write_text("\n".join(shared))
    target = [str(request.getfixturevalue("wheel"))] if request.param == "wheel" else ["--editable", str(source)]
    pip(python, "install", "--no-deps", "--no-build-isolation", *target)
    return python


def pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def user_folder(folder: Path) -> Path:
    """A folder with files of a user's that have our folders' names, and a clip."""
    for name in SHADOWS:
        (folder / name).write_text("from pathlib import Path\nOWN = True\nPath(__file__ + '.ran').touch()\n")
    write_clip(folder / "clip.mp4", 0)
    return folder


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_the_wheel_holds_one_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"video_colbert"}
    for folder in ("processing", "modeling_video_colbert", "dataset_builders"):
        files = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / folder).rglob("*.py")}
        inside = {name.removeprefix("video_colbert/") for name in names if name.startswith(f"video_colbert/{folder}/")}
        assert inside == files
    of_page = REPOSITORY / "video_colbert" / "app" / "page" / "static"
    files = {f"video_colbert/app/page/static/{path.name}" for path in of_page.iterdir()}
    assert len(files) > 10
    assert {name for name in names if name.startswith("video_colbert/app/page/static/")} == files


def test_a_script_beside_files_of_our_folders_names_uses_the_library(python: Path, tmp_path: Path) -> None:
    script = user_folder(tmp_path) / "script.py"
    script.write_text(USE)
    done = subprocess.run(
        [str(python), str(script)], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "used"), done.stderr


def test_the_command_runs_no_file_of_the_folder_it_stands_in(
    python: Path, tmp_path: Path, checkpoint_folder: Path
) -> None:
    user_folder(tmp_path)
    command = [str(python.parent / "video-colbert"), "index", ".", "--model", str(checkpoint_folder), "--index", "i"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob("*.ran"))


def test_a_checkout_on_the_import_path_that_is_not_installed_is_imported() -> None:
    code = (
        "from importlib import metadata\n"
        "def version(name): raise metadata.PackageNotFoundError(name)\n"
        "metadata.version = version\n"
        "import video_colbert\n"
        "print(video_colbert.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "0+unknown\n")
