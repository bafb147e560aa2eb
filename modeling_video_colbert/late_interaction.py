"""MeanMaxSim, the late interaction of Video-ColBERT (arXiv 2503.19009), and those of its peers.

    mean_max_sim:         MMS(Q, D) = mean over query tokens i of max over document tokens j of q_i . d_j
    max_sim:              the sum over query tokens in place of the mean (ColBERT, arXiv 2004.12832)
    weighted_token_wise:  1/2 (sum_i w_i max_j q_i . d_j + sum_j v_j max_i q_i . d_j) with learned weights
                          w of query tokens and v of document tokens (DRL, arXiv 2203.07111)

All are sums over tokens of a weight times a maximum. The whole similarity tensor of `Nq * Lq * Nd * Ld` numbers is
never held: it is made block by block, and of each block only the maxima and, where a gradient is wanted, the
positions of the maxima (a byte each) are kept. The gradient of a maximum reaches one document token only, so the
backward pass is two sparse products, computed as weighted sums of rows, rather than two products as large as the
forward one.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Numbers in one block of similarities. 8 MiB in float32 stays in a processor's last-level cache.
BLOCK_ELEMENTS = 2**21


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
    return _sum_of_maxima(query_embeds, doc_embeds, weights, query_mask, doc_mask, block_elements)


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
    return _sum_of_maxima(query_embeds, doc_embeds, counted, query_mask, doc_mask, block_elements)


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
    directions = []
    for (name, rows, row_mask, row_weights), (columns, column_mask) in (
        (("query", query_embeds, query_mask, query_weights), (doc_embeds, doc_mask)),
        (("doc", doc_embeds, doc_mask, doc_weights), (query_embeds, query_mask)),
    ):
        weights = _counted(rows, columns, row_mask)
        if row_weights is None:
            weights = weights / weights.sum(-1, keepdim=True).clamp(min=1.0)
        elif row_weights.shape == rows.shape[:2]:
            weights = weights * row_weights
        else:
            raise ValueError(f"{name}_weights is {list(row_weights.shape)}; it must be {list(rows.shape[:2])}.")
        directions.append(_sum_of_maxima(rows, columns, weights, row_mask, column_mask, block_elements))
    scores = (directions[0] + directions[1].T) / 2
    if doc_mask is not None:
        scores = scores.masked_fill(~doc_mask.bool().any(-1)[None, :], float("-inf"))
    if query_mask is not None:
        scores = scores.masked_fill(~query_mask.bool().any(-1)[:, None], 0.0)
    return scores


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
        interaction: `"mean_max_sim"`, `"max_sim"` or `"weighted_token_wise"`.
        query_embeds: `[Nq, Lq, D]` query tokens.
        doc_embeds: `[Nd, Ld, D]` document tokens.
        query_mask: `[Nq, Lq]`, true on the tokens that count. `None` counts all.
        doc_mask: `[Nd, Ld]`, true on the tokens that count. `None` counts all.
        query_weights: `[Nq, Lq]`, see [`weighted_token_wise_interaction`], which alone reads weights.
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
    raise ValueError(f"interaction is {interaction!r}; it must be 'mean_max_sim', 'max_sim' or 'weighted_token_wise'.")


def _sum_of_maxima(
    query_embeds: Tensor,
    doc_embeds: Tensor,
    query_weights: Tensor,
    query_mask: Tensor | None,
    doc_mask: Tensor | None,
    block_elements: int,
) -> Tensor:
    """Returns the `[Nq, Nd]` sums over query tokens of weight times maximum; masked tokens must weigh 0."""
    dtype = query_weights.dtype
    with torch.autocast(query_embeds.device.type, enabled=False):
        query_embeds, doc_embeds = query_embeds.to(dtype), doc_embeds.to(dtype)
        has_gradient = any(tensor.requires_grad for tensor in (query_embeds, doc_embeds, query_weights))
        if torch.is_grad_enabled() and has_gradient:
            scores: Tensor = _SumOfMaxima.apply(  # type: ignore[no-untyped-call] # torch leaves it untyped
                query_embeds, doc_embeds, query_weights, query_mask, doc_mask, block_elements
            )
            return scores
        return _forward(
            query_embeds, doc_embeds, query_weights, query_mask, doc_mask, block_elements, keep_arg_max=False
        )[0]


class _SumOfMaxima(torch.autograd.Function):
    """A weighted sum of maxima that saves, of `Nq * Lq * Nd * Ld` similarities, the arg-max positions only."""

    @staticmethod
    def forward(
        ctx: Any,
        query_embeds: Tensor,
        doc_embeds: Tensor,
        query_weights: Tensor,
        query_mask: Tensor | None,
        doc_mask: Tensor | None,
        block_elements: int,
    ) -> Tensor:
        scores, arg_max = _forward(
            query_embeds, doc_embeds, query_weights, query_mask, doc_mask, block_elements, keep_arg_max=True
        )
        ctx.save_for_backward(query_embeds, doc_embeds, query_weights, doc_mask, arg_max)
        ctx.block_elements = block_elements
        return scores

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_scores: Tensor) -> tuple[Tensor | None, ...]:
        query_embeds, doc_embeds, query_weights, doc_mask, arg_max = ctx.saved_tensors
        # An empty document's score is constant, so no gradient passes it.
        if doc_mask is not None:
            grad_scores = grad_scores.masked_fill(~doc_mask.bool().any(-1)[None, :], 0.0)
        grad_queries = grad_docs = grad_weights = None
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[2]:
            grad_maxima = grad_scores[:, None, :].expand(arg_max.shape)
            winners = _sum_of_winners(grad_maxima, arg_max, doc_embeds, ctx.block_elements)
            grad_queries = winners * query_weights[:, :, None]
            # The maxima times their gradients, since a maximum is q_i times the token that won.
            grad_weights = (winners * query_embeds).sum(-1)
        if ctx.needs_input_grad[1]:
            grad_tokens = grad_scores[:, None, :] * query_weights[:, :, None]
            grad_docs = _doc_gradient(grad_tokens, arg_max, query_embeds, doc_embeds.shape, ctx.block_elements)
        return grad_queries, grad_docs, grad_weights, None, None, None


def _forward(
    query_embeds: Tensor,
    doc_embeds: Tensor,
    query_weights: Tensor,
    query_mask: Tensor | None,
    doc_mask: Tensor | None,
    block_elements: int,
    keep_arg_max: bool,
) -> tuple[Tensor, Tensor | None]:
    """Returns `[Nq, Nd]` scores and, if asked for, the `[Nq, Lq, Nd]` arg-max positions."""
    (num_queries, query_length, _), (num_docs, doc_length, _) = query_embeds.shape, doc_embeds.shape
    scores = query_embeds.new_empty(num_queries, num_docs)
    arg_max = None
    if keep_arg_max:
        index_dtype = torch.uint8 if doc_length <= 256 else torch.int32
        arg_max = torch.empty(num_queries, query_length, num_docs, dtype=index_dtype, device=query_embeds.device)
    for rows, columns in _blocks(num_queries, num_docs, query_length * doc_length, block_elements):
        queries, docs = query_embeds[rows], doc_embeds[columns]
        sims = torch.mm(queries.flatten(0, 1), docs.flatten(0, 1).T)
        if doc_mask is not None:
            sims.masked_fill_(~doc_mask[columns].bool().flatten()[None, :], float("-inf"))
        sims = sims.view(queries.shape[0], query_length, docs.shape[0], doc_length)
        if arg_max is None:
            maxima = sims.amax(-1)
        else:
            maxima, positions = sims.max(-1)
            arg_max[rows, :, columns] = positions.to(arg_max.dtype)
        if query_mask is not None:
            maxima.masked_fill_(~query_mask[rows].bool()[:, :, None], 0.0)
        scores[rows, columns] = (maxima * query_weights[rows, :, None]).sum(1)
    return scores, arg_max


def _sum_of_winners(grad_maxima: Tensor, arg_max: Tensor, doc_embeds: Tensor, block_elements: int) -> Tensor:
    """Sums, for each query token, the document tokens that were its maxima, weighted by the maxima's gradients."""
    num_queries, query_length, num_docs = arg_max.shape
    doc_length, width = doc_embeds.shape[1:]
    sums = doc_embeds.new_zeros(num_queries, query_length, width)
    for rows, columns in _blocks(num_queries, num_docs, query_length * doc_length, block_elements):
        docs = doc_embeds[columns]
        first_token = torch.arange(docs.shape[0], device=docs.device) * doc_length
        winners = arg_max[rows, :, columns].long() + first_token
        weighted_sums = F.embedding_bag(
            winners.flatten(0, 1),
            docs.flatten(0, 1),
            mode="sum",
            per_sample_weights=grad_maxima[rows, :, columns].flatten(0, 1),
        )
        sums[rows] += weighted_sums.view(-1, query_length, width)
    return sums


def _doc_gradient(
    grad_tokens: Tensor, arg_max: Tensor, query_embeds: Tensor, doc_shape: torch.Size, block_elements: int
) -> Tensor:
    """Sums, for each document token, the query tokens it was the maximum of, weighted by their gradients."""
    num_docs, doc_length, width = doc_shape
    num_queries, query_length, _ = query_embeds.shape
    gradient = query_embeds.new_zeros(num_docs, doc_length, width)
    for rows, columns in _blocks(num_queries, num_docs, query_length * doc_length, block_elements):
        queries = query_embeds[rows].flatten(0, 1)
        positions = arg_max[rows, :, columns].flatten(0, 1).T
        weights = grad_tokens[rows, :, columns].flatten(0, 1).T
        # Sorted by the document token they chose, the query tokens of one document token are neighbours.
        order = positions.argsort(dim=1)
        counts = torch.zeros(positions.shape[0], doc_length, dtype=torch.long, device=queries.device)
        counts.scatter_add_(1, positions.long(), torch.ones_like(order))
        ends = counts.flatten().cumsum(0)
        weighted_sums = F.embedding_bag(
            order.flatten(),
            queries,
            offsets=ends - counts.flatten(),
            mode="sum",
            per_sample_weights=weights.gather(1, order).flatten(),
        )
        gradient[columns] += weighted_sums.view(-1, doc_length, width)
    return gradient


def _counted(query_embeds: Tensor, doc_embeds: Tensor, query_mask: Tensor | None) -> Tensor:
    """Returns `[Nq, Lq]`, 1 on the query tokens that count and 0 elsewhere, in the type that scores have."""
    dtype = torch.promote_types(torch.promote_types(query_embeds.dtype, doc_embeds.dtype), torch.float32)
    if query_mask is None:
        return query_embeds.new_ones(query_embeds.shape[:2], dtype=dtype)
    return query_mask.to(dtype)


def _blocks(num_queries: int, num_docs: int, pair_elements: int, block_elements: int) -> list[tuple[slice, slice]]:
    """Splits the score matrix into blocks of about `block_elements / pair_elements` (query, document) pairs."""
    if any(isinstance(size, torch.SymInt) for size in (num_queries, num_docs, pair_elements)):
        # Exported for any number of them: a graph has no loop of unknown length.
        return [(slice(None), slice(None))]
    pairs = max(1, block_elements // pair_elements)
    # Square blocks read the fewest tokens for their products.
    rows = min(num_queries, max(1, int(pairs**0.5)))
    columns = min(num_docs, max(1, pairs // rows))
    rows = min(num_queries, max(1, pairs // columns))
    return [
        (slice(row, min(row + rows, num_queries)), slice(column, min(column + columns, num_docs)))
        for row in range(0, num_queries, rows)
        for column in range(0, num_docs, columns)
    ]


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


__all__ = ["interaction_scores", "max_sim", "mean_max_sim", "weighted_token_wise_interaction"]
