"""What a Video-ColBERT model returns, and a tower of videos: tokens of queries and videos, scores, and a loss."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput

# ModelOutput wants a default for every field but the first, also for those that are always set.
_ALWAYS_SET: Any = None
# A tuple of tensors, one a layer. Not said so: code that joins embeddings field by field handles tensors.
_Recorded: TypeAlias = Any


@dataclass
class VideoTowerOutput(BaseModelOutputWithPooling):
    """What a tower of videos gives.

    Attributes:
        pooler_output: `[B, T, D]` a vector of each frame.
        video_pooler_output: `[B, 1, D]` the vector of the video.
    """

    video_pooler_output: Tensor | None = None


@dataclass
class QueryEmbeddings(ModelOutput):
    """Query tokens.

    Attributes:
        query_embeds: `[B, Lq, D]`, each of unit length.
        query_mask: `[B, Lq]`, true on the tokens that count.
        query_weights: `[B, Lq]`, 0 on the tokens that do not count. Summing to 1 over the others where
            `config.interaction` is `"weighted_token_wise"`, and `exp(a)` of the attention `a` that each receives where
            tokens are weighed by attention; else `None`.
        last_hidden_state: `[B, L, H]`, or `[B * W, L, H]` of windows: the text tower's output before the head that
            makes tokens of it. `None` unless `output_hidden_states`.
        hidden_states: One of that shape for the embeddings and for each layer of the text tower, if
            `output_hidden_states`.
        attentions: `[B, heads, L, L]` for each of its layers, if `output_attentions`; `None` for each where the
            attention implementation does not make them, which `"eager"` does.
    """

    query_embeds: Tensor = _ALWAYS_SET
    query_mask: Tensor = _ALWAYS_SET
    query_weights: Tensor | None = None
    last_hidden_state: Tensor | None = None
    hidden_states: _Recorded = None
    attentions: _Recorded = None


@dataclass
class VideoEmbeddings(ModelOutput):
    """Video tokens of both levels.

    Attributes:
        frame_embeds: `[B, T, D]` frame tokens, each of unit length.
        video_embeds: `[B, T + E, D]` contextualised frame tokens, then visual expansion tokens, each of unit
            length. `None` in a model without the video level.
        frame_mask: `[B, T]`, true on real frames.
        video_mask: `[B, T + E]`, true on real frames and on expansion tokens.
        frame_weights: `[B, T]`, weights of frame tokens like those of [`QueryEmbeddings`]. `None` in a model that
            does not score by them.
        video_weights: `[B, T + E]`, likewise.
        speech_embeds: `[B, N, D]` contextualised tokens of what is said, each of unit length. `None` in a model
            without the level, as are the next eight.
        speech_mask: `[B, N]`, true on tokens of texts; nowhere for a video without such a text.
        speech_weights: `[B, N]`, like `frame_weights`.
        screen_text_embeds: The same of what is written on the screen.
        screen_text_mask: Likewise.
        screen_text_weights: Likewise.
        description_embeds: The same of what is told of the video.
        description_mask: Likewise.
        description_weights: Likewise.
        frame_centres: int64 `[B, T]`, where `config.token_budget` makes `T` tokens of more frames: which frame each is
            centred on. Else `None`.
        last_hidden_state: `[B * T, patches, H]`, the image tower's output. `None` unless `output_hidden_states`.
        hidden_states: One of that shape for the embeddings and for each layer of the image tower, if
            `output_hidden_states`.
        attentions: `[B * T, heads, patches, patches]` for each of its layers, if `output_attentions`, as those of
            [`QueryEmbeddings`].
        temporal_hidden_states: `[B, T + E + P, D]`, P tokens of texts last, for the input and for each layer of the
            temporal transformer, if `output_hidden_states`. `None` in a model without the video level.
        temporal_attentions: `[B, heads, T + E + P, T + E + P]` for each of its layers, if `output_attentions`.

    Where `config.video_representation` is `"mean"`, `T` and `T + E` of embeddings, masks and weights are 1: a level
    is one vector.
    """

    frame_embeds: Tensor = _ALWAYS_SET
    video_embeds: Tensor | None = None
    frame_mask: Tensor = _ALWAYS_SET
    video_mask: Tensor | None = None
    frame_weights: Tensor | None = None
    video_weights: Tensor | None = None
    speech_embeds: Tensor | None = None
    speech_mask: Tensor | None = None
    speech_weights: Tensor | None = None
    screen_text_embeds: Tensor | None = None
    screen_text_mask: Tensor | None = None
    screen_text_weights: Tensor | None = None
    description_embeds: Tensor | None = None
    description_mask: Tensor | None = None
    description_weights: Tensor | None = None
    frame_centres: Tensor | None = None
    last_hidden_state: Tensor | None = None
    hidden_states: _Recorded = None
    attentions: _Recorded = None
    temporal_hidden_states: _Recorded = None
    temporal_attentions: _Recorded = None


@dataclass
class VideoColBERTScores(ModelOutput):
    """Scores of every query with every video.

    Attributes:
        scores: `[Nq, Nv]`, of the levels in `config.score_levels`, by `config.level_scoring`; by default their sum.
        frame_scores: `[Nq, Nv]`, `config.interaction` over frame tokens.
        video_scores: `[Nq, Nv]`, `config.interaction` over video tokens. `None` in a model without the video level.
        speech_scores: `[Nq, Nv]`, likewise over what is said, `-inf` for a video without; `None` in a model without
            the level.
        screen_text_scores: `[Nq, Nv]`, likewise over what is written on the screen.
        description_scores: `[Nq, Nv]`, likewise over what is told of the video.
    """

    scores: Tensor = _ALWAYS_SET
    frame_scores: Tensor = _ALWAYS_SET
    video_scores: Tensor | None = None
    speech_scores: Tensor | None = None
    screen_text_scores: Tensor | None = None
    description_scores: Tensor | None = None


@dataclass
class VideoColBERTOutput(ModelOutput):
    """Output of [`VideoColBERTModel.forward`].

    Attributes:
        loss: Scalar, if `return_loss`.
        scores: `[Nq, Nv]`, see [`VideoColBERTScores`]; `None` if not `return_scores`, as are those of levels and
            logits.
        frame_scores: `[Nq, Nv]`.
        video_scores: `[Nq, Nv]`.
        speech_scores: `[Nq, Nv]`, in a model with the level, as are the next two.
        screen_text_scores: `[Nq, Nv]`.
        description_scores: `[Nq, Nv]`.
        logits_per_text: `scores`, by the name that dual encoders give it. Temperature and bias belong to the loss,
            which has one of each a level.
        logits_per_video: `[Nv, Nq]`, its transpose.
        text_embeds: `[Nq, Lq, D]`, the query tokens, by the name that dual encoders give an embedding.
        video_embeds: `[Nv, T + E, D]`, the video tokens; `None` in a model without the video level.
        level_losses: The loss of each trained level before weighting, by name, if `return_loss`.
        query: Query tokens, [`QueryEmbeddings`]; `None` if no queries were given.
        video: Tokens of both levels, [`VideoEmbeddings`]; `None` if no videos were given.
    """

    loss: Tensor | None = None
    scores: Tensor | None = None
    frame_scores: Tensor | None = None
    video_scores: Tensor | None = None
    speech_scores: Tensor | None = None
    screen_text_scores: Tensor | None = None
    description_scores: Tensor | None = None
    logits_per_text: Tensor | None = None
    logits_per_video: Tensor | None = None
    text_embeds: Tensor | None = None
    video_embeds: Tensor | None = None
    level_losses: dict[str, Tensor] | None = None
    query: QueryEmbeddings = _ALWAYS_SET
    video: VideoEmbeddings = _ALWAYS_SET

    def to_tuple(self) -> tuple[Any, ...]:
        """Returns the values that are set, those of `query` and `video` as tuples of theirs."""
        return tuple(value.to_tuple() if isinstance(value, ModelOutput) else value for value in self.values())


__all__ = ["QueryEmbeddings", "VideoColBERTOutput", "VideoColBERTScores", "VideoEmbeddings"]
