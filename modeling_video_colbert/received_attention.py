"""Attention that tokens receive in one layer, by which ColBERT-Att (arXiv 2603.25248) weighs and AGC clusters them.

ColBERT-Att's paper states neither the layer nor how heads and rows are joined, so a configuration says it; by default
it is the last layer and the mean over heads and over the rows that count. The fast implementations of attention do not
return their weights, so those of the one layer are computed again from its input.

Attention-guided clustering (AGC, Qin et al., arXiv 2602.21202) keeps a fixed number of tokens. Tokens that stand for
no part of the video, here the visual expansion tokens, attend to all others. Those that receive most become centres of
clusters, every token joins the nearest centre, and a cluster's token is the mean of its tokens, weighed by that
attention. So the clusters are learned with the model, and one that was trained without them can be given them
afterwards: there are no weights of their own.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .configuration_video_colbert import VideoColBERTConfig
from .late_interaction import attention_weights
from .towers_video_colbert import tower_family

# Attention may round to 0, and a mean needs weights.
_LEAST_ATTENTION = 1e-12


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


class ClusteredTokens(NamedTuple):
    """Tokens of clusters.

    Attributes:
        tokens: `[B, K, D]`, not of unit length.
        mask: `[B, K]`, false where a video has fewer tokens than there may be clusters.
        centres: int64 `[B, K]`, which of the given tokens is the centre of each, in order.
    """

    tokens: Tensor
    mask: Tensor
    centres: Tensor


def cluster_tokens(tokens: Tensor, mask: Tensor, attention: Tensor, budget: int) -> ClusteredTokens:
    """Clusters the tokens of each video around those that receive most attention.

    With `a` the attention and `N(c)` the tokens that are nearest to centre `c` by cosine, `c` itself among them, a
    cluster's token is `sum_N(c) a_i x_i / |x_i|`. Where a video has no more tokens than the budget, each is a cluster
    of its own.

    Args:
        tokens: `[B, N, D]`.
        mask: `[B, N]`, true on the tokens that count.
        attention: `[B, N]` that tokens receive, 0 or more.
        budget: The most clusters of a video.

    Example:
        >>> import torch
        >>> tokens = torch.tensor([[[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]])
        >>> found = cluster_tokens(tokens, torch.ones(1, 3, dtype=torch.bool), torch.tensor([[0.5, 0.1, 0.4]]), 2)
        >>> found.centres.tolist(), found.mask.tolist()
        ([[0, 2]], [[True, True]])
    """
    exact = torch.promote_types(tokens.dtype, torch.float32)
    unit = F.normalize(tokens.to(exact), dim=-1)
    weights = attention.to(exact).clamp(min=_LEAST_ATTENTION).masked_fill(~mask, 0.0)
    centres = weights.topk(min(budget, weights.shape[1]), dim=1).indices.sort(dim=1).values
    is_real = mask.gather(1, centres)
    of_centres = unit.gather(1, centres[:, :, None].expand(-1, -1, unit.shape[-1]))
    similarity = (unit @ of_centres.transpose(1, 2)).masked_fill(~is_real[:, None, :], float("-inf"))
    # A centre is of its own cluster, also where another is equal to it; cosines are at most 1.
    similarity = similarity + 4 * F.one_hot(centres, unit.shape[1]).transpose(1, 2)
    nearest = F.one_hot(similarity.argmax(-1), centres.shape[1]) * weights[:, :, None]
    return ClusteredTokens((nearest.transpose(1, 2) @ unit).to(tokens.dtype), is_real, centres)


__all__ = [
    "ClusteredTokens",
    "attention_matrix",
    "cluster_tokens",
    "layer_attention",
    "level_weights",
    "received_attention",
    "text_attention",
]
