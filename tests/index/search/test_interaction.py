"""Interactions beside MeanMaxSim over stored tokens, by loops over tokens, however they are stored and searched."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from tests.index.made_tokens import make_levels, make_queries
from video_colbert.encoding.encoded import VIDEO_MODEL, EncodedQueries
from video_colbert.errors import IndexStoreError
from video_colbert.index.search.interaction import INTERACTIONS, check_interaction, has_bound, weighs_tokens
from video_colbert.index.search.level_bags import LevelBags, TokensInMemory
from video_colbert.index.search.searcher import Searcher
from video_colbert.index.search.token_bags import TokenBags
from video_colbert.modeling_video_colbert import late_interaction

WIDTH = 16


def weighted_levels(number: int, seed: int = 0) -> LevelBags:
    generator = torch.Generator().manual_seed(seed)
    levels = make_levels(number, WIDTH, ragged=True, seed=seed)
    return LevelBags(
        {
            level: dataclasses.replace(bags, weights=1.0 + torch.rand(len(bags.tokens), generator=generator))
            for level, bags in levels.items()
        }
    )


def weighted_queries(interaction: str, number: int = 3) -> EncodedQueries:
    queries = make_queries(number, WIDTH)
    weights = 1.0 + torch.rand(queries.bags[VIDEO_MODEL].mask.shape, generator=torch.Generator().manual_seed(4))
    bags = dataclasses.replace(queries.bags[VIDEO_MODEL], token_weights=weights)
    return dataclasses.replace(queries, bags={VIDEO_MODEL: bags}, interaction=interaction)


def by_loops(
    interaction: str, query: Tensor, mask: Tensor, query_weights: Tensor, tokens: Tensor, weights: Tensor
) -> float:
    """One query with one bag, as `late_interaction.py` says it."""
    counted = mask.nonzero()[:, 0].tolist()
    sims = {i: [float(query[i].double() @ token.double()) for token in tokens] for i in counted}
    v = weights.tolist()
    if interaction == "weighted_token_wise":
        of_query = sum(float(query_weights[i]) * max(sims[i]) for i in counted)
        of_tokens = sum(v[j] * max(sims[i][j] for i in counted) for j in range(len(tokens)))
        return (of_query + of_tokens) / 2
    if interaction == "max_sim":
        return sum(max(sims[i]) for i in counted)
    if interaction == "mean_max_sim":
        return sum(max(sims[i]) for i in counted) / len(counted)
    total = 0.0
    for i in counted:
        best = max(range(len(tokens)), key=lambda j: sims[i][j])
        total += float(query_weights[i]) * sims[i][best] * v[best]
    return total / len(counted) if interaction == "attention_mean_max_sim" else total


def scores_by_loops(queries: EncodedQueries, bags: LevelBags) -> Tensor:
    of_queries = queries.bags[VIDEO_MODEL]
    assert of_queries.token_weights is not None
    scores = torch.zeros(len(queries.texts), bags.num_videos, dtype=torch.float64)
    for query in range(len(queries.texts)):
        own = of_queries.embeds[query], of_queries.mask[query], of_queries.token_weights[query]
        for level in bags.values():
            for video in range(bags.num_videos):
                assert level.weights is not None
                weights = level.weights[level.offsets[video] : level.offsets[video + 1]]
                scores[query, video] += by_loops(queries.interaction, *own, level.bag(video), weights)
    return scores


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("exact_limit", [100, 5])
@pytest.mark.parametrize("hold_tokens", [False, True])
def test_search_finds_what_loops_over_tokens_find(interaction: str, exact_limit: int, hold_tokens: bool) -> None:
    bags, queries = weighted_levels(40), weighted_queries(interaction)
    expected, order = scores_by_loops(queries, bags).sort(dim=1, descending=True)
    searcher = Searcher(TokensInMemory(bags), device="cpu", exact_limit=exact_limit, hold_tokens=hold_tokens)
    found = searcher.top(queries, 10)
    if has_bound(interaction) and exact_limit == 5:
        # By candidates, that may miss some.
        assert (found.scores <= expected[:, :10] + 1e-5).all()
        return
    assert torch.equal(found.rows, order[:, :10])
    torch.testing.assert_close(found.scores.double(), expected[:, :10], rtol=0, atol=1e-5)
    assert found.is_proven.all()
    assert searcher.calibration is None
    for number in (3, 30):
        rows = torch.randperm(40, generator=torch.Generator().manual_seed(number))[:number].sort().values
        allowed = scores_by_loops(queries, bags.select(rows)).sort(dim=1, descending=True)
        among = searcher.top(queries, 3, rows=rows)
        assert torch.equal(among.rows, rows[allowed.indices[:, :3]])
        torch.testing.assert_close(among.scores.double(), allowed.values[:, :3], rtol=0, atol=1e-5)


def test_equal_attention_gives_the_order_of_mean_max_sim() -> None:
    bags = make_levels(40, WIDTH, ragged=True)
    equal = LevelBags(
        {level: dataclasses.replace(of, weights=torch.full((len(of.tokens),), 1.2)) for level, of in bags.items()}
    )
    plain = make_queries(3, WIDTH)
    attended = dataclasses.replace(plain, interaction="attention_mean_max_sim")
    found = Searcher(TokensInMemory(equal), device="cpu").top(attended, 40)
    assert torch.equal(found.rows, Searcher(TokensInMemory(bags), device="cpu").top(plain, 40).rows)


def test_a_video_without_tokens_on_a_level_is_scored_by_the_others() -> None:
    bags, queries = weighted_levels(6), weighted_queries("attention_max_sim")
    frames = bags["frame"]
    none = TokenBags(torch.zeros(0, WIDTH).half(), torch.zeros(7, dtype=torch.int64), torch.zeros(0))
    found = Searcher(TokensInMemory(LevelBags({"frame": frames, "video": none})), device="cpu").top(queries, 6)
    expected = scores_by_loops(queries, LevelBags({"frame": frames})).sort(dim=1, descending=True)
    assert torch.equal(found.rows, expected.indices)
    torch.testing.assert_close(found.scores.double(), expected.values, rtol=0, atol=1e-5)
    nowhere = Searcher(TokensInMemory(LevelBags({"frame": none, "video": none})), device="cpu").top(queries, 6)
    assert torch.isneginf(nowhere.scores).all()


def test_names_are_those_of_the_model() -> None:
    assert set(INTERACTIONS) == set(late_interaction.INTERACTIONS)
    assert [name for name in INTERACTIONS if not weighs_tokens(name)] == ["mean_max_sim", "max_sim"]


def test_an_index_that_scores_otherwise_says_what_it_scores_by() -> None:
    check_interaction("max_sim", INTERACTIONS, "the index in a")
    with pytest.raises(
        IndexStoreError, match="interaction='max_sim', but the index at b scores by 'mean_max_sim' only"
    ):
        check_interaction("max_sim", ("mean_max_sim",), "the index at b")
