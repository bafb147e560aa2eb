from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import lancedb
import pytest
import torch

from tests.index.made_videos import MODEL, make_queries, make_video, mean_max_sim_by_loops
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, QueryBags
from video_colbert.errors import IndexStoreError
from video_colbert.index import IndexedVideo, LanceIndex


def make_three_level_video(name: str, row: int) -> tuple[IndexedVideo, EncodedVideo]:
    """A video with a third level of 5 dimensions, on which every third video has no tokens."""
    video, encoded = make_video(name, frames=1 + row % 4)
    generator = torch.Generator().manual_seed(row)
    speech = torch.nn.functional.normalize(torch.randn(row % 3, 5, generator=generator), dim=1)
    return video, replace(encoded, embeds={**encoded.embeds, "speech": speech})


def make_three_level_queries(weights: dict[str, float]) -> EncodedQueries:
    queries = make_queries()
    speech = torch.nn.functional.normalize(torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(5)), dim=-1)
    mask = torch.arange(4) < torch.tensor([[4], [1], [3]])
    return replace(
        queries,
        bags={**queries.bags, "text_model": QueryBags(speech, mask, [[]] * 3)},
        encoder_of_level={**queries.encoder_of_level, "speech": "text_model"},
        level_weights={**queries.level_weights, "speech": 1.0},
    ).with_level_weights(weights)


@pytest.mark.parametrize("weights", [{}, {"frame": 0.25, "speech": 2.0}, {"video": 0.0}])
@pytest.mark.parametrize("exact_limit", [100, 5])
def test_index_of_three_levels_is_searched_as_the_formula_says(
    tmp_path: Path, weights: dict[str, float], exact_limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", exact_limit)
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=6)
    stored = [make_three_level_video(f"{row}.mp4", row) for row in range(12)]
    index.add(stored[:7])
    index.add(stored[7:])
    queries = make_three_level_queries(weights)
    for row, hits in enumerate(LanceIndex.open(tmp_path).search(queries, top_k=12)):
        expected = []
        for video, encoded in stored:
            levels = {
                level: mean_max_sim_by_loops(queries.bags_of(level).embeds[row], queries.bags_of(level).mask[row], bag)
                for level, bag in encoded.embeds.items()
                if len(bag)
            }
            expected.append(
                (sum(queries.level_weights[level] * levels[level] for level in levels), levels, video.path)
            )
        expected.sort(key=lambda of_video: -of_video[0])
        assert [hit.video for hit in hits] == [path for _, _, path in expected]
        for hit, (score, levels, _) in zip(hits, expected, strict=True):
            assert hit.score == pytest.approx(score, abs=1e-5)
            assert hit.level_scores == pytest.approx(levels, abs=1e-5)


def test_levels_of_an_index_keep_their_dimensions_in_every_codec(tmp_path: Path) -> None:
    for codec in ("float16", "int8"):
        index = LanceIndex.create(tmp_path / codec, model=MODEL, num_frames=6, codec=codec)
        index.add([make_three_level_video(f"{row}.mp4", row) for row in range(6)])
        [best, *_] = LanceIndex.open(tmp_path / codec).search(make_three_level_queries({}))[0]
        assert set(best.level_scores) >= {"frame", "video"}
        schema = lancedb.connect(tmp_path / codec).open_table("videos").schema
        assert [schema.field(f"{level}_tokens").metadata for level in ("frame", "video", "speech")] == [
            {b"video_colbert.dimension": size} for size in (b"8", b"8", b"5")
        ]
        assert schema.field("pooled").type.list_size == 21


def test_level_that_cannot_name_a_column_is_refused(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    video, encoded = make_video("a.mp4")
    with pytest.raises(IndexStoreError, match="a level cannot be named 'On Screen'"):
        index.add([(video, replace(encoded, embeds={**encoded.embeds, "On Screen": torch.ones(2, 5)}))])
    assert len(LanceIndex.open(tmp_path)) == 0
