import math

import pytest
import torch
from torch import Tensor

from video_colbert.modeling_video_colbert import (
    interaction_scores,
    max_sim,
    mean_max_sim,
    weighted_token_wise_interaction,
)


def random_bags(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Makes token bags with masks that keep at least one token."""
    generator = torch.Generator().manual_seed(seed)
    embeds = torch.randn(*shape, generator=generator, dtype=dtype)
    mask = torch.rand(shape[:2], generator=generator) < 0.6
    mask[:, shape[1] // 2] = True
    return embeds, mask


def triple_loop(query: Tensor, doc: Tensor, query_mask: Tensor, doc_mask: Tensor) -> Tensor:
    scores = torch.zeros(len(query), len(doc), dtype=query.dtype)
    for i in range(len(query)):
        for j in range(len(doc)):
            maxima = []
            for token in range(query.shape[1]):
                if query_mask[i, token]:
                    dots = [
                        sum(float(a) * float(b) for a, b in zip(query[i, token], doc[j, k], strict=True))
                        for k in range(doc.shape[1])
                        if doc_mask[j, k]
                    ]
                    maxima.append(max(dots))
            scores[i, j] = sum(maxima) / len(maxima)
    return scores


def by_autograd(query: Tensor, doc: Tensor, query_mask: Tensor, doc_mask: Tensor) -> Tensor:
    sims = torch.einsum("iqd,jkd->ijqk", query, doc).masked_fill(~doc_mask[None, :, None], -math.inf)
    weights = query_mask.to(query.dtype) / query_mask.sum(-1, keepdim=True)
    return (sims.max(-1).values * weights[:, None]).sum(-1)


def test_scores_equal_a_triple_loop_over_queries_videos_and_tokens() -> None:
    query, query_mask = random_bags(4, 5, 6, seed=0)
    doc, doc_mask = random_bags(3, 7, 6, seed=1)
    expected = triple_loop(query, doc, query_mask, doc_mask)
    torch.testing.assert_close(mean_max_sim(query, doc, query_mask, doc_mask), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("block_elements", [1, 60, 500, 2**21])
def test_gradients_equal_autograd_of_max_in_any_block_size(block_elements: int) -> None:
    query, query_mask = random_bags(7, 5, 6, seed=0)
    doc, doc_mask = random_bags(9, 4, 6, seed=1)
    upstream = torch.randn(7, 9, dtype=torch.float64)
    query.requires_grad_()
    doc.requires_grad_()
    expected = torch.autograd.grad(by_autograd(query, doc, query_mask, doc_mask), (query, doc), upstream)
    scores = mean_max_sim(query, doc, query_mask, doc_mask, block_elements=block_elements)
    gradients = torch.autograd.grad(scores, (query, doc), upstream)
    for gradient, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-12)


def test_gradient_passes_gradcheck() -> None:
    query, query_mask = random_bags(3, 4, 5, seed=2)
    doc, doc_mask = random_bags(2, 6, 5, seed=3)
    inputs = (query.requires_grad_(), doc.requires_grad_())
    assert torch.autograd.gradcheck(lambda q, d: mean_max_sim(q, d, query_mask, doc_mask), inputs)


def test_of_tied_tokens_the_first_takes_the_gradient() -> None:
    query = torch.ones(1, 1, 2, requires_grad=True)
    doc = torch.ones(1, 3, 2, requires_grad=True)
    mean_max_sim(query, doc).sum().backward()
    assert doc.grad is not None
    assert doc.grad[0].tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_only_the_side_that_wants_a_gradient_gets_one() -> None:
    query = torch.randn(2, 3, 4, requires_grad=True)
    doc = torch.randn(2, 3, 4)
    mean_max_sim(query, doc).sum().backward()
    assert query.grad is not None
    assert doc.grad is None


def test_a_negative_similarity_is_not_beaten_by_padding() -> None:
    query = torch.tensor([[[1.0, 0.0]]])
    doc = torch.tensor([[[-0.5, 0.0], [0.0, 0.0]]])
    scores = mean_max_sim(query, doc, doc_mask=torch.tensor([[True, False]]))
    assert scores.tolist() == [[-0.5]]


def test_a_document_without_tokens_scores_minus_infinity_and_takes_no_gradient() -> None:
    query = torch.randn(2, 3, 4, requires_grad=True)
    doc = torch.randn(2, 3, 4, requires_grad=True)
    doc_mask = torch.tensor([[True, True, True], [False, False, False]])
    scores = mean_max_sim(query, doc, doc_mask=doc_mask)
    assert scores[:, 1].tolist() == [-math.inf, -math.inf]
    torch.sigmoid(scores).sum().backward()
    assert doc.grad is not None
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()
    assert doc.grad[1].abs().sum() == 0


def test_a_query_without_tokens_scores_zero_everywhere() -> None:
    scores = mean_max_sim(torch.randn(1, 3, 4), torch.randn(5, 2, 4), query_mask=torch.zeros(1, 3))
    assert scores.tolist() == [[0.0] * 5]


def test_bfloat16_tokens_are_scored_in_float32_under_autocast_too() -> None:
    query, doc = torch.randn(3, 8, 32), torch.randn(4, 9, 32)
    low = mean_max_sim(query.bfloat16(), doc.bfloat16())
    exact = mean_max_sim(query.bfloat16().double(), doc.bfloat16().double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = mean_max_sim(query.bfloat16(), doc.bfloat16())
    assert low.dtype == torch.float32
    torch.testing.assert_close(low.double(), exact, rtol=0, atol=1e-5)
    torch.testing.assert_close(autocast, low, rtol=0, atol=0)


def test_more_than_256_document_tokens_are_indexed_right() -> None:
    query = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    doc = torch.randn(2, 300, 4, dtype=torch.float64, requires_grad=True)
    ones = torch.ones(2, 3, dtype=torch.bool), torch.ones(2, 300, dtype=torch.bool)
    expected = torch.autograd.grad(by_autograd(query, doc, *ones).sum(), (query, doc))
    gradients = torch.autograd.grad(mean_max_sim(query, doc).sum(), (query, doc))
    for gradient, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-12)


def test_not_a_number_reaches_the_score() -> None:
    doc = torch.randn(1, 3, 4)
    doc[0, 1, 0] = math.nan
    assert mean_max_sim(torch.randn(1, 2, 4), doc).isnan().all()


@pytest.mark.parametrize(
    ("query_shape", "doc_shape", "mask_shape", "message"),
    [
        ((2, 3), (2, 3, 4), None, "query_embeds must be"),
        ((2, 3, 4), (2, 0, 4), None, "doc_embeds must be"),
        ((2, 3, 4), (2, 3, 5), None, "width 4 and doc_embeds 5"),
        ((2, 3, 4), (2, 3, 4), (2, 4), "doc_mask is"),
    ],
)
def test_shapes_that_do_not_fit_are_named(
    query_shape: tuple[int, ...], doc_shape: tuple[int, ...], mask_shape: tuple[int, ...] | None, message: str
) -> None:
    mask = torch.ones(mask_shape) if mask_shape else None
    with pytest.raises(ValueError, match=message):
        mean_max_sim(torch.ones(query_shape), torch.ones(doc_shape), doc_mask=mask)


def normalised(weights: Tensor, mask: Tensor) -> Tensor:
    weights = weights * mask
    return weights / weights.sum(-1, keepdim=True)


def weighted_by_loops(
    query: Tensor, doc: Tensor, query_mask: Tensor, doc_mask: Tensor, query_weights: Tensor, doc_weights: Tensor
) -> Tensor:
    """DRL's formula for one pair after another, over the tokens that count."""
    rows = []
    for q, q_mask, w in zip(query, query_mask, query_weights, strict=True):
        row = []
        for d, d_mask, v in zip(doc, doc_mask, doc_weights, strict=True):
            places = [(i, j) for i in range(len(q)) for j in range(len(d)) if q_mask[i] and d_mask[j]]
            sims = {(i, j): (q[i] * d[j]).sum() for i, j in places}
            to_doc = [w[i] * max(sims[i, j] for k, j in places if k == i) for i in range(len(q)) if q_mask[i]]
            to_query = [v[j] * max(sims[i, j] for i, k in places if k == j) for j in range(len(d)) if d_mask[j]]
            row.append((sum(to_doc) + sum(to_query)) / 2)
        rows.append(torch.stack(row))
    return torch.stack(rows)


def weighted_bags(dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], list[Tensor]]:
    """Bags and weights, which take gradients, and masks."""
    query, query_mask = random_bags(5, 4, 6, seed=0, dtype=dtype)
    doc, doc_mask = random_bags(3, 7, 6, seed=1, dtype=dtype)
    generator = torch.Generator().manual_seed(2)
    weights = [
        normalised(torch.rand(mask.shape, generator=generator, dtype=dtype), mask) for mask in (query_mask, doc_mask)
    ]
    return [each.requires_grad_() for each in (query, doc, *weights)], [query_mask, doc_mask]


def test_weighted_interaction_and_its_gradients_equal_a_loop_over_pairs() -> None:
    (query, doc, query_weights, doc_weights), masks = weighted_bags()
    leaves = (query, doc, query_weights, doc_weights)
    scores = weighted_token_wise_interaction(query, doc, *masks, query_weights, doc_weights, block_elements=60)
    expected = weighted_by_loops(query, doc, *masks, query_weights, doc_weights)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)
    upstream = torch.randn(scores.shape, dtype=torch.float64)
    gradients = torch.autograd.grad(scores, leaves, upstream)
    for gradient, wanted in zip(gradients, torch.autograd.grad(expected, leaves, upstream), strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-12)


def test_weighted_interaction_without_weights_is_the_mean_in_both_directions() -> None:
    (query, doc, *_), (query_mask, doc_mask) = weighted_bags()
    expected = (mean_max_sim(query, doc, query_mask, doc_mask) + mean_max_sim(doc, query, doc_mask, query_mask).T) / 2
    torch.testing.assert_close(weighted_token_wise_interaction(query, doc, query_mask, doc_mask), expected)


def test_weighted_interaction_with_empty_bags_is_defined_and_its_gradients_finite() -> None:
    (query, doc, query_weights, doc_weights), (query_mask, doc_mask) = weighted_bags()
    query_mask[1], doc_mask[2] = False, False
    scores = weighted_token_wise_interaction(query, doc, query_mask, doc_mask, query_weights * 0, doc_weights)
    assert scores[1].tolist() == [0.0] * 3
    assert scores[[0, 2, 3, 4], 2].tolist() == [-math.inf] * 4
    torch.sigmoid(scores).sum().backward()
    for leaf in (query, doc, query_weights, doc_weights):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()
    with pytest.raises(ValueError, match=r"doc_weights is \[3, 6\]; it must be \[3, 7\]"):
        weighted_token_wise_interaction(query, doc, doc_weights=doc_weights[:, 1:])


def test_max_sim_is_the_mean_times_the_number_of_query_tokens_that_count() -> None:
    (query, doc, *_), (query_mask, doc_mask) = weighted_bags()
    expected = triple_loop(query.detach(), doc.detach(), query_mask, doc_mask) * query_mask.sum(-1, keepdim=True)
    torch.testing.assert_close(max_sim(query, doc, query_mask, doc_mask), expected, rtol=0, atol=1e-12)
    whole = max_sim(query, doc)
    torch.testing.assert_close(whole, 4 * mean_max_sim(query, doc), rtol=0, atol=1e-12)
    mask = query_mask.clone()
    mask[0] = False
    assert max_sim(query, doc, mask, doc_mask)[0].tolist() == [0.0] * 3


def test_interactions_are_chosen_by_name() -> None:
    (query, doc, *weights), masks = weighted_bags()
    for interaction, expected in {
        "mean_max_sim": mean_max_sim(query, doc, *masks),
        "max_sim": max_sim(query, doc, *masks),
        "weighted_token_wise": weighted_token_wise_interaction(query, doc, *masks, *weights),
    }.items():
        assert torch.equal(interaction_scores(interaction, query, doc, *masks, *weights), expected)
    with pytest.raises(ValueError, match="interaction is 'sum'; it must be"):
        interaction_scores("sum", query, doc)
