"""Text-to-video retrieval by late interaction.

The names below are imported when they are first used, so that `import video_colbert` alone loads no torch.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

from video_colbert.auto_classes import register_auto_classes

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import BadVideo, EncodedQueries, EncodedVideo, VideoClip
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.errors import VideoColBERTError
    from video_colbert.evaluation.evaluate import evaluate
    from video_colbert.index import Index, Moment, SearchHit, find_video_files, index_videos
    from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel
    from video_colbert.processing import VideoColBERTProcessor, VideoDecodingError

register_auto_classes()

__version__ = metadata.version("video-colbert")

_MODULES = {
    "BadVideo": "video_colbert.encoding.encoded",
    "EncodedQueries": "video_colbert.encoding.encoded",
    "EncodedVideo": "video_colbert.encoding.encoded",
    "Index": "video_colbert.index",
    "Moment": "video_colbert.index",
    "SearchHit": "video_colbert.index",
    "VideoClip": "video_colbert.encoding.encoded",
    "VideoColBERTConfig": "video_colbert.modeling_video_colbert",
    "VideoColBERTEncoder": "video_colbert.encoding.encoder",
    "VideoColBERTError": "video_colbert.errors",
    "VideoColBERTModel": "video_colbert.modeling_video_colbert",
    "VideoColBERTProcessor": "video_colbert.processing",
    "VideoDecodingError": "video_colbert.processing",
    "evaluate": "video_colbert.evaluation.evaluate",
    "find_video_files": "video_colbert.index",
    "index_videos": "video_colbert.index",
}

__all__ = [
    "BadVideo",
    "EncodedQueries",
    "EncodedVideo",
    "Index",
    "Moment",
    "SearchHit",
    "VideoClip",
    "VideoColBERTConfig",
    "VideoColBERTEncoder",
    "VideoColBERTError",
    "VideoColBERTModel",
    "VideoColBERTProcessor",
    "VideoDecodingError",
    "__version__",
    "evaluate",
    "find_video_files",
    "index_videos",
]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
