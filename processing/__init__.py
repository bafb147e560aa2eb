"""The Video-ColBERT processor."""

from transformers import AutoProcessor

from .frame_sampling import FrameSampling, sampling_generator
from .processing_video_colbert import VideoColBERTProcessor
from .query_tokens import QueryWord
from .video_decoding import DecodedVideo, decode_video
from .video_processing_video_colbert import VideoColBERTVideoProcessor
from .video_settings import DecodingSettings
from .video_sources import VideoDecodingError, VideoSource
from .video_stream import OpenVideoFile

VideoColBERTProcessor.register_for_auto_class()
# AutoProcessor finds a processor by the class name in processor_config.json among all registered ones. The key, a
# model's config class elsewhere, is not consulted for that, and this folder does not import the model.
AutoProcessor.register(VideoColBERTProcessor, VideoColBERTProcessor, exist_ok=True)

__all__ = [
    "DecodedVideo",
    "DecodingSettings",
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
