from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.encoding.hits import MomentRange, find_moments, find_ranges
from video_colbert.processing import QueryWord


def queries_of(words: dict[str, list[int]], width: int) -> EncodedQueries:
    """One query whose token i is unit vector i."""
    of_query = [QueryWord(word, positions) for word, positions in words.items()]
    bags = QueryBags(torch.eye(width)[None], torch.ones(1, width, dtype=torch.bool), [of_query])
    return EncodedQueries.of_one_encoder([" ".join(words)], bags, ("frame",))


def frames_of(*similarities: list[float]) -> torch.Tensor:
    """Frame tokens whose similarity to query token i is row i."""
    return torch.tensor(similarities).T.contiguous()


def test_moment_is_the_earliest_best_frame_of_the_summed_tokens() -> None:
    queries = queries_of({"red": [0], "circle": [1, 2], "cut": []}, 3)
    frames = frames_of([0.1, 0.9, 0.9, 0.2], [0.5, 0.1, 0.0, 0.3], [0.1, 0.2, 0.0, 0.5])
    moments = find_moments(queries, 0, frames, (0.0, 0.5, 1.0, 1.5))
    assert [(moment.word, moment.time) for moment in moments] == [("red", 0.5), ("circle", 1.5)]
    assert [moment.similarity for moment in moments] == pytest.approx([0.9, 0.8])


def test_range_reaches_as_far_as_the_similarity_stays_near_its_maximum() -> None:
    # From 1 to 0, a quarter of the way down is 0.75; the last frame is near too, but not adjacent.
    frames = frames_of([0.0, 0.74, 0.75, 1.0, 0.8, 0.5, 0.9])
    ranges = find_ranges(queries_of({"red": [0]}, 1), 0, frames, (1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0))
    assert ranges == (MomentRange(2.5, 6.5, ("red",)),)


def test_overlapping_and_touching_ranges_are_merged_and_distant_ones_are_not() -> None:
    queries = queries_of({"late": [0], "early": [1], "next": [2], "within": [3]}, 4)
    frames = frames_of(
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        [1.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    )
    ranges = find_ranges(queries, 0, frames, (0.0, 1.0, 2.0, 3.0, 4.0, 5.0))
    assert ranges == (MomentRange(0.0, 2.5, ("early", "next", "within")), MomentRange(4.5, 5.5, ("late",)))


def test_word_that_matches_all_frames_alike_spans_the_clip_and_one_frame_is_a_point() -> None:
    queries = queries_of({"red": [0]}, 1)
    assert find_ranges(queries, 0, frames_of([0.5, 0.5, 0.5]), (1.0, 2.0, 3.0)) == (MomentRange(0.5, 3.5, ("red",)),)
    assert find_ranges(queries, 0, frames_of([0.5]), (2.0,)) == (MomentRange(2.0, 2.0, ("red",)),)


def test_video_without_frames_has_neither_moments_nor_ranges() -> None:
    queries = queries_of({"red": [0]}, 1)
    assert find_moments(queries, 0, torch.zeros(0, 1), ()) == ()
    assert find_ranges(queries, 0, torch.zeros(0, 1), ()) == ()


def test_every_moment_lies_in_a_range_that_names_its_word() -> None:
    generator = torch.Generator().manual_seed(0)
    queries = queries_of({"a": [0], "b": [1, 2], "c": [3]}, 8)
    times = tuple(0.4 * frame for frame in range(12))
    for _ in range(20):
        frames = F.normalize(torch.randn(12, 8, generator=generator), dim=-1)
        ranges = find_ranges(queries, 0, frames, times)
        assert sorted(word for found in ranges for word in found.words) == ["a", "b", "c"]
        for moment in find_moments(queries, 0, frames, times):
            [found] = [found for found in ranges if moment.word in found.words]
            assert found.start <= moment.time <= found.end
        for earlier, later in itertools.pairwise(ranges):
            assert earlier.end < later.start
