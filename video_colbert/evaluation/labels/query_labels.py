"""What a data set says of the captions of a split beside their text: graded judgements and answering sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from video_colbert.encoding.passage_columns import level_of_caption
from video_colbert.evaluation.encoded_split import Row

_PICTURES = "video"
_LEVELS_OF_PICTURES = ("frame", "video")


@dataclass(frozen=True)
class JudgedText:
    """A query with graded judgements.

    Attributes:
        caption: number of a caption of the split that is its text.
        relevance: by video, its number in the gallery, how relevant it is; above 0.
    """

    caption: int
    relevance: dict[int, float]


@dataclass(frozen=True)
class QueryLabels:
    """What a data set says of a split's captions.

    Attributes:
        judged: the queries with graded judgements; none of a data set without them.
        sources: [captions] the source that answers each, such as "speech", or "video" for pictures; None of a data set
            that does not say.
    """

    judged: Sequence[JudgedText] = ()
    sources: Sequence[str] | None = None


def query_labels(rows: Sequence[Row]) -> QueryLabels:
    """The labels of the captions of rows.

    Judgements are the columns `query_ids` and `relevance`, beside `captions`: a query stands with each of its relevant
    videos. Sources are `caption_levels` or `sources`, see `level_of_caption`; they count if every caption has one.

    Args:
        rows: those of the gallery, in its order.

    Example:
        >>> flood = {"captions": ["a flood"], "query_ids": ["q1"], "relevance": [2]}
        >>> query_labels([flood, flood | {"relevance": [1]}]).judged
        [JudgedText(caption=0, relevance={0: 2.0, 1: 1.0})]
    """
    judged: dict[str, JudgedText] = {}
    sources: list[str | None] = []
    for video, row in enumerate(rows):
        for caption in range(len(row["captions"])):
            if "query_ids" in row:
                query = judged.setdefault(row["query_ids"][caption], JudgedText(len(sources), {}))
                query.relevance[video] = float(row["relevance"][caption])
            level = level_of_caption(row, caption)
            sources.append(None if level is None else source_of_level(level))
    known = [source for source in sources if source is not None]
    return QueryLabels(list(judged.values()), known if known and len(known) == len(sources) else None)


def source_of_level(level: str) -> str:
    """The source that a level of a model's scores is of: "video" for both levels of pictures."""
    return _PICTURES if level in _LEVELS_OF_PICTURES else level
