"""The README, run from top to bottom, and the examples of each command's help likewise.

What stands for what they name is in `workplace.py`.
"""

import re
import shlex

import pytest

from tests.documents.blocks import REPOSITORY, blocks, commands, inline_commands
from tests.documents.workplace import Workplace
from video_colbert.cli import COMMANDS, build_parser, main

README = (REPOSITORY / "README.md").read_text()
BLOCKS = blocks(README)


def needs_ray(words: list[str]) -> bool:
    return "--ray" in words


def test_every_block_runs(workplace: Workplace) -> None:
    for block in BLOCKS:
        if block.language == "python":
            workplace.run_python(block.text)
        elif block.language == "bash":
            for words in commands(block):
                if not needs_ray(words):
                    workplace.run_command(words)


def test_the_examples_of_every_help_run(workplace: Workplace) -> None:
    for command in COMMANDS:
        for example in command.EXAMPLES:
            # Of a line that a shell runs, the command in it.
            [found] = re.findall(r"video-colbert [^|)]+", example)
            workplace.run_command(shlex.split(found))


def test_every_help_shows_its_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit, match="0"):
            main([command.NAME, "--help"])
        shown = " ".join(capsys.readouterr().out.split())
        # Nothing in it is a placeholder that was not filled, or a sign that was written twice for one.
        assert "%%" not in shown
        assert "%(" not in shown
        assert command.EXAMPLES
        assert all(example in shown for example in command.EXAMPLES)


def test_every_command_in_the_text_is_understood() -> None:
    for arguments in inline_commands(README):
        build_parser().parse_args(arguments)


def test_blocks_are_of_languages_that_are_run_or_shown() -> None:
    assert {block.language for block in BLOCKS} <= {"python", "bash", "text"}
    assert sum(block.language == "python" for block in BLOCKS) >= 2


@pytest.mark.parametrize("name", re.findall(r"\]\(((?:docs|recipes)/[^)#]+)", README))
def test_links_lead_to_files(name: str) -> None:
    assert (REPOSITORY / name).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(\w+\.py)` \|$", README, re.M))))
def test_every_quoted_figure_has_its_script(name: str) -> None:
    assert (REPOSITORY / "benchmarks" / name).exists()
