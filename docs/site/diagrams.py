"""Diagrams of pages as pictures, so that no page asks another host for a script that draws them.

GitHub draws the Mermaid source of a page where it is read there. On the site its picture takes its place, which lies
in `docs/diagrams/` under a digest of the source; a source whose picture is not there is a warning and so, with
`--strict`, an error. After a diagram was changed, with Mermaid's file (`npm pack mermaid`) and playwright:

    python docs/site/diagrams.py mermaid.min.js [CHROMIUM]
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

DOCS = Path(__file__).parents[1]
FOLDER = "diagrams"

# Below `mkdocs`, whose warnings are counted.
logger = logging.getLogger("mkdocs.hooks.diagrams")

_SOURCE = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Letters of the picture are letters, since what is HTML in a picture is not shown.
_PAGE = """<body style="margin: 0"><script>{script}</script><script>
const letters = {{htmlLabels: false, flowchart: {{htmlLabels: false}}, fontFamily: "sans-serif"}};
mermaid.initialize({{startOnLoad: false, ...letters}});
</script></body>"""


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts pictures in the place of diagrams' sources; MkDocs calls it with each page."""
    return with_pictures(markdown, page.file.src_uri)


def with_pictures(markdown: str, uri: str) -> str:
    """Puts pictures in the place of diagrams' sources.

    Args:
        markdown: Text of the page.
        uri: Where the page stands in the site, such as `architecture.md`.

    Returns:
        The text, with a link to a picture for each source.
    """

    def picture(found: re.Match[str]) -> str:
        name = picture_name(found[1])
        if not (DOCS / FOLDER / name).is_file():
            logger.warning("%s has a diagram without a picture: run docs/site/diagrams.py", uri)
        return f"![Diagram]({posixpath.relpath(f'{FOLDER}/{name}', posixpath.dirname(uri) or '.')})"

    return _SOURCE.sub(picture, markdown)


def picture_name(source: str) -> str:
    """The name of a diagram's picture, which another source does not have."""
    return f"{hashlib.sha256(source.encode()).hexdigest()[:12]}.svg"


def draw(script: Path) -> None:
    """Draws the diagrams of all pages, and deletes pictures of none.

    Args:
        script: Mermaid's `mermaid.min.js`.
    """
    from playwright.sync_api import sync_playwright

    sources = [source for page in DOCS.rglob("*.md") for source in _SOURCE.findall(page.read_text(encoding="utf-8"))]
    folder = DOCS / FOLDER
    folder.mkdir(exist_ok=True)
    for stale in {path.name for path in folder.glob("*.svg")} - {picture_name(source) for source in sources}:
        (folder / stale).unlink()
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=sys.argv[2] if len(sys.argv) > 2 else None)
        page = browser.new_page()
        page.set_content(_PAGE.format(script=script.read_text(encoding="utf-8").replace("</script", "<\\/script")))
        for number, source in enumerate(sources):
            drawn = page.evaluate("async ([id, text]) => (await mermaid.render(id, text)).svg", [f"d{number}", source])
            # Dark letters, also where the site is dark.
            white = drawn.replace('style="', 'style="background: white; ', 1)
            (folder / picture_name(source)).write_text(white, encoding="utf-8")
        browser.close()


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
