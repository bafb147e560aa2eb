"""The Video-ColBERT model, registered with transformers' Auto classes on import."""

from transformers import AutoConfig, AutoModel

from .configuration_video_colbert import VideoColBERTConfig
from .late_interaction import (
    INTERACTIONS,
    attention_max_sim,
    attention_mean_max_sim,
    attention_weights,
    interaction_scores,
    max_sim,
    mean_max_sim,
    weighted_token_wise_interaction,
)
from .modeling_video_colbert import VideoColBERTModel
from .outputs_video_colbert import QueryEmbeddings, VideoColBERTOutput, VideoColBERTScores, VideoEmbeddings

# Loading by Auto class in this process, and writing the `auto_map` that loading elsewhere follows.
AutoConfig.register(VideoColBERTConfig.model_type, VideoColBERTConfig)
AutoModel.register(VideoColBERTConfig, VideoColBERTModel)
VideoColBERTConfig.register_for_auto_class()
VideoColBERTModel.register_for_auto_class("AutoModel")

__all__ = [
    "INTERACTIONS",
    "QueryEmbeddings",
    "VideoColBERTConfig",
    "VideoColBERTModel",
    "VideoColBERTOutput",
    "VideoColBERTScores",
    "VideoEmbeddings",
    "attention_max_sim",
    "attention_mean_max_sim",
    "attention_weights",
    "interaction_scores",
    "max_sim",
    "mean_max_sim",
    "weighted_token_wise_interaction",
]
