"""Index and search."""

from video_colbert.index.index_files import IndexedVideo
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
    "find_video_files",
    "index_videos",
]
