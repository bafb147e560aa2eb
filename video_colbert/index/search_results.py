"""The hits of a query as a list that programs, terminals and notebooks can show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from video_colbert.index.display import format_seconds, short_name
from video_colbert.index.hits import SearchHit


class SearchHits(list[SearchHit]):
    """The hits of one query, best first.

    Args:
        query: the text that was searched for.
        model: Hub id or folder of the model.
        hits: best first.

    Attributes:
        query: as given.
        model: as given.
    """

    def __init__(self, query: str, model: str, hits: Iterable[SearchHit] = ()) -> None:
        super().__init__(hits)
        self.query = query
        self.model = model

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or f"no hits for {self.query!r}"

    def as_dict(self) -> dict[str, Any]:
        """Query, model and hits, ready for JSON."""
        return {"query": self.query, "model": self.model, "hits": [hit.as_dict() for hit in self]}

    def as_table(self) -> str:
        """A table of rank, scores, window, file and matched moments, for a terminal."""
        if not self:
            return "No hits."
        levels = list(self[0].level_scores)
        head = "".join(f"  {name:>7}" for name in ("score", *levels))
        lines = [f"{'rank':>4}{head}  {'seconds':>15}  file"]
        for hit in self:
            scores = "".join(
                f"  {score:>7.4f}" for score in (hit.score, *(hit.level_scores[level] for level in levels))
            )
            window = f"{hit.start:.1f} - {hit.end:.1f}"
            lines.append(f"{hit.rank:>4}{scores}  {window:>15}  {short_name(hit.video)}")
            moments = ", ".join(f"{moment.word} at {format_seconds(moment.time)}" for moment in hit.moments)
            lines.append(f"{'':>6}{moments}")
        return "\n".join(lines)
