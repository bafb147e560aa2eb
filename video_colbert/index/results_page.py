"""A page of search results that plays the clips and jumps to the matched moments."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from video_colbert.encoding.display import format_seconds, link_to
from video_colbert.encoding.hits import SearchHit
from video_colbert.encoding.search_hits import SearchHits
from video_colbert.whole_files import write_whole

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1f24; }
h2 { margin-top: 2.5rem; }
ol { list-style: none; padding: 0; display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); }
li { border: 1px solid #d0d7de; border-radius: 8px; padding: .75rem; }
video { width: 100%; background: #000; border-radius: 4px; }
.file { overflow-wrap: anywhere; font-weight: 600; margin: .5rem 0 0; }
.scores { color: #57606a; font-size: .875rem; margin: 0 0 .5rem; }
button { font: inherit; font-size: .875rem; margin: .125rem; padding: .125rem .5rem; cursor: pointer;
  border: 1px solid #d0d7de; border-radius: 1rem; background: #f6f8fa; color: inherit; }
@media (prefers-color-scheme: dark) {
  body { background: #0d1117; color: #e6edf3; }
  li, button { border-color: #30363d; }
  button { background: #21262d; }
  .scores { color: #8d96a0; }
}
"""
_SCRIPT = """
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-time]");
  if (!button) return;
  const video = button.closest("li").querySelector("video");
  video.pause();
  video.currentTime = Number(button.dataset.time);
});
"""


_ZERO_SHOT_NOTE = (
    "This model compares texts with single pictures, so a moment is that of a phrase. A checkpoint trained on clips "
    "finds the moment of each word, and tells what moves, and what comes first."
)


def write_search_page(
    path: Path, results: Sequence[SearchHits], *, title: str = "Search results", is_zero_shot: bool = False
) -> None:
    """Writes one HTML file that shows the hits of each query.

    Style and script are in the page; the videos stay where they are and are linked by relative path, so the page
    can be moved together with them. A click on a word shows the frame that it matched.

    Args:
        path: the file to write; its folder is made if need be.
        results: queries with their hits.
        title: heading of the page.
        is_zero_shot: whether the model is a CLIP, SigLIP or VideoPrism checkpoint that was never trained on clips; the
            page says what another one would add.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sections = "\n".join(_section(result, path.parent) for result in results)
    note = f'<p class="scores">{_ZERO_SHOT_NOTE}</p>\n' if is_zero_shot else ""
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n{note}{sections}\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )
    write_whole(path, page)


def _section(result: SearchHits, folder: Path) -> str:
    hits = "\n".join(_hit(hit, folder) for hit in result)
    return (
        f"<section>\n<h2>{html.escape(result.query)}</h2>\n"
        f'<p class="scores">{html.escape(result.model)}</p>\n'
        + (f"<ol>\n{hits}\n</ol>\n" if hits else "<p>No hits.</p>\n")
        + "</section>"
    )


def _hit(hit: SearchHit, folder: Path) -> str:
    levels = " · ".join(f"{html.escape(level)} {score:.4f}" for level, score in hit.level_scores.items())
    window = f"{format_seconds(hit.start)} to {format_seconds(hit.end)}"
    moments = "\n".join(
        f'<button type="button" data-time="{moment.time:.3f}" title="similarity {moment.similarity:.3f}">'
        f"{html.escape(f'{moment.word} {format_seconds(moment.time)}'.strip())}</button>"
        for moment in hit.telling_moments
    )
    # A score of several sources is none of a sum of levels.
    scores = f"{hit.score:.4f}" if hit.sources else f"{hit.score:.4f} = {levels}"
    passages = "".join(f"<p>{source.as_html()}</p>\n" for source in hit.sources if source.text is not None)
    if hit.is_text:
        name = f'<p class="file">{hit.rank}. {html.escape(hit.video)}</p>'
        return f'<li>\n{name}\n<p class="scores">{scores}</p>\n{passages}</li>'
    return (
        f'<li>\n<video controls muted preload="metadata" src="{html.escape(link_to(hit.video, folder))}"></video>\n'
        f'<p class="file">{hit.rank}. {html.escape(Path(hit.video).name)}</p>\n'
        f'<p class="scores">{scores} · {window}</p>\n{passages}{moments}\n</li>'
    )
