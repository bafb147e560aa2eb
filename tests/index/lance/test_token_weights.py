"""Weights of tokens in a Lance table: stored, mapped, searched, and refused where they do not fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import lancedb
import pytest
import torch

from tests.index.made_videos import MODEL, make_queries, make_video
from tests.index.search.test_interaction import by_loops
from video_colbert.encoding.encoded import VIDEO_MODEL, EncodedQueries, EncodedVideo
from video_colbert.errors import IndexStoreError, ModelMismatchError
from video_colbert.index import IndexedVideo, LanceIndex

INTERACTIONS = ["weighted_token_wise", "attention_max_sim", "attention_mean_max_sim"]


def make_weighted(number: int, seed: int = 0) -> list[tuple[IndexedVideo, EncodedVideo]]:
    generator = torch.Generator().manual_seed(seed)
    videos = []
    for row in range(number):
        video, encoded = make_video(f"{row}.mp4", frames=1 + row % 4, metadata={"number": row})
        weights = {level: torch.rand(len(bag), generator=generator) for level, bag in encoded.embeds.items()}
        videos.append((video, dataclasses.replace(encoded, token_weights=weights)))
    return videos


def weighted_queries(interaction: str) -> EncodedQueries:
    queries = make_queries()
    bags = queries.bags[VIDEO_MODEL]
    weights = torch.rand(bags.mask.shape, generator=torch.Generator().manual_seed(3))
    bags = dataclasses.replace(bags, token_weights=weights)
    return dataclasses.replace(queries, bags={VIDEO_MODEL: bags}, interaction=interaction)


def expected_scores(
    queries: EncodedQueries, stored: list[tuple[IndexedVideo, EncodedVideo]], row: int
) -> dict[str, float]:
    """The triple loop over tokens as they are stored, by path."""
    bags = queries.bags[VIDEO_MODEL]
    assert bags.token_weights is not None
    own = bags.embeds[row], bags.mask[row], bags.token_weights[row]
    return {
        video.path: sum(
            by_loops(queries.interaction, *own, tokens.half(), encoded.token_weights[level])
            for level, tokens in encoded.embeds.items()
        )
        for video, encoded in stored
    }


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("exact_limit", [100, 5])
def test_scores_from_an_index_equal_a_triple_loop(
    tmp_path: Path, interaction: str, exact_limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", exact_limit)
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=4)
    stored = make_weighted(12)
    index.add(stored[:5])
    queries = weighted_queries(interaction)
    # Its snapshot holds tokens, which the next one adds to.
    index.search(queries)
    index.add(stored[5:])
    index.remove([stored[3][0].id])
    del stored[3]
    assert not index.needs_calibration
    for reader in (index, LanceIndex.open(tmp_path)):
        for row, hits in enumerate(reader.search(queries, top_k=12)):
            expected = expected_scores(queries, stored, row)
            assert [hit.video for hit in hits] == sorted(expected, key=lambda path: -expected[path])
            assert [hit.score for hit in hits] == pytest.approx([expected[hit.video] for hit in hits], abs=1e-5)
        for hit in reader.search(queries, top_k=2, where="number < 3")[0]:
            assert hit.score == pytest.approx(expected_scores(queries, stored, 0)[hit.video], abs=1e-5)


@pytest.mark.parametrize("codec", ["float16", "int8"])
def test_mapped_tokens_bring_their_weights(tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", 5)
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=4, codec=codec)
    stored = make_weighted(12)
    index.add(stored)
    queries = weighted_queries("attention_max_sim")
    expected = [[(hit.video, hit.score) for hit in hits] for hits in index.search(queries, top_k=12)]
    # Read first from the table, then from the files that were derived from it.
    for reader in (index, LanceIndex.open(tmp_path)):
        assert [[(hit.video, hit.score) for hit in hits] for hits in reader.search(queries, top_k=12)] == expected
    assert any((tmp_path / "_tokens").glob("*.frame"))
    # Made anew in place with the same tokens and other weights, as another training gives them.
    other = make_weighted(12, seed=1)
    index.remove([video.id for video, _ in stored])
    index.add(other)
    found = {hit.video: hit.score for hit in index.search(queries, top_k=12)[1]}
    assert found != dict(expected[1])
    if codec == "float16":
        assert found == pytest.approx(expected_scores(queries, other, 1), abs=1e-5)


def test_only_an_index_with_weights_has_columns_for_them(tmp_path: Path) -> None:
    for name, videos in (("plain", [make_video("a.mp4")]), ("weighted", make_weighted(2))):
        LanceIndex.create(tmp_path / name, model=MODEL, num_frames=4).add(videos)
    names = [lancedb.connect(tmp_path / name).open_table("videos").schema.names for name in ("plain", "weighted")]
    assert set(names[1]) - set(names[0]) == {"frame_token_weights", "video_token_weights", "number"}


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    weighted, plain = make_weighted(1), [make_video("b.mp4")]
    index = LanceIndex.create(tmp_path / "a", model=MODEL, num_frames=4)
    index.add(weighted)
    with pytest.raises(
        ModelMismatchError, match=r"weights of tokens on the levels frame and video, but '.*b\.mp4' has"
    ):
        index.add(plain)
    other = LanceIndex.create(tmp_path / "b", model=MODEL, num_frames=4)
    other.add(plain)
    with pytest.raises(ModelMismatchError, match="weights of tokens on no level, but"):
        other.add(weighted)
    with pytest.raises(ModelMismatchError, match="takes a weight of each token"):
        other.search(weighted_queries("attention_max_sim"))
    video, encoded = make_weighted(1)[0]
    short = dataclasses.replace(encoded, token_weights={**encoded.token_weights, "frame": torch.ones(7)})
    with pytest.raises(ModelMismatchError, match="has 7 weights on the level frame; it must be one for each"):
        LanceIndex.create(tmp_path / "c", model=MODEL, num_frames=4).add([(video, short)])
    with pytest.raises(IndexStoreError, match="ends in _token_weights is a level's"):
        index.check_metadata([{"my_token_weights": 1.0}])
