"""Index and search; its names are imported when they are first used, so that `open_index` alone loads no torch."""

from typing import TYPE_CHECKING

from video_colbert.lazy_names import lazy_names

if TYPE_CHECKING:
    from video_colbert.index.filters import Filter, parse_filter
    from video_colbert.index.index import Index
    from video_colbert.index.index_info import IndexInfo
    from video_colbert.index.indexed_video import IndexedVideo
    from video_colbert.index.ingest.indexing import index_videos
    from video_colbert.index.ingest.media_folders import FoundFiles, find_video_files
    from video_colbert.index.ingest.metadata_files import VideoMetadata, match_metadata, read_manifest, read_metadata
    from video_colbert.index.ingest.pruning import prune_videos
    from video_colbert.index.ingest.report import IndexingReport
    from video_colbert.index.lance.lance_index import LanceIndex
    from video_colbert.index.opening import create_text_index, index_exists, open_index
    from video_colbert.index.passages.encode_passages import encode_passages
    from video_colbert.index.passages.reading_store import Reading
    from video_colbert.index.search.calibration import Calibration
    from video_colbert.index.search.level_bags import LevelBags, TokensInMemory, TokenSource
    from video_colbert.index.search.rescoring import TopRows
    from video_colbert.index.search.searcher import Searcher
    from video_colbert.index.search.token_bags import TokenBags
    from video_colbert.index.video_index import VideoIndex
    from video_colbert.index.windows import WindowSettings, video_windows

_MODULES = {
    "Calibration": "search.calibration",
    "Filter": "filters",
    "FoundFiles": "ingest.media_folders",
    "Index": "index",
    "IndexInfo": "index_info",
    "IndexedVideo": "indexed_video",
    "IndexingReport": "ingest.report",
    "LanceIndex": "lance.lance_index",
    "LevelBags": "search.level_bags",
    "Reading": "passages.reading_store",
    "Searcher": "search.searcher",
    "TokenBags": "search.token_bags",
    "TokenSource": "search.level_bags",
    "TokensInMemory": "search.level_bags",
    "TopRows": "search.rescoring",
    "VideoIndex": "video_index",
    "VideoMetadata": "ingest.metadata_files",
    "WindowSettings": "windows",
    "create_text_index": "opening",
    "encode_passages": "passages.encode_passages",
    "find_video_files": "ingest.media_folders",
    "index_exists": "opening",
    "index_videos": "ingest.indexing",
    "match_metadata": "ingest.metadata_files",
    "open_index": "opening",
    "parse_filter": "filters",
    "prune_videos": "ingest.pruning",
    "read_manifest": "ingest.metadata_files",
    "read_metadata": "ingest.metadata_files",
    "video_windows": "windows",
}

__all__ = [
    "Calibration",
    "Filter",
    "FoundFiles",
    "Index",
    "IndexInfo",
    "IndexedVideo",
    "IndexingReport",
    "LanceIndex",
    "LevelBags",
    "Reading",
    "Searcher",
    "TokenBags",
    "TokenSource",
    "TokensInMemory",
    "TopRows",
    "VideoIndex",
    "VideoMetadata",
    "WindowSettings",
    "create_text_index",
    "encode_passages",
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
__getattr__, __dir__ = lazy_names(__name__, {name: f"{__name__}.{module}" for name, module in _MODULES.items()})
