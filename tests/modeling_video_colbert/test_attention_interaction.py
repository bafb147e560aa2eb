"""The interaction of ColBERT-Att: its formula, its gradients, and what equal attention gives."""

import math

import pytest
import torch
from torch import Tensor

from video_colbert.modeling_video_colbert import (
    attention_max_sim,
    attention_mean_max_sim,
    attention_weights,
    interaction_scores,
    max_sim,
)
from video_colbert.modeling_video_colbert.received_attention import received_attention


def make_bags(seed: int = 0) -> tuple[list[Tensor], list[Tensor]]:
    """Bags and the attention that their tokens receive, which take gradients, and masks."""
    generator = torch.Generator().manual_seed(seed)
    bags, attention, masks = [], [], []
    for shape in ((5, 4, 6), (3, 7, 6)):
        bags.append(torch.randn(*shape, generator=generator, dtype=torch.float64))
        attention.append(torch.rand(shape[:2], generator=generator, dtype=torch.float64))
        masks.append(torch.rand(shape[:2], generator=generator) < 0.6)
        masks[-1][:, 2] = True
    return [each.requires_grad_() for each in (*bags, *attention)], masks


def by_loops(
    query: Tensor, doc: Tensor, query_attention: Tensor, doc_attention: Tensor, masks: list[Tensor], delta: float
) -> Tensor:
    """The paper's sum, a pair and a query token after another."""
    scores = []
    for q, a_q, q_mask in zip(query, query_attention, masks[0], strict=True):
        for d, a_d, d_mask in zip(doc, doc_attention, masks[1], strict=True):
            total = torch.zeros((), dtype=torch.float64)
            for i in q_mask.nonzero()[:, 0].tolist():
                sims = {j: (q[i] * d[j]).sum() for j in d_mask.nonzero()[:, 0].tolist()}
                best = max(sims, key=lambda j: float(sims[j].detach()))
                total = total + torch.exp(a_q[i]) * sims[best] * torch.exp(a_d[best]) ** delta
            scores.append(total)
    return torch.stack(scores).view(len(query), len(doc))


@pytest.mark.parametrize("delta", [1.0, 0.3])
@pytest.mark.parametrize("block_elements", [60, 2**21])
def test_score_and_gradients_equal_a_triple_loop(delta: float, block_elements: int) -> None:
    leaves, masks = make_bags()
    query, doc, query_attention, doc_attention = leaves
    scores = attention_max_sim(
        query,
        doc,
        *masks,
        attention_weights(query_attention),
        attention_weights(doc_attention, delta),
        block_elements=block_elements,
    )
    expected = by_loops(query, doc, query_attention, doc_attention, masks, delta)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)
    upstream = torch.randn(scores.shape, dtype=torch.float64)
    gradients = torch.autograd.grad(scores, leaves, upstream)
    for gradient, wanted in zip(gradients, torch.autograd.grad(expected, leaves, upstream), strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-12)
    with torch.no_grad():
        without_gradient = attention_max_sim(
            query, doc, *masks, attention_weights(query_attention), attention_weights(doc_attention, delta)
        )
    torch.testing.assert_close(without_gradient, scores.detach(), rtol=0, atol=1e-12)


def test_equal_attention_gives_the_order_of_max_sim() -> None:
    (query, doc, *_), masks = make_bags()
    equal = [torch.full(bag.shape[:2], 0.2, dtype=torch.float64) for bag in (query, doc)]
    scores = attention_max_sim(query, doc, *masks, *map(attention_weights, equal))
    plain = max_sim(query, doc, *masks)
    torch.testing.assert_close(scores, math.exp(0.4) * plain, rtol=0, atol=1e-12)
    assert torch.equal(scores.argsort(dim=1), plain.argsort(dim=1))
    assert torch.equal(attention_max_sim(query, doc, *masks), plain)


def test_mean_is_the_sum_divided_by_the_query_tokens_that_count() -> None:
    (query, doc, query_attention, doc_attention), masks = make_bags()
    weights = attention_weights(query_attention), attention_weights(doc_attention)
    expected = attention_max_sim(query, doc, *masks, *weights) / masks[0].sum(1, keepdim=True)
    torch.testing.assert_close(attention_mean_max_sim(query, doc, *masks, *weights), expected, rtol=0, atol=1e-12)
    for name, scores in (
        ("attention_mean_max_sim", expected),
        ("attention_max_sim", expected * masks[0].sum(1)[:, None]),
    ):
        by_name = interaction_scores(name, query, doc, *masks, *weights)
        torch.testing.assert_close(by_name, scores, rtol=0, atol=1e-12)


def test_of_equal_tokens_the_first_gives_its_factor_whatever_rounding_does() -> None:
    generator = torch.Generator().manual_seed(3)
    token = torch.nn.functional.normalize(torch.randn(64, generator=generator), dim=0)
    # Frames of a still video, a little off as rounding makes them.
    doc = token + 1e-8 * torch.randn(1, 9, 64, generator=generator)
    factors = torch.linspace(1.0, 2.0, 9)[None]
    for queries in (1, 3, 17):
        query = torch.nn.functional.normalize(torch.randn(queries, 2, 64, generator=generator), dim=-1)
        scores = attention_max_sim(query, doc, doc_weights=factors)
        torch.testing.assert_close(scores, max_sim(query, doc), rtol=0, atol=1e-5)


def test_empty_bags_are_defined_and_their_gradients_finite() -> None:
    leaves, masks = make_bags()
    masks[0][1], masks[1][2] = False, False
    query, doc, query_attention, doc_attention = leaves
    scores = attention_max_sim(
        query, doc, *masks, attention_weights(query_attention), torch.zeros_like(doc_attention) * doc_attention
    )
    assert scores[[0, 2, 3, 4], 2].tolist() == [-math.inf] * 4
    assert scores[1, :2].tolist() == [0.0, 0.0]
    torch.sigmoid(scores).sum().backward()
    assert all(leaf.grad is not None and torch.isfinite(leaf.grad).all() for leaf in leaves)


def test_not_a_number_reaches_the_score() -> None:
    doc = torch.randn(1, 3, 4)
    doc[0, 1, 0] = math.nan
    assert attention_max_sim(torch.randn(1, 2, 4), doc, doc_weights=torch.ones(1, 3)).isnan().all()


def test_weights_of_another_shape_are_named() -> None:
    (query, doc, query_attention, _), _ = make_bags()
    with pytest.raises(ValueError, match=r"query_weights is \[5, 3\]; it must be \[5, 4\]"):
        attention_max_sim(query, doc, query_weights=query_attention[:, 1:])


@pytest.mark.parametrize("heads", ["mean", "max"])
@pytest.mark.parametrize("rows", ["mean", "max", "sum"])
def test_attention_is_joined_over_heads_and_over_the_rows_that_count(heads: str, rows: str) -> None:
    attention = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    row_mask = torch.tensor([[True, True, False, True], [False] * 4])
    found = received_attention(attention, row_mask, heads, rows)
    over_heads = {"mean": lambda values: sum(values) / len(values), "max": max}[heads]
    over_rows = {"mean": lambda values: sum(values) / len(values), "max": max, "sum": sum}[rows]
    for column in range(4):
        of_rows = [over_heads([float(attention[0, head, row, column]) for head in range(3)]) for row in (0, 1, 3)]
        assert float(found[0, column]) == pytest.approx(over_rows(of_rows), abs=1e-6)
    assert found[1].tolist() == [0.0] * 4
