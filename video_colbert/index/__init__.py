"""Index and search."""

from video_colbert.index.filters import Filter, parse_filter
from video_colbert.index.hits import Moment, MomentRange, SearchHit
from video_colbert.index.index_location import create_index, index_exists, open_index
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.ingest.indexing import index_videos
from video_colbert.index.ingest.media_folders import FoundFiles, find_video_files
from video_colbert.index.ingest.metadata_files import VideoMetadata, match_metadata, read_manifest, read_metadata
from video_colbert.index.ingest.pruning import prune_videos
from video_colbert.index.ingest.report import IndexingReport
from video_colbert.index.ingest.windows import WindowSettings, video_windows
from video_colbert.index.lance.lance_index import Index
from video_colbert.index.search.candidate_calibration import Calibration
from video_colbert.index.search.level_bags import LevelBags, TokensInMemory, TokenSource
from video_colbert.index.search.rescoring import TopRows
from video_colbert.index.search.searcher import Searcher
from video_colbert.index.search.token_bags import TokenBags
from video_colbert.index.video_index import VideoIndex

__all__ = [
    "Calibration",
    "Filter",
    "FoundFiles",
    "Index",
    "IndexedVideo",
    "IndexingReport",
    "LevelBags",
    "Moment",
    "MomentRange",
    "SearchHit",
    "Searcher",
    "TokenBags",
    "TokenSource",
    "TokensInMemory",
    "TopRows",
    "VideoIndex",
    "VideoMetadata",
    "WindowSettings",
    "create_index",
    "find_video_files",
    "index_exists",
    "index_videos",
    "match_metadata",
    "open_index",
    "parse_filter",
    "prune_videos",
    "read_manifest",
    "read_metadata",
    "video_windows",
]
