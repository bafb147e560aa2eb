"""The video level: a temporal transformer over frame tokens and learned visual expansion tokens."""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .configuration_video_colbert import VideoColBERTConfig
from .passages_video_colbert import PassageTokens
from .received_attention import attention_matrix, layer_attention, received_attention


class ContextualisedTokens(NamedTuple):
    """Output of the temporal transformer.

    Attributes:
        tokens: `[B, T + E, D]` video tokens before normalisation, frames first.
        token_mask: `[B, T + E]`, true on real frames and on expansion tokens.
        hidden_states: `[B, T + E + P, D]` for the input and for each layer, if asked for.
        attentions: `[B, heads, T + E + P, T + E + P]` for each layer, if asked for; `None` for each where the
            attention implementation does not make them.
        received_attention: `[B, T + E + P]` attention that tokens receive, where the interaction weighs them by it.
        passages: `[B, P, D]` tokens of texts before normalisation, in a model with levels of them.
        expansion_attention: `[B, T + E]` attention that tokens receive from the expansion tokens in the last layer, or
            from all where there are none, in a model with a budget of tokens.
    """

    tokens: Tensor
    token_mask: Tensor
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor | None, ...] | None
    received_attention: Tensor | None = None
    passages: Tensor | None = None
    expansion_attention: Tensor | None = None


def eager_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Computes attention step by step, as transformers' `"eager"` does.

    Args:
        module: Whose attention it is: in training its dropout acts.
        query: `[B, heads, N, width]`.
        key: `[B, heads, N, width]`.
        value: `[B, heads, N, width]`.
        attention_mask: `[B, 1, N, N]`, added to the logits.
        scaling: Factor of the products.
        dropout: Share of weights set to 0.
        **_: What other implementations read.

    Returns:
        `[B, N, heads, width]`, and the `[B, heads, N, N]` weights.
    """
    logits = query @ key.transpose(-1, -2) * scaling
    if attention_mask is not None:
        logits = logits + attention_mask
    weights = F.softmax(logits, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = F.dropout(weights, p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2), weights


class TemporalAttention(nn.Module):
    """Multi-head self-attention over the tokens of one video, by the implementation that the config names.

    Args:
        config: The model's configuration.
    """

    def __init__(self, config: VideoColBERTConfig) -> None:
        super().__init__()
        width = config.projection_dim
        self.config = config
        self.num_heads = config.temporal_num_heads
        self.is_causal = False
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Maps `[B, N, D]` to `[B, N, D]`, with its `[B, heads, N, N]` weights where they are made.

        `attention_mask` is what `create_bidirectional_mask` made for the attention implementation.
        """
        batch, tokens, width = hidden_states.shape
        queries, keys, values = (
            projection(hidden_states).view(batch, tokens, self.num_heads, -1).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention)
        attended, weights = attend(
            self,
            queries,
            keys,
            values,
            attention_mask,
            scaling=(width // self.num_heads) ** -0.5,
            dropout=self.config.temporal_dropout if self.training else 0.0,
        )
        return self.out_proj(attended.reshape(batch, tokens, width)), weights


class TemporalLayer(GradientCheckpointingLayer):
    """One pre-norm transformer layer, of the form of CLIP's text layers so that theirs can be copied in.

    Args:
        config: The model's configuration.
    """

    def __init__(self, config: VideoColBERTConfig) -> None:
        super().__init__()
        width = config.projection_dim
        self.layer_norm1 = nn.LayerNorm(width)
        self.self_attn = TemporalAttention(config)
        self.layer_norm2 = nn.LayerNorm(width)
        feed_forward_width = config.temporal_intermediate_size or 4 * width
        self.fc1 = nn.Linear(width, feed_forward_width)
        self.fc2 = nn.Linear(feed_forward_width, width)
        self.activation = ACT2FN[config.temporal_hidden_act]
        self.dropout = nn.Dropout(config.temporal_dropout)

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Maps `[B, N, D]` to `[B, N, D]`, with the attention's weights where they are made."""
        attended, weights = self.self_attn(self.layer_norm1(hidden_states), attention_mask)
        hidden_states = hidden_states + self.dropout(attended)
        expanded = self.activation(self.fc1(self.layer_norm2(hidden_states)))
        return hidden_states + self.dropout(self.fc2(expanded)), weights


class TemporalTransformer(nn.Module):
    """Contextualises frame tokens in time and fills the visual expansion tokens.

    With `h` the transformer's outputs, a frame's output is `F_i + W_o LN(h_i)`, `W_o` zero at the start so
    that the video level begins as the frame level, and an expansion token's is `W_e LN(h_e)`. Tokens of texts stand
    behind these, told apart by learned embeddings of what they are, and have an output like a frame's with a `W_o` of
    their own.

    Args:
        config: The model's configuration.
    """

    def __init__(self, config: VideoColBERTConfig) -> None:
        super().__init__()
        width = config.projection_dim
        self.config = config
        self.position_kind = config.temporal_position_embedding
        self.position_table: Tensor
        self.has_frame_residual = config.temporal_residual == "frame"
        if self.position_kind == "learned":
            self.position_embedding = nn.Embedding(config.max_frames, width)
        elif self.position_kind == "sinusoidal":
            self.register_buffer("position_table", torch.empty(config.max_frames, width), persistent=False)
        self.expansion_tokens = nn.Parameter(torch.empty(config.num_visual_expansion_tokens, width))
        self.layers = nn.ModuleList(TemporalLayer(config) for _ in range(config.temporal_num_layers))
        self.final_layer_norm = nn.LayerNorm(width)
        self.frame_output = nn.Linear(width, width, bias=False)
        self.expansion_output = nn.Linear(width, width, bias=False)
        if config.passage_levels:
            self.modality_embedding = nn.Embedding(1 + len(config.passage_levels), width)
            self.passage_output = nn.Linear(width, width, bias=False)
        self.gradient_checkpointing = False

    def forward(
        self,
        frame_tokens: Tensor,
        frame_mask: Tensor,
        passages: PassageTokens | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> ContextualisedTokens:
        """Maps frame tokens to video tokens.

        Args:
            frame_tokens: `[B, T, D]` frame tokens before normalisation.
            frame_mask: `[B, T]`, true on real frames.
            passages: Tokens of texts, in a model with levels of them.
            output_hidden_states: Whether to return each layer's input and the last one's output.
            output_attentions: Whether to return each layer's attention weights.

        Returns:
            Video tokens, their mask, and what was asked for.
        """
        batch, num_frames, _ = frame_tokens.shape
        hidden_states = frame_tokens
        if self.position_kind == "learned":
            hidden_states = hidden_states + self.position_embedding.weight[:num_frames]
        elif self.position_kind == "sinusoidal":
            hidden_states = hidden_states + self.position_table[:num_frames].to(hidden_states.dtype)
        expansion = self.expansion_tokens.to(hidden_states.dtype).expand(batch, -1, -1)
        hidden_states = torch.cat([hidden_states, expansion], dim=1)
        token_mask = F.pad(frame_mask, (0, expansion.shape[1]), value=True)
        num_tokens = token_mask.shape[1]
        if passages is not None:
            hidden_states = self._with_passages(hidden_states, num_frames, passages)
            token_mask = torch.cat([token_mask, passages.mask], dim=1)
        attention_mask = create_bidirectional_mask(
            self.config,
            hidden_states,
            token_mask,
            # Else a batch without padding takes another kernel, which rounds otherwise.
            allow_is_bidirectional_skip=False,
        )
        all_hidden_states, all_weights = [hidden_states], []
        for layer in self.layers:
            hidden_states, weights = layer(hidden_states, attention_mask=attention_mask)
            all_hidden_states.append(hidden_states)
            all_weights.append(weights)
        received = None
        if self.config.weighs_by_attention:
            number = self.config.attention_layer % len(self.layers)
            received = layer_attention(
                self.config, self.layers[number], all_hidden_states[number], token_mask, key_mask=token_mask
            )
        guiding = None
        if self.config.token_budget is not None:
            weights = attention_matrix(self.layers[-1], all_hidden_states[-2], token_mask, is_causal=False)
            rows = token_mask.clone()
            if expansion.shape[1]:
                rows[:, :num_frames] = rows[:, num_tokens:] = False
            guiding = received_attention(weights, rows, "mean", "mean")[:, :num_tokens]
        hidden_states = self.final_layer_norm(hidden_states)
        frames = self.frame_output(hidden_states[:, :num_frames])
        if self.has_frame_residual:
            frames = frame_tokens + frames
        return ContextualisedTokens(
            torch.cat([frames, self.expansion_output(hidden_states[:, num_frames:num_tokens])], dim=1),
            token_mask[:, :num_tokens],
            tuple(all_hidden_states) if output_hidden_states else None,
            tuple(all_weights) if output_attentions else None,
            received,
            None if passages is None else self._passage_outputs(hidden_states[:, num_tokens:], passages),
            guiding,
        )

    def _with_passages(self, hidden_states: Tensor, num_frames: int, passages: PassageTokens) -> Tensor:
        """Adds the embeddings of what tokens are, to all but expansion tokens, and puts those of texts behind."""
        kinds = self.modality_embedding.weight.to(hidden_states.dtype)
        lengths = torch.tensor(passages.lengths, device=kinds.device)
        of_passages = kinds[1:].repeat_interleave(lengths, dim=0, output_size=sum(passages.lengths))
        of_frames = F.pad(kinds[0].expand(num_frames, -1), (0, 0, 0, hidden_states.shape[1] - num_frames))
        return torch.cat([hidden_states + of_frames, passages.tokens.to(hidden_states.dtype) + of_passages], dim=1)

    def _passage_outputs(self, hidden_states: Tensor, passages: PassageTokens) -> Tensor:
        """Makes `[B, P, D]` outputs of texts, as those of frames are made."""
        outputs: Tensor = self.passage_output(hidden_states)
        return passages.tokens + outputs if self.has_frame_residual else outputs


def sinusoidal_positions(num_positions: int, width: int) -> Tensor:
    """Returns the `[num_positions, width]` table of Vaswani et al. (arXiv 1706.03762), section 3.5."""
    frequencies = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angles = torch.arange(num_positions)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


__all__ = ["TemporalTransformer", "sinusoidal_positions"]
