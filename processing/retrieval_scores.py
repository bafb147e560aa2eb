"""Scores of stored token bags: MeanMaxSim of queries and videos, given as lists or padded tensors.

MMS(Q, D) = mean over query tokens i of max over document tokens j of q_i . d_j      (arXiv 2503.19009)
"""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

Bags: TypeAlias = Tensor | Sequence[Tensor]
"""Token bags: a list of `[tokens, D]` tensors, or one tensor `[number, tokens, D]`, padded with zeros."""


class RetrievalScoresMixin:
    """The method of a processor that scores what its model made, as other late-interaction processors have it."""

    def score_retrieval(
        self,
        query_embeddings: Bags,
        passage_embeddings: Bags,
        batch_size: int = 128,
        output_dtype: torch.dtype | None = None,
        output_device: torch.device | str = "cpu",
        *,
        video_embeddings: Bags | None = None,
    ) -> torch.Tensor:
        """Scores stored token bags by MeanMaxSim, every query against every video.

        Args:
            query_embeddings: `Nq` query bags, a list of `[tokens, D]` tensors or a tensor `[Nq, tokens, D]`. Rows of
                zeros are padding.
            passage_embeddings: `Nv` bags of one level of the videos, in the same way.
            batch_size: Bags of each side that are compared at a time.
            output_dtype: Type of the scores; `None` takes that of the bags.
            output_device: Device of the scores.
            video_embeddings: The same videos' bags of another level, whose scores are added: with frame tokens in
                `passage_embeddings` and video tokens here, the scores are the model's, unless its levels have weights.

        Returns:
            `[Nq, Nv]` scores.

        Raises:
            ValueError: There are no bags, or they do not fit each other.

        Example:
            >>> bags = [torch.eye(3), torch.eye(3)[:1]]
            >>> RetrievalScoresMixin().score_retrieval(bags, bags)
            tensor([[1.0000, 0.3333],
                    [1.0000, 1.0000]])
        """
        scores = mean_max_sim_of_bags(query_embeddings, passage_embeddings, batch_size)
        if video_embeddings is not None:
            if len(video_embeddings) != len(passage_embeddings):
                raise ValueError(
                    f"there are {len(passage_embeddings)} passage_embeddings and {len(video_embeddings)} "
                    "video_embeddings; they must be of the same videos"
                )
            scores = scores + mean_max_sim_of_bags(query_embeddings, video_embeddings, batch_size)
        dtype = query_embeddings[0].dtype if output_dtype is None else output_dtype
        return scores.to(device=output_device, dtype=dtype)


def mean_max_sim_of_bags(queries: Bags, documents: Bags, batch_size: int = 128) -> Tensor:
    """Scores every query against every document by MeanMaxSim.

    Rows of zeros are padding, in a list too: a token has unit length. They take part in no maximum and no mean, so a
    score depends on neither batch nor padding.

    Args:
        queries: `Nq` bags.
        documents: `Nd` bags.
        batch_size: Bags of each side that are compared at a time.

    Returns:
        `[Nq, Nd]` scores, float32, or float64 where a bag is; on the bags' device. A document without a token scores
        `-inf` and a query without one 0.

    Raises:
        ValueError: There are no bags on one side, or their shapes, types or devices do not fit each other.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    query_bags, document_bags = _listed(queries, "query"), _listed(documents, "passage")
    first_query, first_document = query_bags[0], document_bags[0]
    for what in ("device", "dtype"):
        if getattr(first_query, what) != getattr(first_document, what):
            raise ValueError(
                f"queries have {what} {getattr(first_query, what)} and passages {getattr(first_document, what)}; "
                "they must be equal"
            )
    if first_query.shape[1] != first_document.shape[1]:
        raise ValueError(
            f"queries have tokens of width {first_query.shape[1]} and passages of {first_document.shape[1]}; "
            "they must be equal"
        )
    return torch.cat(
        [
            torch.cat(
                [
                    _scores(query_bags[row : row + batch_size], document_bags[column : column + batch_size])
                    for column in range(0, len(document_bags), batch_size)
                ],
                dim=1,
            )
            for row in range(0, len(query_bags), batch_size)
        ]
    )


def _scores(queries: list[Tensor], documents: list[Tensor]) -> Tensor:
    query_tokens, query_mask = _padded(queries)
    document_tokens, document_mask = _padded(documents)
    # A cosine rounded to bfloat16 ties with its neighbours, whatever autocast says.
    with torch.autocast(query_tokens.device.type, enabled=False):
        similarities = torch.einsum("qid,vjd->qvij", query_tokens, document_tokens)
    similarities = similarities.masked_fill(~document_mask[None, :, None, :], float("-inf"))
    maxima = similarities.amax(-1).masked_fill(~query_mask[:, None, :], 0.0)
    return maxima.sum(-1) / query_mask.sum(-1).clamp(min=1)[:, None]


def _padded(bags: list[Tensor]) -> tuple[Tensor, Tensor]:
    tokens = pad_sequence(bags, batch_first=True)
    tokens = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
    return tokens, tokens.ne(0).any(-1)


def _listed(bags: Bags, side: str) -> list[Tensor]:
    listed = [torch.as_tensor(bag) for bag in bags]
    if not listed:
        raise ValueError(f"there are no {side} embeddings; give at least one bag of tokens")
    for bag in listed:
        if bag.dim() != 2 or not len(bag) or bag.shape[1] != listed[0].shape[1]:
            raise ValueError(
                f"{side} embeddings have a bag of shape {list(bag.shape)}; a bag is [tokens, D], of one D for all, "
                "with at least one token"
            )
    return listed
