"""Indexes that are large enough for mapped tokens where the limit is 10, and what a search of their table finds."""

from __future__ import annotations

from multiprocessing.queues import Queue
from pathlib import Path

import pytest

from tests.index.index_processes import ReaderReport, read_for
from tests.index.made_videos import MODEL, make_video
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
from video_colbert.encoding.hits import SearchHit
from video_colbert.index import IndexedVideo, LanceIndex
from video_colbert.index.filters import parse_filter
from video_colbert.index.lance import latest_snapshot
from video_colbert.index.lance.schema import calibration_metadata
from video_colbert.index.lance.snapshot import IndexSnapshot
from video_colbert.index.lance.snapshot_search import find_hits
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.lance.token_codecs import token_codec
from video_colbert.index.metadata_columns import POOLED
from video_colbert.index.search.calibration import Calibration
from video_colbert.index.search.number_formats import number_format
from video_colbert.index.search.searcher import Searcher


def videos(first: int, stop: int) -> list[tuple[IndexedVideo, EncodedVideo]]:
    """Videos of different lengths."""
    return [
        make_video(f"{number}.mp4", frames=1 + number % 4, metadata={"number": number})
        for number in range(first, stop)
    ]


def make_index(folder: Path, codec: str = "float16") -> LanceIndex:
    """60 videos in three commits; every one is a candidate."""
    index = LanceIndex.create(folder, model=MODEL, num_frames=4, codec=codec)
    for first in (0, 20, 40):
        index.add(videos(first, first + 20))
    make_all_candidates(index)
    return index


def make_all_candidates(index: LanceIndex) -> None:
    """Stores a calibration by which all videos are candidates, so that hits are exact."""
    calibration = Calibration("pooled", 0.99, 1.0, 10, 10_000, 64, real_queries=False, num_videos=10_000)
    index._table.set_field_metadata(POOLED, calibration_metadata(calibration))


def read_mapped_for(folder: Path, seconds: float, reports: Queue[ReaderReport]) -> None:
    """As `read_for`, by int8 copies and tokens from mapped files."""
    set_fastest_format(pytest.MonkeyPatch(), "int8")
    latest_snapshot.EXACT_LIMIT = 3
    read_for(folder, seconds, reports)


def hits_from_table(
    folder: Path, queries: EncodedQueries, *, top_k: int = 20, where: str | None = None
) -> list[list[SearchHit]]:
    """The exact best of all videos, by tokens that are read from the table."""
    index = LanceIndex.open(folder)
    table = LanceTable.open(str(folder))
    snapshot = IndexSnapshot(table.at_version(table.latest_version()), token_codec(index.codec))
    rows = None if where is None else snapshot.rows_where(parse_filter(where))
    return find_hits(snapshot, Searcher(snapshot, exact_limit=10**6), queries, top_k, rows=rows, group_windows=True)


def mapped_files(folder: Path) -> list[str]:
    """The names of the files of tokens."""
    return sorted(file.name for file in (folder / "_tokens").glob("*.*"))


def set_fastest_format(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Has this process take a number format for the one that its processor compares fastest."""
    for module in ("number_formats", "prepared_tokens", "candidates", "scoring"):
        monkeypatch.setattr(f"video_colbert.index.search.{module}.fastest_format", lambda device: number_format(name))
