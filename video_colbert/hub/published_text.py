"""Text of a checkpoint's own files as it may be published: read as text alone, and without this machine's folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined] # public, but not declared so

# What begins emphasis, code, a link, an image, HTML, an entity or a table cell; and what GitHub's Markdown makes links
# of without any mark (https://github.github.com/gfm/#autolinks-extension-).
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE)


def escaped(text: object) -> str:
    """Text that Markdown shows as it is, on one line.

    Args:
        text: anything that a file may hold.
    """
    return _MARKDOWN.sub(lambda found: "\\" + found[0], _one_line(text))


def as_code(text: object) -> str:
    """Text as a code span, in which nothing has a meaning to Markdown; for a table cell its bars are still to escape.

    Args:
        text: anything that a file may hold.
    """
    line = _one_line(text)
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{line}{space}{fence}"


def hub_id(name: object) -> str | None:
    """The name of a model if it is one of the Hub's; None for a folder of this machine, or for no name at all.

    Args:
        name: what a config or a training run calls a model.
    """
    if not isinstance(name, str) or name.count("/") != 1 or Path(name).exists():
        return None
    try:
        validate_repo_id(name)
    except HFValidationError:
        return None
    return name


def without_local_folders(value: Any) -> Any:
    """JSON in which a path of this machine is its last part.

    Args:
        value: of types that JSON has.
    """
    if isinstance(value, Mapping):
        return {str(name): without_local_folders(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_local_folders(each) for each in value]
    if not isinstance(value, str):
        return value
    path = value.removeprefix("file://")
    if PureWindowsPath(path).drive or PureWindowsPath(path).is_absolute():
        return PureWindowsPath(path).name
    return PurePosixPath(path).name if path.startswith(("/", "~/", "./", "../")) else value


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown.

    Args:
        header: of its columns.
        rows: of cells, which are Markdown; their bars are escaped here.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _one_line(text: object) -> str:
    """Text with single spaces, and a mark for each character that has no shape of its own."""
    line = " ".join(str(text).split())
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
