"""Passages that hold the words of a query: LanceDB's full-text index over their texts (BM25)."""

from __future__ import annotations

from collections.abc import Collection

from video_colbert.index.lance.passages.passage_rows import CONTENT, NUMBER, SOURCE, TEXT, stored_passage
from video_colbert.index.lance.table_version import TableVersion
from video_colbert.index.passages.keyword_words import split_quotes
from video_colbert.index.passages.passage_store import FoundPassage
from video_colbert.text.passages import Source

# Passages asked for at first for each content that is wanted.
_PASSAGES_A_CONTENT = 4
_COLUMNS = [CONTENT, SOURCE, NUMBER, TEXT, "start", "end"]


def find_keywords(
    table: TableVersion,
    text: str,
    count: int,
    sources: Collection[Source] | None,
    contents: Collection[str] | None,
) -> list[FoundPassage]:
    """Finds the best contents of a version, as `PassageStore.search_keywords` says.

    Args:
        table: the version.
        text: the query.
        count: contents, at most.
        sources: whose passages are asked; None for all.
        contents: among which they are chosen; None for all.
    """
    if TEXT not in table.schema.names:
        return []
    words, phrases = split_quotes(text)
    if not phrases and not words:
        return []
    asked = count * _PASSAGES_A_CONTENT
    among = None if contents is None else set(contents)
    kinds = None if sources is None else set(sources)
    while True:
        rows = table.find_words(TEXT, words, phrases, asked, _COLUMNS).to_pylist()
        best: dict[str, FoundPassage] = {}
        for row in rows:
            is_asked = (among is None or row[CONTENT] in among) and (kinds is None or row[SOURCE] in kinds)
            if is_asked and row[CONTENT] not in best:
                best[row[CONTENT]] = FoundPassage(stored_passage(row), row["_score"])
        if len(rows) < asked or len(best) >= count:
            return list(best.values())[:count]
        asked *= 4
