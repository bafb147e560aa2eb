"""MeanMaxSim, the late interaction of Video-ColBERT (arXiv 2503.19009), and those of its peers.

    mean_max_sim:         MMS(Q, D) = mean over query tokens i of max over document tokens j of q_i . d_j
    max_sim:              the sum over query tokens in place of the mean (ColBERT, arXiv 2004.12832)
    weighted_token_wise:  1/2 (sum_i w_i max_j q_i . d_j + sum_j v_j max_i q_i . d_j) with learned weights
                          w of query tokens and v of document tokens (DRL, arXiv 2203.07111)

    attention_max_sim:    sum_i exp(a_i) q_i . d_j exp(a_j)^delta with j the token of the largest q_i . d_j and a the
                          attention that tokens receive (ColBERT-Att, arXiv 2603.25248); attention_mean_max_sim is
                          this, divided by the number of query tokens

All are sums over tokens of a weight times a maximum, which `sum_of_maxima` computes.
"""

import torch
from torch import Tensor

from .sum_of_maxima import BLOCK_ELEMENTS, sum_of_maxima

INTERACTIONS = ("mean_max_sim", "max_sim", "weighted_token_wise", "attention_max_sim", "attention_mean_max_sim")


def mean_max_sim(
    query_embeds: Tensor,
    doc_embeds: Tensor,
    query_mask: Tensor | None = None,
    doc_mask: Tensor | None = None,
    block_elements: int = BLOCK_ELEMENTS,
) -> Tensor:
    """Scores every query against every document by MeanMaxSim.

    Computed in float32, or float64 where an input is float64, whatever autocast says: a cosine rounded to
    bfloat16 ties with its neighbours.

    Args:
        query_embeds: `[Nq, Lq, D]` query tokens.
        doc_embeds: `[Nd, Ld, D]` document tokens.
        query_mask: `[Nq, Lq]`, true on the tokens that count. `None` counts all.
        doc_mask: `[Nd, Ld]`, true on the tokens that count. `None` counts all.
        block_elements: Memory budget, in similarities held at once.

    Returns:
        `[Nq, Nd]` scores. A document without a token that counts scores `-inf` and a query without one 0.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    _check_shapes(query_embeds, doc_embeds, query_mask, doc_mask)
    counted = _counted(query_embeds, doc_embeds, query_mask)
    weights = counted / counted.sum(-1, keepdim=True).clamp(min=1.0)
    return sum_of_maxima(query_embeds, doc_embeds, weights, query_mask, doc_mask, block_elements)


def max_sim(
    query_embeds: Tensor,
    doc_embeds: Tensor,
    query_mask: Tensor | None = None,
    doc_mask: Tensor | None = None,
    block_elements: int = BLOCK_ELEMENTS,
) -> Tensor:
    """Scores every query against every document by ColBERT's MaxSim (arXiv 2004.12832), which sums over query tokens.

    Arguments, result, precision and errors are those of [`mean_max_sim`].
    """
    _check_shapes(query_embeds, doc_embeds, query_mask, doc_mask)
    counted = _counted(query_embeds, doc_embeds, query_mask)
    return sum_of_maxima(query_embeds, doc_embeds, counted, query_mask, doc_mask, block_elements)


def weighted_token_wise_interaction(
    query_embeds: Tensor,
    doc_embeds: Tensor,
    query_mask: Tensor | None = None,
    doc_mask: Tensor | None = None,
    query_weights: Tensor | None = None,
    doc_weights: Tensor | None = None,
    block_elements: int = BLOCK_ELEMENTS,
) -> Tensor:
    """Scores every query against every document by weighted token-wise interaction (arXiv 2203.07111).

    Each side's tokens look for their maximum on the other side; precision as for [`mean_max_sim`].

    Args:
        query_embeds: `[Nq, Lq, D]` query tokens.
        doc_embeds: `[Nd, Ld, D]` document tokens.
        query_mask: `[Nq, Lq]`, true on the tokens that count. `None` counts all.
        doc_mask: `[Nd, Ld]`, true on the tokens that count. `None` counts all.
        query_weights: `[Nq, Lq]`, summing to 1 over a query's tokens that count. `None` weighs them alike.
        doc_weights: `[Nd, Ld]`, the same for documents.
        block_elements: Memory budget, in similarities held at once.

    Returns:
        `[Nq, Nd]` scores. A document without a token that counts scores `-inf` and a query without one 0.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    _check_shapes(query_embeds, doc_embeds, query_mask, doc_mask)
    _check_weights(query_embeds, doc_embeds, query_weights, doc_weights)
    directions = []
    for (rows, row_mask, row_weights), (columns, column_mask) in (
        ((query_embeds, query_mask, query_weights), (doc_embeds, doc_mask)),
        ((doc_embeds, doc_mask, doc_weights), (query_embeds, query_mask)),
    ):
        weights = _counted(rows, columns, row_mask)
        if row_weights is None:
            weights = weights / weights.sum(-1, keepdim=True).clamp(min=1.0)
        else:
            weights = weights * row_weights
        directions.append(sum_of_maxima(rows, columns, weights, row_mask, column_mask, block_elements))
    scores = (directions[0] + directions[1].T) / 2
    if doc_mask is not None:
        scores = scores.masked_fill(~doc_mask.bool().any(-1)[None, :], float("-inf"))
    if query_mask is not None:
        scores = scores.masked_fill(~query_mask.bool().any(-1)[:, None], 0.0)
    return scores


def attention_max_sim(
    query_embeds: Tensor,
    doc_embeds: Tensor,
    query_mask: Tensor | None = None,
    doc_mask: Tensor | None = None,
    query_weights: Tensor | None = None,
    doc_weights: Tensor | None = None,
    block_elements: int = BLOCK_ELEMENTS,
) -> Tensor:
    """Scores every query against every document by ColBERT-Att (arXiv 2603.25248).

    `sum_i w_i v_j q_i . d_j`, where j is the document token with the largest `q_i . d_j`; the first of those within
    1e-6 of it. Precision as for [`mean_max_sim`]. Weights that are all equal give the order of [`max_sim`].

    Args:
        query_embeds: `[Nq, Lq, D]` query tokens.
        doc_embeds: `[Nd, Ld, D]` document tokens.
        query_mask: `[Nq, Lq]`, true on the tokens that count. `None` counts all.
        doc_mask: `[Nd, Ld]`, true on the tokens that count. `None` counts all.
        query_weights: `[Nq, Lq]`, `exp(a_i)` as [`attention_weights`] gives them. `None` means 1 for all.
        doc_weights: `[Nd, Ld]`, `exp(a_j)^delta`, likewise.
        block_elements: Memory budget, in similarities held at once.

    Returns:
        `[Nq, Nd]` scores. A document without a token that counts scores `-inf` and a query without one 0.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    _check_shapes(query_embeds, doc_embeds, query_mask, doc_mask)
    _check_weights(query_embeds, doc_embeds, query_weights, doc_weights)
    weights = _counted(query_embeds, doc_embeds, query_mask)
    if query_weights is not None:
        weights = weights * query_weights
    if doc_weights is not None and doc_mask is not None:
        # An empty document's maximum is -inf, which a factor of 0 would make NaN.
        doc_weights = doc_weights.masked_fill(~doc_mask.bool(), 1.0)
    return sum_of_maxima(query_embeds, doc_embeds, weights, query_mask, doc_mask, block_elements, doc_weights)


def attention_mean_max_sim(
    query_embeds: Tensor,
    doc_embeds: Tensor,
    query_mask: Tensor | None = None,
    doc_mask: Tensor | None = None,
    query_weights: Tensor | None = None,
    doc_weights: Tensor | None = None,
    block_elements: int = BLOCK_ELEMENTS,
) -> Tensor:
    """Scores every query against every document by [`attention_max_sim`], divided by the number of query tokens.

    Of one query that is the same order. Scores stay those of [`mean_max_sim`] times about 1, for which the losses'
    temperatures are made, and long queries do not outweigh short ones in a loss.
    """
    sums = attention_max_sim(
        query_embeds, doc_embeds, query_mask, doc_mask, query_weights, doc_weights, block_elements
    )
    counts = _counted(query_embeds, doc_embeds, query_mask).sum(-1, keepdim=True)
    return sums / counts.clamp(min=1.0)


def attention_weights(attention: Tensor, delta: Tensor | float = 1.0) -> Tensor:
    """Makes the weights of [`attention_max_sim`] from the attention that tokens receive: `exp(a)^delta`.

    Args:
        attention: `[B, N]` attention that each token receives; which layer's, and of which heads and rows, the paper
            does not say.
        delta: Exponent: 1 for queries. For documents the paper's is 1 in training, and else the smaller of 1 and the
            document's length divided by 150. A number, or `[B, 1]`.

    Returns:
        `[B, N]` weights, 1 or larger.
    """
    return (attention * delta).exp()


def interaction_scores(
    interaction: str,
    query_embeds: Tensor,
    doc_embeds: Tensor,
    query_mask: Tensor | None = None,
    doc_mask: Tensor | None = None,
    query_weights: Tensor | None = None,
    doc_weights: Tensor | None = None,
) -> Tensor:
    """Scores every query against every document by the interaction that a configuration names.

    Args:
        interaction: One of `INTERACTIONS`.
        query_embeds: `[Nq, Lq, D]` query tokens.
        doc_embeds: `[Nd, Ld, D]` document tokens.
        query_mask: `[Nq, Lq]`, true on the tokens that count. `None` counts all.
        doc_mask: `[Nd, Ld]`, true on the tokens that count. `None` counts all.
        query_weights: `[Nq, Lq]`, see [`weighted_token_wise_interaction`] and [`attention_max_sim`]; others read none.
        doc_weights: `[Nd, Ld]`, likewise.

    Returns:
        `[Nq, Nd]` scores.

    Raises:
        ValueError: If the interaction is unknown or the shapes do not fit each other.
    """
    bags = (query_embeds, doc_embeds, query_mask, doc_mask)
    if interaction == "mean_max_sim":
        return mean_max_sim(*bags)
    if interaction == "max_sim":
        return max_sim(*bags)
    if interaction == "weighted_token_wise":
        return weighted_token_wise_interaction(*bags, query_weights, doc_weights)
    if interaction == "attention_max_sim":
        return attention_max_sim(*bags, query_weights, doc_weights)
    if interaction == "attention_mean_max_sim":
        return attention_mean_max_sim(*bags, query_weights, doc_weights)
    raise ValueError(f"interaction is {interaction!r}; it must be one of {', '.join(INTERACTIONS)}.")


def _counted(query_embeds: Tensor, doc_embeds: Tensor, query_mask: Tensor | None) -> Tensor:
    """Returns `[Nq, Lq]`, 1 on the query tokens that count and 0 elsewhere, in the type that scores have."""
    dtype = torch.promote_types(torch.promote_types(query_embeds.dtype, doc_embeds.dtype), torch.float32)
    if query_mask is None:
        return query_embeds.new_ones(query_embeds.shape[:2], dtype=dtype)
    return query_mask.to(dtype)


def _check_shapes(
    query_embeds: Tensor, doc_embeds: Tensor, query_mask: Tensor | None, doc_mask: Tensor | None
) -> None:
    for name, embeds, mask in (("query", query_embeds, query_mask), ("doc", doc_embeds, doc_mask)):
        if embeds.dim() != 3 or embeds.shape[1] == 0:
            raise ValueError(f"{name}_embeds must be [number, tokens, width] with a token, not {list(embeds.shape)}.")
        if mask is not None and mask.shape != embeds.shape[:2]:
            raise ValueError(
                f"{name}_mask is {list(mask.shape)}; with {name}_embeds {list(embeds.shape)} it must be "
                f"{list(embeds.shape[:2])}."
            )
    if query_embeds.shape[-1] != doc_embeds.shape[-1]:
        raise ValueError(
            f"query_embeds have width {query_embeds.shape[-1]} and doc_embeds {doc_embeds.shape[-1]}; "
            "they must be equal."
        )


def _check_weights(
    query_embeds: Tensor, doc_embeds: Tensor, query_weights: Tensor | None, doc_weights: Tensor | None
) -> None:
    for name, embeds, weights in (("query", query_embeds, query_weights), ("doc", doc_embeds, doc_weights)):
        if weights is not None and weights.shape != embeds.shape[:2]:
            raise ValueError(f"{name}_weights is {list(weights.shape)}; it must be {list(embeds.shape[:2])}.")


__all__ = [
    "INTERACTIONS",
    "attention_max_sim",
    "attention_mean_max_sim",
    "attention_weights",
    "interaction_scores",
    "max_sim",
    "mean_max_sim",
    "weighted_token_wise_interaction",
]
