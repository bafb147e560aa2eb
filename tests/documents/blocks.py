"""The fenced blocks and links of a page that is written in Markdown."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: what stands after the fence.
        text: the lines between the fences, without the indentation of a list that they stand in.
    """

    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in their order."""
    found = re.findall(r"^( *)```(\w+)\n(.*?)^ *```$", page, re.M | re.S)
    return [Block(language, re.sub(rf"^{indent}", "", text, flags=re.M)) for indent, language, text in found]


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each command of a block, without comments."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words:
            yield words


def inline_commands(page: str) -> list[list[str]]:
    """The words of each command of ours that stands in the text itself, without its first."""
    found = [text.replace("\n", " ") for text in re.findall(r"`(video-colbert [^`]+)`", page)]
    return [shlex.split(command)[1:] for command in found]
