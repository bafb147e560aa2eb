"""The guides, each run from top to bottom; they share one folder, as they would on a reader's machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.blocks import REPOSITORY, blocks, commands, inline_commands
from tests.documents.workplace import Workplace, open_workplace
from video_colbert.cli import build_parser

GUIDES = sorted((REPOSITORY / "docs" / "guides").glob("*.md"))
PAGES = sorted((REPOSITORY / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def shared_workplace(
    tmp_path_factory: pytest.TempPathFactory, clip_backbone_folder: Path, checkpoint_folder: Path
) -> Iterator[Workplace]:
    with open_workplace(tmp_path_factory.mktemp("guides"), clip_backbone_folder, checkpoint_folder) as place:
        yield place


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_every_block_of_a_guide_runs(guide: Path, shared_workplace: Workplace) -> None:
    found = blocks(guide.read_text())
    assert {block.language for block in found} <= {"python", "bash", "text"}
    for block in found:
        if block.language == "python":
            shared_workplace.run_python(block.text)
        elif block.language == "bash":
            for words in commands(block):
                shared_workplace.run_command(words)


@pytest.mark.parametrize("page", [*GUIDES, *PAGES], ids=lambda page: page.stem)
def test_every_command_in_the_text_of_a_page_is_understood(page: Path) -> None:
    for arguments in inline_commands(page.read_text()):
        # A page may speak of a command without all that it needs, or of any data set by it.
        if len(arguments) > 1 and not {"NAME", "TASK"} & set(arguments):
            build_parser().parse_args(arguments)


def test_the_guides_are_there() -> None:
    assert [guide.stem for guide in GUIDES] == [
        "reproduce_the_paper",
        "search_my_videos",
        "serve_a_million",
        "train_on_my_data",
        "write_a_backbone",
    ]
