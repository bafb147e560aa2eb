"""Text-to-video retrieval by late interaction.

The names below are imported when they are first used, so that `import video_colbert` alone loads no torch.
"""

from importlib import metadata
from typing import TYPE_CHECKING

from video_colbert.auto_classes import register_auto_classes
from video_colbert.lazy_names import lazy_names

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import BadVideo, EncodedQueries, EncodedVideo, VideoClip
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.encoding.hits import Moment, MomentRange, SearchHit
    from video_colbert.encoding.search_hits import SearchHits
    from video_colbert.encoding.visual_query import VisualQuery
    from video_colbert.errors import VideoColBERTError
    from video_colbert.evaluation.evaluate import evaluate
    from video_colbert.index import (
        Index,
        IndexingReport,
        WindowSettings,
        find_video_files,
        index_videos,
        open_index,
    )
    from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel
    from video_colbert.processing import VideoColBERTProcessor, VideoDecodingError

register_auto_classes()

try:
    __version__ = metadata.version("video-colbert")
except metadata.PackageNotFoundError:
    # A checkout on the import path, which was not installed.
    __version__ = "0+unknown"

_MODULES = {
    "BadVideo": "video_colbert.encoding.encoded",
    "EncodedQueries": "video_colbert.encoding.encoded",
    "EncodedVideo": "video_colbert.encoding.encoded",
    "Index": "video_colbert.index",
    "IndexingReport": "video_colbert.index",
    "Moment": "video_colbert.encoding.hits",
    "MomentRange": "video_colbert.encoding.hits",
    "SearchHit": "video_colbert.encoding.hits",
    "SearchHits": "video_colbert.encoding.search_hits",
    "VideoClip": "video_colbert.encoding.encoded",
    "VideoColBERTConfig": "video_colbert.modeling_video_colbert",
    "VideoColBERTEncoder": "video_colbert.encoding.encoder",
    "VideoColBERTError": "video_colbert.errors",
    "VideoColBERTModel": "video_colbert.modeling_video_colbert",
    "VideoColBERTProcessor": "video_colbert.processing",
    "VideoDecodingError": "video_colbert.processing",
    "VisualQuery": "video_colbert.encoding.visual_query",
    "WindowSettings": "video_colbert.index",
    "evaluate": "video_colbert.evaluation.evaluate",
    "find_video_files": "video_colbert.index",
    "index_videos": "video_colbert.index",
    "open_index": "video_colbert.index",
}

__all__ = [
    "BadVideo",
    "EncodedQueries",
    "EncodedVideo",
    "Index",
    "IndexingReport",
    "Moment",
    "MomentRange",
    "SearchHit",
    "SearchHits",
    "VideoClip",
    "VideoColBERTConfig",
    "VideoColBERTEncoder",
    "VideoColBERTError",
    "VideoColBERTModel",
    "VideoColBERTProcessor",
    "VideoDecodingError",
    "VisualQuery",
    "WindowSettings",
    "__version__",
    "evaluate",
    "find_video_files",
    "index_videos",
    "open_index",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
