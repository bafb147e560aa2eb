import subprocess
from pathlib import Path

import pytest

from tests.video_files import write_clip
from tests.warm_python import warm_python

# Makes the packages of the `train` extra look as they do where it is not installed.
HIDE_EXTRA = """
import sys
sys.modules.update(dict.fromkeys(("accelerate", "datasets", "evaluate", "pyarrow")))
"""
COMMAND_LINE = """
from video_colbert.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run_without_extra(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([warm_python(), "-c", HIDE_EXTRA + code, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize(
    "command",
    [
        ("prepare", "msrvtt"),
        ("publish-dataset", "msrvtt", "me/msrvtt"),
        ("evaluate", "--model", "none", "--dataset", "msrvtt"),
    ],
)
def test_without_the_extra_a_command_says_what_to_install(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run_without_extra(COMMAND_LINE, *command, "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "video-colbert: this command needs the package datasets, which is not installed: "
        "pip install 'video-colbert[train]'\n"
    )


def test_a_folder_is_checked_without_the_extra(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 0)
    done = run_without_extra(COMMAND_LINE, "prepare", "video_folder", "--data-dir", str(tmp_path), "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "video_manifest.jsonl").is_file()


def test_checkpoints_are_published_and_verified_without_the_extra() -> None:
    done = run_without_extra("from video_colbert.hub import publish_checkpoint, verify_checkpoint")
    assert done.returncode == 0, done.stderr
