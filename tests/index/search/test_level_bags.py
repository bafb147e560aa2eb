from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.index.made_tokens import make_bags, make_three_levels
from video_colbert.index.search.level_bags import LevelBags


def listed(bags: LevelBags) -> list[dict[str, list[list[float]]]]:
    return [{level: bags[level].bag(row).tolist() for level in bags} for row in range(bags.num_videos)]


def test_rows_are_the_same_videos_on_every_level() -> None:
    bags = make_three_levels(9)
    videos = listed(bags)
    assert list(bags) == ["frame", "video", "speech"]
    assert bags.dimensions == {"frame": 24, "video": 24, "speech": 10}
    assert listed(bags.select([3, 0, 3])) == [videos[3], videos[0], videos[3]]
    assert listed(bags.select(torch.tensor([8, 1]))) == [videos[8], videos[1]]
    assert listed(bags.part(2, 5)) == videos[2:5]
    assert listed(LevelBags.concatenate([bags.part(0, 4), bags.part(4, 4), bags.part(4, 9)])) == videos


def test_pools_are_unit_means_of_all_levels_side_by_side() -> None:
    bags = make_three_levels(9)
    pooled = bags.pooled()
    assert (pooled.dtype, tuple(pooled.shape)) == (torch.float16, (9, 58))
    for row in range(9):
        for level, part in zip(bags, torch.split(pooled[row], [24, 24, 10]), strict=True):
            bag = bags[level].bag(row).double()
            expected = F.normalize(bag.mean(dim=0), dim=0) if len(bag) else torch.zeros(10)
            assert part.double().numpy() == pytest.approx(expected.numpy(), abs=1e-3)


def test_no_videos_on_levels_of_given_dimensions() -> None:
    none = LevelBags.empty({"frame": 4, "speech": 7})
    assert (none.num_videos, none.dimensions, len(none)) == (0, {"frame": 4, "speech": 7}, 2)
    assert none.pooled().shape == (0, 11)


def test_levels_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="same number of bags, got 3 on level frame, 2 on level video"):
        LevelBags({"frame": make_bags([1, 1, 1], 8), "video": make_bags([1, 1], 8)})
    with pytest.raises(ValueError, match="at least one level"):
        LevelBags({})
