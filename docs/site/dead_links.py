"""Links of the built site that lead nowhere, each of which is a warning and so, with `--strict`, an error.

MkDocs checks what is written in Markdown. The reference, the notebook and the theme make HTML of their own, which is
looked at here: every file and every anchor of the site that a page names must be there. Other hosts are not asked.
"""

from __future__ import annotations

import logging
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

# Below `mkdocs`, whose warnings are counted.
logger = logging.getLogger("mkdocs.hooks.dead_links")


class _Links(HTMLParser):
    """The links and anchors of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.targets.add(value)
            elif name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value or "")


def on_post_build(config: MkDocsConfig) -> None:
    """Warns of each dead link; MkDocs calls it when the site is written."""
    for line in dead_links(Path(config.site_dir)):
        logger.warning(line)


def dead_links(site: Path) -> list[str]:
    """Finds the links between files of a site whose file or anchor is not there.

    Args:
        site: Folder of the built site.

    Returns:
        A line each, with the page and the link, in order.
    """
    pages: dict[Path, _Links] = {}
    for file in sorted(site.rglob("*.html")):
        pages[file] = _Links()
        pages[file].feed(file.read_text(encoding="utf-8"))
    dead = []
    for file, links in pages.items():
        # The page for what is not found is served at any address, so its links are not relative.
        if file.name == "404.html":
            continue
        for link in sorted(links.targets):
            address = urlsplit(urljoin(file.as_uri(), link))
            if address.scheme != "file":
                continue
            target, anchor = Path(unquote(address.path)), unquote(address.fragment)
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                dead.append(f"{file.relative_to(site)}: no file for the link {link!r}")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                dead.append(f"{file.relative_to(site)}: no anchor for the link {link!r}")
    return dead
