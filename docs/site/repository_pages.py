"""The README and the changelog as pages of the site, and links as they are right on GitHub made right for the site.

Files are written to be read on GitHub, where a link is relative to its file in the repository. MkDocs knows the files
below `docs/` alone; what stands beside them is given to it here under a name of its own.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parents[2]
# By file of the repository, the page that shows it.
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(?<=\]\()([^)#:\s]+)(?=[)#])")
_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
_LINK_OF_NOTEBOOK = re.compile(r'(href="[^":]+)\.md(?=[#"])')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that lie outside of `docs/`; MkDocs calls it once it has found the others."""
    from mkdocs.structure.files import File

    for name, uri in PAGES.items():
        files.append(File.generated(config, uri, content=(REPOSITORY / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes the links of a page those of the site; MkDocs calls it with each page."""
    return site_links(markdown, page.file.src_uri)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes links of a notebook to pages those of the site; MkDocs calls it with what a page became.

    A notebook becomes HTML without passing through Markdown as MkDocs reads it, with scripts of other hosts that draw
    formulas and diagrams, of which ours have none.
    """
    if not page.file.src_uri.endswith(".ipynb"):
        return html
    return without_other_hosts(_LINK_OF_NOTEBOOK.sub(r"\1.html", html))


def without_other_hosts(html: str) -> str:
    """Leaves out the scripts of a page that come, or load something, from another host."""
    return _SCRIPT.sub(lambda found: "" if "://" in found[0] else found[0], html)


def site_links(markdown: str, uri: str) -> str:
    """Rewrites relative links between files of the repository to links between pages of the site.

    What leads to no file that the site has is left as it is, so that MkDocs names it as a dead link.

    Args:
        markdown: Text of the page.
        uri: Where the page stands in the site, such as `guides/search_my_videos.md`.

    Returns:
        The text with the links of the site.
    """
    shown = {page: name for name, page in PAGES.items()}
    folder = posixpath.dirname(shown.get(uri, f"docs/{uri}"))

    def site_link(link: re.Match[str]) -> str:
        file = posixpath.normpath(posixpath.join(folder, link[0]))
        if file not in PAGES and not (file.startswith("docs/") and (REPOSITORY / file).is_file()):
            return link[0]
        return posixpath.relpath(PAGES.get(file, file.removeprefix("docs/")), posixpath.dirname(uri) or ".")

    return _LINK.sub(site_link, markdown)
