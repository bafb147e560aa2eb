"""Attention that tokens receive in one layer, by which ColBERT-Att (arXiv 2603.25248) weighs them.

The paper states neither the layer nor how heads and rows are joined, so a configuration says it; by default it is the
last layer and the mean over heads and over the rows that count. The fast implementations of attention do not return
their weights, so those of the one layer are computed again from its input.
"""

from typing import Any

import torch
from torch import Tensor, nn

from .configuration_video_colbert import VideoColBERTConfig
from .late_interaction import attention_weights
from .towers_video_colbert import tower_family


def attention_matrix(layer: nn.Module, hidden_states: Tensor, key_mask: Tensor | None, is_causal: bool) -> Tensor:
    """Computes the attention of one layer.

    Args:
        layer: A pre-norm transformer layer with `layer_norm1` and `self_attn`, as those of all text towers and of
            the temporal transformer are.
        hidden_states: `[B, N, H]` the layer's input.
        key_mask: `[B, N]`, true on the tokens that are attended to. `None` means all.
        is_causal: Whether a token attends to itself and earlier ones only.

    Returns:
        `[B, heads, N, N]` weights in float32, or float64 for such states; each row sums to 1.
    """
    attention: Any = layer.self_attn
    normalise: Any = layer.layer_norm1
    normalised = normalise(hidden_states)
    queries, keys = (
        projection(normalised).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj)
    )
    logits = queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if key_mask is not None:
        logits = logits.masked_fill(~key_mask[:, None, None, :], float("-inf"))
    if is_causal:
        later = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).triu(1)
        logits = logits.masked_fill(later, float("-inf"))
    return torch.softmax(logits, dim=-1)


def received_attention(attention: Tensor, row_mask: Tensor, heads: str, rows: str) -> Tensor:
    """Joins the attention that each token receives from all rows and heads.

    Args:
        attention: `[B, heads, N, N]` weights.
        row_mask: `[B, N]`, true on the rows that count.
        heads: `"mean"` or `"max"`.
        rows: `"mean"`, `"max"` or `"sum"`.

    Returns:
        `[B, N]`; 0 where no row counts.
    """
    joined = attention.mean(1) if heads == "mean" else attention.amax(1)
    joined = joined.masked_fill(~row_mask[:, :, None], 0.0)
    if rows == "max":
        return joined.amax(1)
    received = joined.sum(1)
    return received if rows == "sum" else received / row_mask.sum(1, keepdim=True).clamp(min=1)


def layer_attention(
    config: VideoColBERTConfig,
    layer: nn.Module,
    hidden_states: Tensor,
    row_mask: Tensor,
    key_mask: Tensor | None = None,
    is_causal: bool = False,
) -> Tensor:
    """Computes the attention that tokens receive in a layer, as a configuration says.

    Args:
        config: Its `attention_heads` and `attention_rows` are read.
        layer: As of [`attention_matrix`], likewise the next.
        hidden_states: `[B, N, H]`.
        row_mask: `[B, N]`, true on the tokens that count, which are the rows that count too.
        key_mask: `[B, N]`.
        is_causal: As of [`attention_matrix`].

    Returns:
        `[B, N]` attention.
    """
    attention = attention_matrix(layer, hidden_states, key_mask, is_causal)
    return received_attention(attention, row_mask, config.attention_heads, config.attention_rows)


def text_attention(
    config: VideoColBERTConfig, tower: nn.Module, hidden_states: tuple[Tensor, ...], row_mask: Tensor
) -> Tensor:
    """Computes the attention that a query's tokens receive in the text tower.

    Args:
        config: Its `attention_layer` is read too.
        tower: The text tower.
        hidden_states: The states of the embeddings and of each layer, each `[B, N, H]`.
        row_mask: `[B, N]`, true on the tokens that count. All are attended to, as in the tower.

    Returns:
        `[B, N]` attention.
    """
    encoder: Any = tower.encoder
    layers = encoder.layers
    number = config.attention_layer % len(layers)
    is_causal = tower_family(config.text_config.model_type).has_causal_text
    return layer_attention(config, layers[number], hidden_states[number], row_mask, is_causal=is_causal)


def level_weights(config: VideoColBERTConfig, received: Tensor, mask: Tensor, is_training: bool) -> Tensor:
    """Computes the weights of a level's tokens, `exp(a)^delta`.

    Args:
        config: Its `attention_length` is the length from which delta is 1; `None` means that it always is.
        received: `[B, N]` attention that the tokens receive.
        mask: `[B, N]`, true on the tokens that count.
        is_training: In training delta is 1, as in the paper.

    Returns:
        `[B, N]` weights, 0 on the tokens that do not count.
    """
    delta: Tensor | float = 1.0
    if config.attention_length is not None and not is_training:
        delta = (mask.sum(1, keepdim=True) / config.attention_length).clamp(max=1.0)
    return attention_weights(received, delta) * mask


__all__ = ["attention_matrix", "layer_attention", "level_weights", "received_attention", "text_attention"]
