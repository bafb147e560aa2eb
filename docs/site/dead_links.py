"""Links of the built site that lead nowhere, each of which is a warning and so, with `--strict`, an error.

MkDocs checks what is written in Markdown. The reference, the notebook and the theme make HTML of their own, which is
looked at here: every file and every anchor of the site that a page names must be there. Other hosts are not asked, and
no page may ask them either when it is opened: what it loads from one is an error too.
"""

from __future__ import annotations

import logging
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

# Below `mkdocs`, whose warnings are counted.
logger = logging.getLogger("mkdocs.hooks.dead_links")


# What a browser loads as it opens a page, beside what has a source: links of these kinds.
_LOADED = frozenset({"stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch", "manifest"})
_IMPORT = re.compile(r"""\b(?:import|from)\s*\(?\s*["'](https?://[^"']+)""")


class _Links(HTMLParser):
    """The links and anchors of one page, and what it loads from other hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.asked: set[str] = set()
        self._is_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.targets.add(value)
            elif name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value or "")
        self._is_script = tag == "script"
        of_tag = dict(attrs)
        loaded = of_tag.get("src")
        if tag == "link" and _LOADED & set((of_tag.get("rel") or "").split()):
            loaded = of_tag.get("href")
        if loaded and urlsplit(loaded).netloc:
            self.asked.add(loaded)

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.asked.update(_IMPORT.findall(data))


def on_post_build(config: MkDocsConfig) -> None:
    """Warns of each dead link; MkDocs calls it when the site is written."""
    for line in [*dead_links(Path(config.site_dir)), *asked_hosts(Path(config.site_dir))]:
        logger.warning(line)


def asked_hosts(site: Path) -> list[str]:
    """Finds what pages of a site load from other hosts: scripts, styles, pictures.

    Args:
        site: Folder of the built site.

    Returns:
        A line each, with the page and the address, in order.
    """
    lines = []
    for file in sorted(site.rglob("*.html")):
        page = _Links()
        page.feed(file.read_text(encoding="utf-8"))
        lines += [f"{file.relative_to(site)}: loads {address!r}" for address in sorted(page.asked)]
    return lines


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
