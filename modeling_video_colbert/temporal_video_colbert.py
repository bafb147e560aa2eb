"""The video level: a temporal transformer over frame tokens and learned visual expansion tokens."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_video_colbert import VideoColBERTConfig


class TemporalAttention(nn.Module):
    """Multi-head self-attention over the tokens of one video.

    Args:
        config: The model's configuration.
    """

    def __init__(self, config: VideoColBERTConfig) -> None:
        super().__init__()
        width = config.projection_dim
        self.num_heads = config.temporal_num_heads
        self.dropout = config.temporal_dropout
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Maps `[B, N, D]` to `[B, N, D]`; `attention_mask` is `[B, 1, 1, N]`, true on tokens to attend to."""
        batch, tokens, width = hidden_states.shape
        queries, keys, values = (
            projection(hidden_states).view(batch, tokens, self.num_heads, -1).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = F.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=attention_mask,
            dropout_p=self.dropout if self.training else 0.0,
        )
        output: Tensor = self.out_proj(attended.transpose(1, 2).reshape(batch, tokens, width))
        return output


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

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Maps `[B, N, D]` to `[B, N, D]`."""
        attended = self.self_attn(self.layer_norm1(hidden_states), attention_mask)
        hidden_states = hidden_states + self.dropout(attended)
        expanded = self.activation(self.fc1(self.layer_norm2(hidden_states)))
        output: Tensor = hidden_states + self.dropout(self.fc2(expanded))
        return output


class TemporalTransformer(nn.Module):
    """Contextualises frame tokens in time and fills the visual expansion tokens.

    With `h` the transformer's outputs, a frame's output is `F_i + W_o LN(h_i)`, `W_o` zero at the start so
    that the video level begins as the frame level, and an expansion token's is `W_e LN(h_e)`.

    Args:
        config: The model's configuration.
    """

    def __init__(self, config: VideoColBERTConfig) -> None:
        super().__init__()
        width = config.projection_dim
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
        self.gradient_checkpointing = False

    def forward(self, frame_tokens: Tensor, frame_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Maps frame tokens to video tokens.

        Args:
            frame_tokens: `[B, T, D]` frame tokens before normalisation.
            frame_mask: `[B, T]`, true on real frames.

        Returns:
            `[B, T + E, D]` video tokens before normalisation, frames first, and their `[B, T + E]` mask.
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
        for layer in self.layers:
            hidden_states = layer(hidden_states, attention_mask=token_mask[:, None, None, :])
        hidden_states = self.final_layer_norm(hidden_states)
        frames = self.frame_output(hidden_states[:, :num_frames])
        if self.has_frame_residual:
            frames = frame_tokens + frames
        return torch.cat([frames, self.expansion_output(hidden_states[:, num_frames:])], dim=1), token_mask


def sinusoidal_positions(num_positions: int, width: int) -> Tensor:
    """Returns the `[num_positions, width]` table of Vaswani et al. (arXiv 1706.03762), section 3.5."""
    frequencies = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angles = torch.arange(num_positions)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


__all__ = ["TemporalTransformer", "sinusoidal_positions"]
