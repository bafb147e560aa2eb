"""MultiVENT 2.0: event-centric videos in several languages, with graded judgements of queries."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import datasets

from .annotation_files import AnnotationError, read_jsonl, read_text
from .benchmark_builder import AnnotatedVideo, AnnotationLayout, BenchmarkBuilder, protocol_configs
from .delimited_tables import read_csv
from .protocols import PROTOCOLS
from .video_files import find_videos, video_stem

# The organisers' table of queries has them with a capital letter.
_QUERY_COLUMNS = ("query_id", "query")
_JUDGEMENT_COLUMNS = ("query_id", "doc_id", "relevance")
_WHOLE_NUMBER = re.compile(r"-?\d+")


def read_queries(file: str | Path) -> dict[str, str]:
    """Reads queries: a table with the columns `query_id` and `query`, or an object with these keys a line.

    Args:
        file: Ends in .csv or .jsonl. Capital letters in names of columns mean nothing; further columns are left alone.

    Returns:
        The texts by id, in the order of the file.

    Raises:
        AnnotationError: Another form, or an id that occurs twice.
    """
    rows = read_jsonl(file, ()) if Path(file).suffix == ".jsonl" else read_csv(file, ())
    queries: dict[str, str] = {}
    for line, row in rows:
        found = {name.lower(): value for name, value in row.items()}
        query_id, query = (found.get(column) for column in _QUERY_COLUMNS)
        if not isinstance(query_id, str) or not isinstance(query, str) or not query_id or not query.strip():
            raise AnnotationError(file, "expected a query_id and a query", line)
        if query_id in queries:
            raise AnnotationError(file, f"query_id {query_id!r} is already given", line)
        queries[query_id] = query.strip()
    return queries


def read_judgements(file: str | Path) -> dict[str, dict[str, int]]:
    """Reads judgements: an object with `query_id`, `doc_id` and `relevance` a line, or TREC's lines of four words.

    Args:
        file: Ends in .jsonl, or holds lines "query_id 0 doc_id relevance", as `trec_eval` reads them.

    Returns:
        By query, the relevance of each judged video; 0 and below is not relevant.

    Raises:
        AnnotationError: Another form, or a video that is judged twice for a query.
    """
    judgements: dict[str, dict[str, int]] = {}
    for line, query_id, video_id, relevance in _judged(Path(file)):
        of_query = judgements.setdefault(query_id, {})
        if video_id in of_query:
            raise AnnotationError(file, f"{video_id!r} is already judged for query {query_id!r}", line)
        of_query[video_id] = relevance
    return judgements


def read_judged_videos(files: Sequence[Path]) -> list[AnnotatedVideo]:
    """Reads a split: its queries and its judgements.

    Args:
        files: The two files.

    Returns:
        The judged videos in the order of their first judgement, each with the queries for which it is relevant.

    Raises:
        AnnotationError: As `read_queries` and `read_judgements`, or a judgement of a query that is not there.
    """
    queries_file, judgements_file = files
    queries, judgements = read_queries(queries_file), read_judgements(judgements_file)
    relevant: dict[str, list[tuple[str, int]]] = {}
    for query_id, of_query in judgements.items():
        if query_id not in queries:
            raise AnnotationError(judgements_file, f"query {query_id!r} is judged but not in {queries_file}")
        for video_id, relevance in of_query.items():
            found = relevant.setdefault(video_id, [])
            if relevance > 0:
                found.append((query_id, relevance))
    return [
        AnnotatedVideo(video_id, [queries[query_id] for query_id, _ in found], extra=_extra(found))
        for video_id, found in relevant.items()
    ]


class MultiVENT2(BenchmarkBuilder):
    """MultiVENT 2.0; its one configuration is "official".

    The gallery of a split is every judged video, and every further video file below a folder of the split's name, as
    the organisers' archives have them: `test/...`. A row's captions are the queries for which the video is relevant,
    often none; `query_ids` and `relevance` say, for each of them, its id and grade. A query with several relevant
    videos stands with each of them, so metrics over queries group rows by `query_ids`.
    """

    BENCHMARK = "multivent2"
    BUILDER_CONFIGS = protocol_configs(PROTOCOLS["multivent2"])
    DEFAULT_CONFIG_NAME = "official"
    EXTRA_FEATURES: ClassVar[Mapping[str, Any]] = {
        "query_ids": [datasets.Value("string")],
        "relevance": [datasets.Value("int32")],
    }

    def annotation_layouts(self, protocol: str, split: str) -> Sequence[AnnotationLayout]:
        """The organisers' queries and judgements, either as JSON lines, and judgements as TREC's qrels."""
        start = f"multivent_2_{split}"
        return [
            AnnotationLayout((f"{start}_queries.{queries}", f"{start}_{judgements}"), read_judged_videos)
            for judgements in ("judgments.jsonl", "judgments.qrels", "qrels.txt")
            for queries in ("csv", "jsonl")
        ]

    def read_split(self, split: str) -> list[AnnotatedVideo]:
        """Reads the judged videos of a split, and what further videos lie in its folder."""
        judged = super().read_split(split)
        root = self.config.video_root
        known = {video.video_id for video in judged}
        further = {video_stem(path.name) for path in find_videos(root) if split in path.relative_to(root).parent.parts}
        return judged + [AnnotatedVideo(name, [], extra=_extra([])) for name in sorted(further - known)]


def _judged(file: Path) -> list[tuple[int, str, str, int]]:
    """Line, query, video and relevance of each judgement."""
    if file.suffix == ".jsonl":
        found = []
        for line, row in read_jsonl(file, _JUDGEMENT_COLUMNS):
            query_id, video_id, relevance = (row[column] for column in _JUDGEMENT_COLUMNS)
            is_whole = isinstance(relevance, int) and not isinstance(relevance, bool)
            if not isinstance(query_id, str) or not isinstance(video_id, str) or not is_whole:
                raise AnnotationError(file, "expected texts in query_id and doc_id and a whole relevance", line)
            found.append((line, query_id, video_id, relevance))
        return found
    found = []
    for line, text in enumerate(read_text(file).splitlines(), start=1):
        words = text.split()
        if not words:
            continue
        if len(words) != 4 or not _WHOLE_NUMBER.fullmatch(words[3]):
            raise AnnotationError(file, "expected four words: query_id, 0, doc_id and a whole relevance", line)
        found.append((line, words[0], words[2], int(words[3])))
    return found


def _extra(relevant: Sequence[tuple[str, int]]) -> dict[str, Any]:
    return {"query_ids": [query_id for query_id, _ in relevant], "relevance": [grade for _, grade in relevant]}
