"""The Video-ColBERT processor."""

from typing import TYPE_CHECKING, Any

from .frame_sampling import FrameResizing, FrameSampling, sampling_generator
from .video_decoding import DecodedVideo, decode_video
from .video_settings import DecodingSettings
from .video_sources import VideoDecodingError, VideoSource
from .video_stream import OpenVideoFile

if TYPE_CHECKING:
    from .processing_video_colbert import VideoColBERTProcessor
    from .query_tokens import QueryWord
    from .video_processing_video_colbert import VideoColBERTVideoProcessor

__all__ = [
    "DecodedVideo",
    "DecodingSettings",
    "FrameResizing",
    "FrameSampling",
    "OpenVideoFile",
    "QueryWord",
    "VideoColBERTProcessor",
    "VideoColBERTVideoProcessor",
    "VideoDecodingError",
    "VideoSource",
    "decode_video",
    "sampling_generator",
]


def __getattr__(name: str) -> Any:
    """What needs transformers, whose import takes longer than torch's: processes that decode never ask for it."""
    if name in ("VideoColBERTProcessor", "VideoColBERTVideoProcessor"):
        return _registered()[name]
    if name == "QueryWord":
        from .query_tokens import QueryWord

        return QueryWord
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _registered() -> dict[str, type[Any]]:
    """The classes of the processor and of its part for videos, which the Auto classes then find."""
    from transformers import AutoProcessor
    from transformers.models.auto.video_processing_auto import AutoVideoProcessor

    from .processing_video_colbert import VideoColBERTProcessor
    from .video_processing_video_colbert import VideoColBERTVideoProcessor

    VideoColBERTProcessor.register_for_auto_class()
    # Both are found by the class name in processor_config.json among all registered ones. The key, a model's config
    # class elsewhere, is not consulted for that, and this folder does not import the model.
    AutoProcessor.register(VideoColBERTProcessor, VideoColBERTProcessor, exist_ok=True)
    AutoVideoProcessor.register(VideoColBERTVideoProcessor, VideoColBERTVideoProcessor, exist_ok=True)
    return {
        "VideoColBERTProcessor": VideoColBERTProcessor,
        "VideoColBERTVideoProcessor": VideoColBERTVideoProcessor,
    }
