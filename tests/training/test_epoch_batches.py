import pytest

from video_colbert.training.epoch_batches import EpochBatches

Batches = list[list[tuple[int, int]]]


def batches_of(rank: int = 0, world_size: int = 1, *, epoch: int = 0, first_step: int = 0, seed: int = 0) -> Batches:
    batches = EpochBatches(101, 4, micro_batches_per_step=3, seed=seed, rank=rank, world_size=world_size)
    batches.start_at(epoch, first_step)
    assert len(batches) == len(list(batches))
    return list(batches)


def examples(batches: Batches) -> list[int]:
    return [example for batch in batches for _, example in batch]


def test_epoch_holds_each_example_at_most_once_in_full_steps() -> None:
    batches = batches_of()
    # 8 steps of 12 examples; 5 of the 101 are left out.
    assert [len(batch) for batch in batches] == [4] * 24
    assert len(set(examples(batches))) == 96


def test_ranks_share_out_the_order_that_one_process_walks() -> None:
    whole = batches_of(world_size=1)
    ranks = [batches_of(rank, 2) for rank in range(2)]
    # A step of two ranks is two steps of one: the ranks' shares follow each other.
    shared = []
    for step in range(4):
        for rank in ranks:
            shared += rank[3 * step : 3 * step + 3]
    assert examples(shared) == examples(whole)


def test_resumed_epoch_is_the_rest_of_it() -> None:
    assert batches_of(first_step=3) == batches_of()[9:]
    assert batches_of(1, 2, first_step=1, epoch=5) == batches_of(1, 2, epoch=5)[3:]
    assert batches_of(first_step=8) == []


def test_order_is_a_function_of_seed_and_epoch() -> None:
    assert batches_of(epoch=2) == batches_of(epoch=2)
    assert examples(batches_of(epoch=2)) != examples(batches_of(epoch=3))
    assert examples(batches_of(seed=1)) != examples(batches_of(seed=0))
    assert {epoch for batch in batches_of(epoch=2) for epoch, _ in batch} == {2}


def test_examples_left_out_differ_between_epochs() -> None:
    left_out = [set(range(101)) - set(examples(batches_of(epoch=epoch))) for epoch in range(3)]
    assert left_out[0] != left_out[1] != left_out[2]


def test_data_smaller_than_a_global_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="23 training examples do not fill one batch of 24"):
        EpochBatches(23, 4, micro_batches_per_step=3, world_size=2)
