"""The structure of the package: its layers, the size of its files and folders, and what each may take of another."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.files_that_take_longest import FILES_THAT_TAKE_LONGEST
from tests.warm_python import warm_python

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "video_colbert"
MOST_LINES = 350
MOST_FILES = 20


def folders() -> Iterator[tuple[Path, list[Path]]]:
    """Each folder of the package with its modules; the three linked folders are among them."""
    for folder, _, names in os.walk(PACKAGE, followlinks=True):
        modules = [Path(folder, name) for name in names if name.endswith(".py")]
        if modules:
            yield Path(folder), modules


def modules() -> list[Path]:
    return sorted(module for _, of_folder in folders() for module in of_folder)


def check_layers(repository: Path) -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-logo", "--no-cache"], cwd=repository, capture_output=True, text=True
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "video_colbert", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_import_keeps_to_the_layers() -> None:
    checked = check_layers(REPOSITORY)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("module", "forbidden", "contract"),
    [
        ("index/lance/rows.py", "index.qdrant.points", "the two kinds of index never import each other"),
        (
            "encoding/media_files.py",
            "index.hits",
            "a folder imports only what is below it; the lowest three know nothing of each other",
        ),
        (
            "processing/query_tokens.py",
            "modeling_video_colbert",
            "a folder imports only what is below it; the lowest three know nothing of each other",
        ),
        (
            "index/search/token_bags.py",
            "index.search.searcher",
            "no circles among the folders and files of a folder",
        ),
    ],
)
def test_a_forbidden_import_breaks_its_contract(copy: Path, module: str, forbidden: str, contract: str) -> None:
    file = copy / "video_colbert" / module
    # Inside a function too: a hidden import is an import.
    file.write_text(f"{file.read_text()}\n\ndef _hidden() -> None:\n    import video_colbert.{forbidden}\n")
    checked = check_layers(copy)
    assert checked.returncode == 1
    assert f"{contract} BROKEN" in " ".join(checked.stdout.split())


def test_no_file_is_long_and_no_folder_is_crowded() -> None:
    long = {str(module): lines for module in modules() if (lines := len(module.read_text().splitlines())) > MOST_LINES}
    assert not long
    crowded = {str(folder): len(of_folder) for folder, of_folder in folders() if len(of_folder) > MOST_FILES}
    assert not crowded


def test_no_module_takes_a_private_name_of_another() -> None:
    taken = []
    for module in modules():
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("video_colbert")):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                taken += [f"{module}: {name}" for name in names if name.startswith("_") and not name.startswith("__")]
    assert not taken


def test_files_that_travel_together_have_names_of_their_own() -> None:
    names = [
        file.name
        for folder in ("processing", "modeling_video_colbert")
        for file in (PACKAGE / folder).glob("*.py")
        if file.name != "__init__.py"
    ]
    assert len(names) == len(set(names))


def test_the_training_script_leaves_no_package_of_ours_at_the_top_of_the_import_path() -> None:
    code = (
        "import contextlib, runpy, sys\n"
        "sys.argv = ['train.py', '--help']\n"
        "with contextlib.suppress(SystemExit): runpy.run_path('train.py', run_name='__main__')\n"
        "top = {'processing', 'dataset_builders', 'modeling_video_colbert'} & set(sys.modules)\n"
        "assert 'video_colbert' in sys.modules and not top, top"
    )
    done = subprocess.run([warm_python(), "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--recipe" in done.stdout


def test_files_of_tests_that_are_to_begin_first_are_there() -> None:
    assert [name for name in FILES_THAT_TAKE_LONGEST if not (REPOSITORY / name).is_file()] == []
