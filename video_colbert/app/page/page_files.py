"""The files that the page is made of, as they lie in the package."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib.resources import files

PAGE = "index.html"
"""Name of the page itself."""

# Said here, since what a machine's own table of types says of scripts differs, and a browser runs no other.
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml; charset=utf-8",
}


@dataclass(frozen=True)
class PageFile:
    """A file of the page.

    Attributes:
        content: its bytes.
        media_type: what a browser is told that it is.
        tag: changes with the content, so that a browser can ask whether its copy still holds.
    """

    content: bytes
    media_type: str
    tag: str


@functools.cache
def page_files() -> dict[str, PageFile]:
    """All files of the page, by name.

    Example:
        >>> page_files()["page.css"].media_type
        'text/css; charset=utf-8'
    """
    found = {}
    for file in files(__package__).joinpath("static").iterdir():
        kind = file.name.rpartition(".")[2]
        if kind in _TYPES:
            content = file.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[file.name] = PageFile(content, _TYPES[kind], tag)
    return found
