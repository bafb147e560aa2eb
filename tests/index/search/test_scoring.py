from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.accelerators import DEVICES
from tests.index.made_tokens import (
    make_bags,
    make_levels,
    make_queries,
    make_three_level_queries,
    make_three_levels,
    scores_by_loops,
)
from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.errors import ModelMismatchError
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.number_formats import number_format, restored
from video_colbert.index.search.quantized_bags import StoredBags
from video_colbert.index.search.scoring import BoundedScorer, check_queries, score_bags
from video_colbert.index.search.token_bags import TokenBags

FORMATS = ["int8", "bfloat16", "float16", "float32"]
WIDTH = 64


def scores_by_numpy(queries: EncodedQueries, bags: LevelBags) -> Tensor:
    """The same as `scores_by_loops` for many videos, in products of float64 matrices."""
    total = np.zeros((len(queries.texts), bags.num_videos))
    for level, weight in queries.level_weights.items():
        tokens, starts = bags[level].tokens.double().numpy(), bags[level].offsets[:-1].numpy()
        for query, (embeds, mask) in enumerate(
            zip(queries.bags_of(level).embeds, queries.bags_of(level).mask, strict=True)
        ):
            similarities = embeds[mask].double().numpy() @ tokens.T
            total[query] += weight * np.maximum.reduceat(similarities, starts, axis=1).mean(axis=0)
    return torch.from_numpy(total)


@pytest.mark.parametrize("ragged", [False, True])
def test_exact_scores_equal_the_formula(ragged: bool) -> None:
    bags = make_levels(12, WIDTH, ragged=ragged)
    queries = make_queries(3, WIDTH)
    found = score_bags(queries, bags)
    assert found.scores.numpy() == pytest.approx(scores_by_loops(queries, bags).numpy(), abs=1e-6)
    for level in bags:
        of_level = make_queries(3, WIDTH, levels=(level,))
        assert found.levels[level].numpy() == pytest.approx(scores_by_loops(of_level, bags).numpy(), abs=1e-6)


@pytest.mark.parametrize("weights", [{}, {"speech": 0.3, "frame": 2.0}, {"video": 0.0}, {"frame": 0.0, "video": 0.0}])
def test_three_levels_of_different_dimensions_are_summed_by_their_weights(weights: dict[str, float]) -> None:
    bags = make_three_levels(12)
    queries = make_three_level_queries(3, bags, weights=weights)
    expected = scores_by_loops(queries, bags)
    if set(weights.values()) == {0.0} and len(weights) == 2:
        # Nothing but speech counts, and some videos have none.
        expected[:, 3::4] = float("-inf")
    found = score_bags(queries, bags)
    assert found.scores.numpy() == pytest.approx(expected.numpy(), abs=1e-6)
    assert torch.isneginf(found.levels["speech"]).any(dim=0).tolist() == [row % 4 == 3 for row in range(12)]
    fast = BoundedScorer.of(bags, format_name="int8").scores(queries)
    finite = torch.isfinite(expected)
    assert torch.equal(torch.isfinite(fast.scores), finite)
    assert ((fast.scores.double() - expected).abs()[finite] <= fast.errors[finite]).all()


def test_scores_of_more_tokens_than_are_unpacked_at_once_equal_the_formula() -> None:
    # 18 MB of float32 a video, of which 64 MB make a block.
    generator = torch.Generator().manual_seed(1)
    tokens = torch.nn.functional.normalize(torch.randn(5 * 4500, 1000, generator=generator), dim=1).half()
    bags = LevelBags({"frame": TokenBags.from_bags(tokens.split(4500))})
    queries = make_queries(2, 1000, levels=("frame",))
    expected = scores_by_numpy(queries, bags).numpy()
    assert score_bags(queries, bags).scores.numpy() == pytest.approx(expected, abs=1e-6)


def test_weights_multiply_the_levels_and_a_weight_of_zero_leaves_one_out() -> None:
    bags = make_levels(6, WIDTH)
    for weights in ((0.25, 2.0), (0.0, 1.0), (1.0, 0.0)):
        queries = make_queries(2, WIDTH).with_level_weights(dict(zip(("frame", "video"), weights, strict=True)))
        expected = scores_by_loops(queries, bags).numpy()
        assert score_bags(queries, bags).scores.numpy() == pytest.approx(expected, abs=1e-6)
        fast = BoundedScorer.of(bags, format_name="float32").scores(queries)
        assert fast.scores.numpy() == pytest.approx(expected, abs=1e-5)


def test_queries_that_do_not_fit_what_is_stored_are_refused_and_both_are_named() -> None:
    queries = make_queries(1, WIDTH)
    check_queries(queries, {"frame": WIDTH, "video": WIDTH, "speech": 5}, "the index")
    check_queries(queries.with_level_weights({"video": 0.0}), {"frame": WIDTH}, "the index")
    with pytest.raises(ModelMismatchError, match="in a holds vectors of 64 dimensions, level frame, and none of the"):
        check_queries(queries, {"frame": WIDTH}, "the index in a")
    with pytest.raises(
        ModelMismatchError, match="64 dimensions on level frame and 8 dimensions on level video, not of 64 dimensions"
    ):
        check_queries(queries, {"frame": WIDTH, "video": 8}, "the index")
    other = dataclasses.replace(queries, interaction="weighted_token_wise")
    with pytest.raises(
        ModelMismatchError, match="takes a weight of each token, but the tokens of the level frame are"
    ):
        score_bags(other, make_levels(2, WIDTH))


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("device", DEVICES)
def test_fast_scores_are_within_their_bound_of_the_formula(device: str, format_name: str, ragged: bool) -> None:
    if device == "cuda" and format_name == "int8":
        pytest.skip("integers are multiplied on processors only")
    # More tokens than a block holds: with 15 query tokens, some 17,000.
    bags = make_levels(40, WIDTH, ragged=ragged)
    bags = LevelBags.concatenate([bags] * 100)
    queries = make_queries(3, WIDTH, near=bags)
    fast = BoundedScorer.of(bags, device=device, format_name=format_name).scores(queries)
    distances = (fast.scores.double() - scores_by_numpy(queries, bags)).abs()
    assert (distances <= fast.errors).all()
    largest = {"int8": 0.05, "bfloat16": 0.03, "float16": 0.004, "float32": 1e-4}[format_name]
    assert float(fast.errors.max()) < largest


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("width", [1, 2, 13])
def test_fast_scores_of_tokens_of_any_width_are_within_their_bound(format_name: str, width: int) -> None:
    bags = make_levels(20, width, ragged=True)
    queries = make_queries(2, width, near=bags)
    fast = BoundedScorer.of(bags, format_name=format_name).scores(queries)
    assert ((fast.scores.double() - scores_by_loops(queries, bags)).abs() <= fast.errors).all()


def test_tokens_of_many_bags_are_stored_as_near_as_their_scale_allows() -> None:
    # More tokens than are brought into the format at once, in bags of 0 to 9 and one of 70,000.
    lengths = [row % 10 for row in range(4000)]
    lengths[1234] = 70_000
    tokens = torch.nn.functional.normalize(torch.randn(sum(lengths), 8, generator=torch.Generator().manual_seed(0)))
    bags = TokenBags.from_bags(tokens.split(lengths))
    stored = StoredBags.of(bags, number_format("int8"), torch.device("cpu"))
    assert stored.scales is not None
    assert torch.equal(stored.offsets, bags.offsets)
    scales = stored.scales.repeat_interleave(bags.lengths)
    distances = (restored(stored.values, scales) - bags.tokens.float()).abs()
    assert (distances <= 0.5 * scales[:, None] + 1e-6).all()
    for row in (0, 1, 1234, 3999):
        own = slice(int(bags.offsets[row]), int(bags.offsets[row + 1]))
        if bags.lengths[row]:
            assert float(stored.losses[row]) == pytest.approx(float(distances[own].norm(dim=1).max()), abs=1e-6)
            assert float(stored.scales[row]) == pytest.approx(float(bags.bag(row).abs().max()) / 127, rel=1e-5)


@pytest.mark.parametrize("format_name", ["int8", "bfloat16"])
def test_probable_errors_are_narrower_and_hold_too(format_name: str) -> None:
    bags = make_levels(60, 256, ragged=True)
    queries = make_queries(4, 256, near=bags)
    found = BoundedScorer.of(bags, format_name=format_name).scores(queries)
    assert (found.probable_errors < found.errors / 1.5).all()
    distances = (found.scores.double() - scores_by_loops(queries, bags)).abs()
    assert (distances <= found.probable_errors).all()


def test_bound_holds_for_tokens_that_int8_stores_badly() -> None:
    # One large coordinate leaves the others a few steps of the scale, or none.
    bags = make_levels(20, WIDTH)
    for of_level in bags.values():
        of_level.tokens[:, 0] = 30.0
    queries = make_queries(3, WIDTH)
    queries.bags_of("frame").embeds[:, :, 0] = 0.0
    fast = BoundedScorer.of(bags, format_name="int8").scores(queries)
    distances = (fast.scores.double() - scores_by_loops(queries, bags)).abs()
    assert float(distances.max()) > 0.05
    assert (distances <= fast.errors).all()


@pytest.mark.parametrize("ragged", [False, True])
def test_scores_of_some_rows_are_those_of_all(ragged: bool) -> None:
    bags = make_levels(30, WIDTH, ragged=ragged)
    queries = make_queries(2, WIDTH)
    scorer = BoundedScorer.of(bags, format_name="int8")
    rows = torch.tensor([29, 3, 3, 17])
    some, every = scorer.scores(queries, rows=rows), scorer.scores(queries)
    assert some.scores.numpy() == pytest.approx(every.scores[:, rows].numpy(), abs=1e-6)
    assert some.errors.numpy() == pytest.approx(every.errors[:, rows].numpy(), abs=1e-7)


def test_joined_scorers_score_as_one() -> None:
    bags = make_three_levels(30)
    queries = make_three_level_queries(2, bags, weights={"speech": 0.5})
    parts = [BoundedScorer.of(bags.part(*bounds), format_name="int8") for bounds in ((0, 11), (11, 12), (12, 30))]
    joined = BoundedScorer.concatenate(parts)
    whole = BoundedScorer.of(bags, format_name="int8")
    assert len(joined) == 30
    assert joined.scores(queries).scores.numpy() == pytest.approx(whole.scores(queries).scores.numpy(), abs=1e-6)


def test_videos_without_tokens_come_last_and_queries_without_tokens_score_zero() -> None:
    frames = LevelBags({"frame": make_bags([2, 0, 3], WIDTH)})
    queries = make_queries(2, WIDTH, levels=("frame",))
    queries.bags_of("frame").mask[0] = False
    nothing = LevelBags({"frame": make_bags([0, 0], WIDTH)})
    for score in (
        lambda asked, bags: score_bags(asked, bags).scores,
        lambda asked, bags: BoundedScorer.of(bags, format_name="int8").scores(asked).scores,
    ):
        scores = score(queries, frames)
        assert scores[1, 1] == float("-inf")
        assert torch.isfinite(scores[1, [0, 2]]).all()
        # Also of a video without tokens, and whether or not other queries are asked with it.
        assert scores[0].tolist() == [0.0, 0.0, 0.0]
        assert score(queries.select([0]), frames).tolist() == [[0.0, 0.0, 0.0]]
        assert score(queries, nothing).tolist() == [[0.0, 0.0], [float("-inf")] * 2]


def test_model_that_scores_by_frames_leaves_the_video_level_out() -> None:
    bags = make_levels(5, WIDTH)
    by_frames = make_queries(2, WIDTH, levels=("frame",))
    expected = scores_by_loops(by_frames, bags).numpy()
    exact = score_bags(by_frames, bags)
    assert exact.scores.numpy() == pytest.approx(expected, abs=1e-6)
    assert set(exact.levels) == {"frame", "video"}
    fast = BoundedScorer.of(bags, format_name="float32").scores(by_frames)
    assert fast.scores.numpy() == pytest.approx(expected, abs=1e-5)
