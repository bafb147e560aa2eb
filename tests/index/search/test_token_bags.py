from __future__ import annotations

import pytest
import torch

from tests.index.made_tokens import make_bags
from video_colbert.index.search.token_bags import TokenBags

LENGTHS = [3, 1, 4, 0, 2]


def bags_of(bags: TokenBags) -> list[list[list[float]]]:
    return [bags.bag(row).tolist() for row in range(len(bags))]


def test_selected_bags_are_the_bags_asked_for_in_that_order_and_as_often() -> None:
    bags = make_bags(LENGTHS, 8)
    listed = bags_of(bags)
    for rows in ([4, 0, 3], [2, 2, 1], [3], [0, 1, 2, 3, 4]):
        for asked in (rows, torch.tensor(rows)):
            assert bags_of(bags.select(asked)) == [listed[row] for row in rows]
    assert len(bags.select([])) == 0


def test_part_and_concatenation_are_inverse() -> None:
    bags = make_bags(LENGTHS, 8)
    parts = [bags.part(0, 2), bags.part(2, 2), bags.part(2, 5)]
    assert [len(part) for part in parts] == [2, 0, 3]
    assert bags_of(TokenBags.concatenate(parts)) == bags_of(bags)


def test_padding_marks_what_is_real() -> None:
    tokens, mask = make_bags(LENGTHS, 8).padded(0, 5)
    assert mask.tolist() == [[column < length for column in range(4)] for length in LENGTHS]
    assert torch.equal(tokens[2], make_bags(LENGTHS, 8).bag(2).float())
    assert make_bags([0, 0], 8).padded(0, 2)[1].tolist() == [[False], [False]]


def test_means_are_those_of_each_bag_and_zeros_without_tokens() -> None:
    bags = make_bags(LENGTHS, 8)
    for row, mean in enumerate(bags.means()):
        bag = bags.bag(row).double()
        expected = bag.sum(dim=0) / max(1, len(bag))
        assert mean.numpy() == pytest.approx(expected.numpy(), abs=1e-6)


def test_weights_follow_their_tokens() -> None:
    weights = [torch.rand(length) for length in LENGTHS]
    bags = TokenBags.from_bags([bag.float() for bag in map(make_bags(LENGTHS, 8).bag, range(5))], weights)
    assert bags.weights is not None
    assert torch.equal(bags.weights, torch.cat(weights))
    selected = bags.select([4, 0, 3, 4]).weights
    assert selected is not None
    assert torch.equal(selected, torch.cat([weights[row] for row in (4, 0, 3, 4)]))
    joined = TokenBags.concatenate([bags.part(0, 2), bags.part(2, 5)]).weights
    assert joined is not None
    assert torch.equal(joined, bags.weights)
    padded = bags.part(1, 4).padded_weights(0, 3)
    assert padded is not None
    assert torch.equal(padded, torch.nn.utils.rnn.pad_sequence(weights[1:4], batch_first=True))
    assert make_bags(LENGTHS, 8).padded_weights(0, 5) is None
    with pytest.raises(ValueError, match="all parts or none must have weights of tokens, got 1 of 2"):
        TokenBags.concatenate([bags, make_bags(LENGTHS, 8)])
