"""Index and search."""

from video_colbert.index.calibration import Calibration
from video_colbert.index.filters import Filter, parse_filter
from video_colbert.index.index_files import IndexedVideo
from video_colbert.index.index_location import create_index, index_exists, open_index
from video_colbert.index.indexing import IndexingReport, index_videos
from video_colbert.index.search import (
    Moment,
    MomentRange,
    Searcher,
    SearchHit,
    TokensInMemory,
    TokenSource,
    TopRows,
)
from video_colbert.index.store import Index
from video_colbert.index.video_files import FoundFiles, find_video_files
from video_colbert.index.video_index import VideoIndex

__all__ = [
    "Calibration",
    "Filter",
    "FoundFiles",
    "Index",
    "IndexedVideo",
    "IndexingReport",
    "Moment",
    "MomentRange",
    "SearchHit",
    "Searcher",
    "TokenSource",
    "TokensInMemory",
    "TopRows",
    "VideoIndex",
    "create_index",
    "find_video_files",
    "index_exists",
    "index_videos",
    "open_index",
    "parse_filter",
]
