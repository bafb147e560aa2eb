"""Sums over query tokens of a weight times a maximum over document tokens, with their gradients in little memory.

The whole similarity tensor of `Nq * Lq * Nd * Ld` numbers is never held: it is made block by block, and of each block
only the maxima and, where a gradient is wanted, the positions of the maxima (a byte each) are kept. The gradient of a
maximum reaches one document token only, so the backward pass is two sparse products, computed as weighted sums of
rows, rather than two products as large as the forward one.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Numbers in one block of similarities. 8 MiB in float32 stays in a processor's last-level cache.
BLOCK_ELEMENTS = 2**21
# Similarities that rounding may bring out of order. Frames of a still video are equal, and a factor must not depend on
# which of them rounding favours.
TIE = 1e-6


def sum_of_maxima(
    query_embeds: Tensor,
    doc_embeds: Tensor,
    query_weights: Tensor,
    query_mask: Tensor | None,
    doc_mask: Tensor | None,
    block_elements: int = BLOCK_ELEMENTS,
    doc_factors: Tensor | None = None,
) -> Tensor:
    """Sums over query tokens a weight times the largest similarity, and times a factor of the token that has it.

    Args:
        query_embeds: `[Nq, Lq, D]` query tokens.
        doc_embeds: `[Nd, Ld, D]` document tokens.
        query_weights: `[Nq, Lq]`, 0 on masked tokens, in the type that scores are computed in.
        query_mask: `[Nq, Lq]`, true on the tokens that count. `None` counts all.
        doc_mask: `[Nd, Ld]`, true on the tokens that count. `None` counts all.
        block_elements: Memory budget, in similarities held at once.
        doc_factors: `[Nd, Ld]` factors, finite. Of tokens whose similarities are within 1e-6 of the largest, the
            first is taken for it. `None` means 1 for all.

    Returns:
        `[Nq, Nd]` scores, `-inf` for a document without a token that counts.
    """
    dtype = query_weights.dtype
    with torch.autocast(query_embeds.device.type, enabled=False):
        query_embeds, doc_embeds = query_embeds.to(dtype), doc_embeds.to(dtype)
        if doc_factors is not None:
            doc_factors = doc_factors.to(dtype)
        inputs = (query_embeds, doc_embeds, query_weights, doc_factors)
        has_gradient = any(tensor is not None and tensor.requires_grad for tensor in inputs)
        if torch.is_grad_enabled() and has_gradient:
            scores: Tensor = _SumOfMaxima.apply(  # type: ignore[no-untyped-call] # torch leaves it untyped
                *inputs, query_mask, doc_mask, block_elements
            )
            return scores
        return _forward(*inputs, query_mask, doc_mask, block_elements, keep_arg_max=False)[0]


class _SumOfMaxima(torch.autograd.Function):
    """A weighted sum of maxima that saves, of `Nq * Lq * Nd * Ld` similarities, the arg-max positions only."""

    @staticmethod
    def forward(
        ctx: Any,
        query_embeds: Tensor,
        doc_embeds: Tensor,
        query_weights: Tensor,
        doc_factors: Tensor | None,
        query_mask: Tensor | None,
        doc_mask: Tensor | None,
        block_elements: int,
    ) -> Tensor:
        inputs = (query_embeds, doc_embeds, query_weights, doc_factors)
        scores, arg_max = _forward(*inputs, query_mask, doc_mask, block_elements, keep_arg_max=True)
        ctx.save_for_backward(*inputs, doc_mask, arg_max)
        ctx.block_elements = block_elements
        return scores

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_scores: Tensor) -> tuple[Tensor | None, ...]:
        query_embeds, doc_embeds, query_weights, doc_factors, doc_mask, arg_max = ctx.saved_tensors
        # An empty document's score is constant, so no gradient passes it.
        if doc_mask is not None:
            grad_scores = grad_scores.masked_fill(~doc_mask.bool().any(-1)[None, :], 0.0)
        grad_queries = grad_docs = grad_weights = grad_factors = None
        # With a factor, a score is linear in the token that won times its factor.
        scaled_docs = doc_embeds if doc_factors is None else doc_embeds * doc_factors[:, :, None]
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[2]:
            grad_maxima = grad_scores[:, None, :].expand(arg_max.shape)
            winners = _sum_of_winners(grad_maxima, arg_max, scaled_docs, ctx.block_elements)
            grad_queries = winners * query_weights[:, :, None]
            # The maxima times their gradients, since a maximum is q_i times the token that won.
            grad_weights = (winners * query_embeds).sum(-1)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[3]:
            grad_tokens = grad_scores[:, None, :] * query_weights[:, :, None]
            grad_docs = _doc_gradient(grad_tokens, arg_max, query_embeds, doc_embeds.shape, ctx.block_elements)
            if doc_factors is not None:
                grad_factors = (grad_docs * doc_embeds).sum(-1)
                grad_docs = grad_docs * doc_factors[:, :, None]
        return grad_queries, grad_docs, grad_weights, grad_factors, None, None, None


def _forward(
    query_embeds: Tensor,
    doc_embeds: Tensor,
    query_weights: Tensor,
    doc_factors: Tensor | None,
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
        if doc_factors is not None:
            # The first of those that rounding cannot tell apart: `argmax` of truths is the first true one.
            largest = sims.amax(-1, keepdim=True)
            positions = (sims >= largest - TIE).to(torch.uint8).argmax(-1)
            maxima = torch.where(largest.isnan(), largest, sims.gather(-1, positions[..., None])).squeeze(-1)
            maxima = maxima * _of_winners(doc_factors[columns], positions)
        elif arg_max is None:
            maxima = sims.amax(-1)
        else:
            maxima, positions = sims.max(-1)
        if arg_max is not None:
            arg_max[rows, :, columns] = positions.to(arg_max.dtype)
        if query_mask is not None:
            maxima.masked_fill_(~query_mask[rows].bool()[:, :, None], 0.0)
        scores[rows, columns] = (maxima * query_weights[rows, :, None]).sum(1)
    return scores, arg_max


def _of_winners(values: Tensor, positions: Tensor) -> Tensor:
    """Looks `[Nd, Ld]` values of document tokens up at `[Nq, Lq, Nd]` positions."""
    first_token = torch.arange(values.shape[0], device=values.device) * values.shape[1]
    return values.flatten()[positions + first_token]


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


__all__ = ["BLOCK_ELEMENTS", "sum_of_maxima"]
