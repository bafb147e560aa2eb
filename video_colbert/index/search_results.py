"""The result of a search as data for programs and as a table for people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from video_colbert.index.search.searcher import SearchHit

# What programs read, which stays as it is when hits come to tell more.
_FIELDS_OF_A_HIT = ("video", "start", "end", "score", "frame_score", "video_score", "moments")


@dataclass(frozen=True)
class SearchResult:
    """One query with its hits.

    Attributes:
        query: the text that was searched for.
        model: Hub id or folder of the model.
        hits: best first.
    """

    query: str
    model: str
    hits: Sequence[SearchHit]

    def as_dict(self) -> dict[str, Any]:
        """Query, model and hits, each hit with its rank, ready for JSON."""
        hits = [
            {"rank": rank, **{name: value for name, value in asdict(hit).items() if name in _FIELDS_OF_A_HIT}}
            for rank, hit in enumerate(self.hits, start=1)
        ]
        return {"query": self.query, "model": self.model, "hits": hits}


def format_table(result: SearchResult) -> str:
    """A table of rank, file, scores and matched moments, for a terminal."""
    if not result.hits:
        return "No hits."
    lines = [f"{'rank':>4}  {'score':>7}  {'frame':>7}  {'video':>7}  {'seconds':>15}  file"]
    for rank, hit in enumerate(result.hits, start=1):
        video_score = "-" if hit.video_score is None else f"{hit.video_score:.4f}"
        window = f"{hit.start:.1f} - {hit.end:.1f}"
        lines.append(
            f"{rank:>4}  {hit.score:>7.4f}  {hit.frame_score:>7.4f}  {video_score:>7}  {window:>15}  "
            f"{_shortest_path(hit.video)}"
        )
        moments = ", ".join(f"{moment.word} at {format_seconds(moment.time)}" for moment in hit.moments)
        lines.append(f"{'':>6}{moments}")
    return "\n".join(lines)


def format_seconds(seconds: float) -> str:
    """Seconds as minutes and seconds with one decimal, such as 1:02.5."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}"


def _shortest_path(path: str) -> str:
    try:
        relative = os.path.relpath(path)
    except ValueError:  # on another drive
        return path
    return path if relative.startswith(os.pardir) else str(Path(relative))
