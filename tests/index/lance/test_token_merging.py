from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.index.lance.token_merging import merge_neighbours, merge_video_tokens


def directions(*degrees: float) -> torch.Tensor:
    angles = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def angles_of(tokens: torch.Tensor) -> list[float]:
    return torch.rad2deg(torch.atan2(tokens[:, 1], tokens[:, 0])).tolist()


def test_most_similar_neighbours_are_merged_first_until_none_are_similar_enough() -> None:
    # 40 and 42 merge to 41; 50 is then 9 degrees away, 0 is alone; the second 41 is no neighbour of the first.
    merged = merge_neighbours(directions(0, 40, 42, 50, 90, 41), float(np.cos(np.deg2rad(9.5))))
    assert merged.sizes.tolist() == [1, 3, 1, 1]
    assert angles_of(merged.tokens) == pytest.approx([0, 44, 90, 41], abs=0.1)
    assert merged.tokens.norm(dim=1).numpy() == pytest.approx(1.0)


def test_threshold_bounds_what_is_merged() -> None:
    tokens = directions(0, 40, 42, 50, 90)
    assert merge_neighbours(tokens, -1.0).sizes.tolist() == [5]
    unchanged = merge_neighbours(tokens, 1.0)
    assert unchanged.sizes.tolist() == [1] * 5
    assert unchanged.tokens.numpy() == pytest.approx(tokens.numpy(), abs=1e-6)
    assert merge_neighbours(tokens[:1], 0.5).sizes.tolist() == [1]


def test_equal_frames_become_one_whose_score_is_that_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    shots = F.normalize(torch.randn(3, 16, generator=generator), dim=1)
    tokens = shots.repeat_interleave(torch.tensor([4, 1, 3]), dim=0)
    merged = merge_neighbours(tokens, 0.999)
    assert merged.sizes.tolist() == [4, 1, 3]
    query = F.normalize(torch.randn(5, 16, generator=generator), dim=1)
    assert (query @ merged.tokens.T).amax(1).numpy() == pytest.approx((query @ tokens.T).amax(1).numpy(), abs=1e-6)


def test_pooled_video_keeps_expansion_tokens_and_the_mean_time_of_what_is_merged() -> None:
    frames = directions(0, 1, 60, 61, 62)
    video_embeds = directions(0, 0, 0, 45, 90, 90, 90)
    times = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    video = EncodedVideo(VideoClip("a.mp4"), 5.0, times, {"frame": frames, "video": video_embeds})
    pooled = merge_video_tokens(video, 0.99)
    assert pooled.timestamps.tolist() == [0.5, 3.0]
    assert angles_of(pooled.embeds["frame"]) == pytest.approx([0.5, 61], abs=0.1)
    assert angles_of(pooled.embeds["video"]) == pytest.approx([0, 45, 90, 90, 90], abs=0.1)
    assert (pooled.clip, pooled.duration) == (video.clip, 5.0)


def test_model_without_video_level_is_pooled_and_a_bad_similarity_is_refused() -> None:
    video = EncodedVideo(VideoClip("a.mp4"), 5.0, np.array([1.0]), {"frame": directions(3)})
    assert list(merge_video_tokens(video, 0.9).embeds) == ["frame"]
    for similarity in (0.0, 1.1):
        with pytest.raises(ValueError, match="min_similarity must be above 0 and at most 1"):
            merge_video_tokens(video, similarity)
