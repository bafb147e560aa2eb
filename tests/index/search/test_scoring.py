from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from tests.accelerators import DEVICES
from tests.index.made_tokens import make_bags, make_levels, make_queries, scores_by_loops
from video_colbert.index.search import quantized_bags, scoring
from video_colbert.index.search.number_formats import number_format
from video_colbert.index.search.quantized_bags import StoredBags
from video_colbert.index.search.scoring import TwoLevelScorer, score_bags, weights_of_levels
from video_colbert.index.search.token_bags import TokenBags

FORMATS = ["int8", "bfloat16", "float16", "float32"]
WIDTH = 64


@pytest.mark.parametrize("ragged", [False, True])
def test_exact_scores_equal_the_formula(ragged: bool) -> None:
    frames, videos = make_levels(12, WIDTH, ragged=ragged)
    queries = make_queries(3, WIDTH)
    found = score_bags(queries, frames, videos)
    assert found.scores.numpy() == pytest.approx(scores_by_loops(queries, frames, videos).numpy(), abs=1e-6)
    assert found.frame_scores.numpy() == pytest.approx(scores_by_loops(queries, frames, None).numpy(), abs=1e-6)


def test_blocks_change_no_exact_score(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, videos = make_levels(20, WIDTH, ragged=True)
    queries = make_queries(3, WIDTH)
    whole = score_bags(queries, frames, videos).scores
    monkeypatch.setattr(scoring, "_BLOCK_BYTES", 7000)
    assert score_bags(queries, frames, videos).scores.numpy() == pytest.approx(whole.numpy(), abs=1e-6)


def test_weights_multiply_the_levels_and_a_weight_of_zero_leaves_one_out() -> None:
    frames, videos = make_levels(6, WIDTH)
    queries = make_queries(2, WIDTH)
    for weights in ((0.25, 2.0), (0.0, 1.0), (1.0, 0.0)):
        given = dict(zip(("frame", "video"), weights, strict=True))
        expected = scores_by_loops(queries, frames, videos, weights).numpy()
        assert score_bags(queries, frames, videos, level_weights=given).scores.numpy() == pytest.approx(
            expected, abs=1e-6
        )
        fast = TwoLevelScorer(frames, videos, format_name="float32").scores(queries, level_weights=given)
        assert fast.scores.numpy() == pytest.approx(expected, abs=1e-5)


def test_weights_that_do_not_fit_the_model_are_refused() -> None:
    queries = make_queries(1, WIDTH, levels=("frame",))
    with pytest.raises(ValueError, match="names 'video'; the model scores by frame"):
        weights_of_levels(queries, {"video": 1.0})
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="weight of level 'frame' must be finite and not negative"):
            weights_of_levels(queries, {"frame": weight})
    with pytest.raises(ValueError, match="level_weights are all 0; at least one of frame must count"):
        weights_of_levels(queries, {"frame": 0.0})


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("device", DEVICES)
def test_fast_scores_are_within_their_bound_of_the_formula(
    device: str, format_name: str, ragged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device == "cuda" and format_name == "int8":
        pytest.skip("integers are multiplied on processors only")
    # Small blocks: that rows end in the middle of one is the usual case.
    monkeypatch.setattr(quantized_bags, "_BLOCK_SIMILARITIES", 600)
    monkeypatch.setattr(quantized_bags, "_BLOCK_SIMILARITIES_ON_ACCELERATOR", 600)
    frames, videos = make_levels(40, WIDTH, ragged=ragged)
    queries = make_queries(3, WIDTH, near=frames)
    fast = TwoLevelScorer(frames, videos, device=device, format_name=format_name).scores(queries)
    distances = (fast.scores.double() - scores_by_loops(queries, frames, videos)).abs()
    assert (distances <= fast.errors).all()
    largest = {"int8": 0.05, "bfloat16": 0.03, "float16": 0.004, "float32": 1e-4}[format_name]
    assert float(fast.errors.max()) < largest


@pytest.mark.parametrize("format_name", FORMATS)
def test_fast_scores_of_tokens_of_any_width_are_within_their_bound(format_name: str) -> None:
    frames, videos = make_levels(20, 13, ragged=True)
    queries = make_queries(2, 13, near=frames)
    fast = TwoLevelScorer(frames, videos, format_name=format_name).scores(queries)
    assert ((fast.scores.double() - scores_by_loops(queries, frames, videos)).abs() <= fast.errors).all()


def test_tokens_are_stored_in_blocks_of_whole_bags(monkeypatch: pytest.MonkeyPatch) -> None:
    bags = make_bags([3, 0, 5, 20, 1, 0, 2, 4], WIDTH)
    whole = StoredBags.of(bags, number_format("int8"), torch.device("cpu"))
    blocks = []
    of_block = StoredBags._of_block.__func__

    def counting(cls: type[StoredBags], part: TokenBags, *arguments: Any) -> StoredBags:
        blocks.append(len(part.tokens))
        return of_block(cls, part, *arguments)

    monkeypatch.setattr(StoredBags, "_of_block", classmethod(counting))
    monkeypatch.setattr(quantized_bags, "_STORED_AT_ONCE", 8)
    in_blocks = StoredBags.of(bags, number_format("int8"), torch.device("cpu"))
    assert blocks == [8, 20, 7]
    for name in ("values", "scales", "offsets", "norms", "losses"):
        assert torch.equal(getattr(in_blocks, name), getattr(whole, name))


def test_int8_takes_a_byte_a_number_and_a_scale_a_bag() -> None:
    frames, videos = make_levels(30, WIDTH, ragged=True)
    tokens = len(frames.tokens) + len(videos.tokens)
    # Beside the bytes of the tokens, a bag has a scale and two norms, and a level has N + 1 places.
    assert TwoLevelScorer(frames, videos, format_name="int8").num_bytes == tokens * WIDTH + 2 * (30 * 12 + 31 * 8)


@pytest.mark.parametrize("format_name", ["int8", "bfloat16"])
def test_probable_errors_are_narrower_and_hold_too(format_name: str) -> None:
    frames, videos = make_levels(60, 256, ragged=True)
    queries = make_queries(4, 256, near=frames)
    scorer = TwoLevelScorer(frames, videos, format_name=format_name)
    found = scorer.scores(queries)
    assert (found.probable_errors < found.errors / 1.5).all()
    distances = (found.scores.double() - scores_by_loops(queries, frames, videos)).abs()
    assert (distances <= found.probable_errors).all()


def test_bound_holds_for_tokens_that_int8_stores_badly() -> None:
    # One large coordinate leaves the others a few steps of the scale, or none.
    frames, videos = make_levels(20, WIDTH)
    for bags in (frames, videos):
        bags.tokens[:, 0] = 30.0
    queries = make_queries(3, WIDTH)
    queries.query_embeds[:, :, 0] = 0.0
    fast = TwoLevelScorer(frames, videos, format_name="int8").scores(queries)
    distances = (fast.scores.double() - scores_by_loops(queries, frames, videos)).abs()
    assert float(distances.max()) > 0.05
    assert (distances <= fast.errors).all()


@pytest.mark.parametrize("ragged", [False, True])
def test_scores_of_some_rows_are_those_of_all(ragged: bool) -> None:
    frames, videos = make_levels(30, WIDTH, ragged=ragged)
    queries = make_queries(2, WIDTH)
    scorer = TwoLevelScorer(frames, videos, format_name="int8")
    rows = torch.tensor([29, 3, 3, 17])
    some, every = scorer.scores(queries, rows=rows), scorer.scores(queries)
    assert some.scores.numpy() == pytest.approx(every.scores[:, rows].numpy(), abs=1e-6)
    assert some.errors.numpy() == pytest.approx(every.errors[:, rows].numpy(), abs=1e-7)


def test_joined_scorers_score_as_one() -> None:
    frames, videos = make_levels(30, WIDTH, ragged=True)
    queries = make_queries(2, WIDTH)
    parts = [
        TwoLevelScorer(frames.part(*bounds), videos.part(*bounds), format_name="int8")
        for bounds in ((0, 11), (11, 12), (12, 30))
    ]
    joined = TwoLevelScorer.concatenate(parts)
    whole = TwoLevelScorer(frames, videos, format_name="int8")
    assert len(joined) == 30
    assert joined.num_bytes == whole.num_bytes
    assert joined.scores(queries).scores.numpy() == pytest.approx(whole.scores(queries).scores.numpy(), abs=1e-6)


def test_videos_without_tokens_come_last_and_queries_without_tokens_score_zero() -> None:
    frames = make_bags([2, 0, 3], WIDTH)
    queries = make_queries(2, WIDTH, levels=("frame",))
    queries.query_mask[0] = False
    exact = score_bags(queries, frames, None).scores
    fast = TwoLevelScorer(frames, None, format_name="int8").scores(queries).scores
    for scores in (exact, fast):
        assert scores[1, 1] == float("-inf")
        assert torch.isfinite(scores[1, [0, 2]]).all()
        assert scores[0, [0, 2]].tolist() == [0.0, 0.0]
    nothing = make_bags([0, 0], WIDTH)
    assert (TwoLevelScorer(nothing, None, format_name="int8").scores(queries).scores[1] == float("-inf")).all()


def test_levels_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="3 bags of frame tokens and 2 of video tokens"):
        TwoLevelScorer(make_bags([1, 1, 1], WIDTH), make_bags([1, 1], WIDTH))


def test_model_that_scores_by_frames_leaves_the_video_level_out() -> None:
    frames, videos = make_levels(5, WIDTH)
    queries = make_queries(2, WIDTH)
    by_frames = dataclasses.replace(queries, score_levels=("frame",))
    expected = scores_by_loops(queries, frames, None).numpy()
    assert score_bags(by_frames, frames, videos).scores.numpy() == pytest.approx(expected, abs=1e-6)
    fast = TwoLevelScorer(frames, videos, format_name="float32").scores(by_frames)
    assert fast.scores.numpy() == pytest.approx(expected, abs=1e-5)
