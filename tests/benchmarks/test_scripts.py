"""The scripts in `benchmarks/` as they are run: by their path, from anywhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(path for path in BENCHMARKS.rglob("*.py") if "__main__" in path.read_text())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_finds_the_files_beside_it(script: Path) -> None:
    own = {path.stem: path.parent for path in BENCHMARKS.rglob("*.py")}
    reached, todo = set(), [script]
    # Where Python looks: the script's own folder, and those that it adds.
    folders = {script.parent}
    while todo:
        source = todo.pop().read_text()
        folders |= {script.parent / name for name in re.findall(r"sys\.path\.append\(.*parent / \"(\w+)\"", source)}
        for name in _imported(source) & own.keys() - reached:
            reached.add(name)
            todo.append(own[name] / f"{name}.py")
    assert [name for name in sorted(reached) if own[name] not in folders] == []


def _imported(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    names = {node.module.split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return names | {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
