"""An index of three levels, one of them of another encoder and with other dimensions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from qdrant_client import QdrantClient
from torch.nn.functional import normalize

from tests.index.made_clusters import MODEL, make_queries, make_videos
from tests.index.qdrant.made_indexes import URI, Videos
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, QueryBags
from video_colbert.encoding.hits import SearchHit
from video_colbert.errors import ModelMismatchError
from video_colbert.index import LanceIndex
from video_colbert.index.qdrant.qdrant_index import QdrantIndex

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


def make_spoken_videos(number: int) -> Videos:
    """Videos with none, one or two speech tokens of 6 numbers beside frames and video tokens of 16."""
    generator = torch.Generator().manual_seed(3)
    return [
        (
            video,
            dataclasses.replace(
                encoded,
                embeds={**encoded.embeds, "speech": normalize(torch.randn(row % 3, 6, generator=generator), dim=-1)},
            ),
        )
        for row, (video, encoded) in enumerate(make_videos(number))
    ]


def make_spoken_queries(number: int, weights: Mapping[str, float]) -> EncodedQueries:
    """Queries of 8 tokens or fewer for frames and video, and of 1 to 3 for speech."""
    generator = torch.Generator().manual_seed(4)
    queries = make_queries(number)
    embeds = normalize(torch.randn(number, 3, 6, generator=generator), dim=-1)
    mask = torch.arange(3) < torch.randint(1, 4, (number, 1), generator=generator)
    return dataclasses.replace(
        queries,
        bags={**queries.bags, "text_model": QueryBags(embeds, mask, [[]] * number)},
        encoder_of_level={**queries.encoder_of_level, "speech": "text_model"},
        level_weights=weights,
    )


def score_by_loops(queries: EncodedQueries, row: int, encoded: EncodedVideo) -> float:
    """The weighted sum of MeanMaxSim, over levels, query tokens and stored tokens, one number after another."""
    total, is_found = 0.0, False
    for level, weight in queries.level_weights.items():
        stored = encoded.embeds[level].half().double().tolist()
        if not weight or not stored:
            continue
        bags = queries.bags_of(level)
        maxima = []
        for token, counts in zip(bags.embeds[row].double().tolist(), bags.mask[row].tolist(), strict=True):
            if counts:
                best = -math.inf
                for other in stored:
                    best = max(best, sum(one * two for one, two in zip(token, other, strict=True)))
                maxima.append(best)
        total, is_found = total + weight * sum(maxima) / len(maxima), True
    return total if is_found else -math.inf


def assert_best(hits: list[SearchHit], queries: EncodedQueries, row: int, videos: Videos, top_k: int) -> None:
    scored = sorted(((score_by_loops(queries, row, encoded), video.path) for video, encoded in videos), reverse=True)
    expected = [(score, path) for score, path in scored if score > -math.inf][:top_k]
    assert [hit.video for hit in hits] == [path for _, path in expected]
    assert [hit.score for hit in hits] == pytest.approx([score for score, _ in expected], abs=1e-5)


@pytest.mark.parametrize(
    "weights",
    [
        {"frame": 1.0, "video": 0.5, "speech": 0.2},
        {"frame": 0.0, "video": 1.0, "speech": 1.0},
        {"frame": 0.3, "speech": 2.0},
    ],
)
def test_three_levels_are_scored_as_the_formula_says_and_as_the_local_index_does(
    client: QdrantClient, tmp_path: Path, weights: dict[str, float]
) -> None:
    videos, queries = make_spoken_videos(60), make_spoken_queries(6, weights)
    index = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    index.add(videos)
    table = LanceIndex.create(tmp_path / "table", model=MODEL, num_frames=12)
    table.add(videos)
    found = index.search(queries, top_k=9)
    assert found == table.search(queries, top_k=9)
    held = {video.path: {level for level, bag in encoded.embeds.items() if len(bag)} for video, encoded in videos}
    for row, hits in enumerate(found):
        assert_best(hits, queries, row, videos, 9)
        assert all(set(hit.level_scores) == held[hit.video] for hit in hits)


def test_videos_without_tokens_on_any_level_that_counts_are_not_found(client: QdrantClient, tmp_path: Path) -> None:
    videos, queries = make_spoken_videos(30), make_spoken_queries(4, {"speech": 1.0})
    index = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    index.add(videos)
    table = LanceIndex.create(tmp_path / "table", model=MODEL, num_frames=12)
    table.add(videos)
    found = index.search(queries, top_k=30)
    assert found == table.search(queries, top_k=30)
    for row, hits in enumerate(found):
        assert len(hits) == 20
        assert_best(hits, queries, row, videos, 30)


def test_candidates_are_those_whose_pooled_vectors_are_nearest_over_all_levels(client: QdrantClient) -> None:
    weights = {"frame": 0.5, "video": 0.2, "speech": 2.0}
    videos, queries = make_spoken_videos(80), make_spoken_queries(5, weights)
    index = QdrantIndex.create(f"{URI}?candidates=12", model=MODEL, num_frames=12, client=client)
    index.add(videos)

    def pooled_score(row: int, encoded: EncodedVideo) -> float:
        total = 0.0
        for level, weight in weights.items():
            bags = queries.bags_of(level)
            if len(encoded.embeds[level]):
                query, stored = bags.embeds[row][bags.mask[row]].mean(dim=0), encoded.embeds[level].mean(dim=0)
                total += weight * float(query @ stored / (query.norm() * stored.norm()))
        return total

    for row, hits in enumerate(index.search(queries, top_k=5)):
        nearest = sorted(videos, key=lambda entry, row=row: -pooled_score(row, entry[1]))[:12]  # type: ignore[misc]
        assert_best(hits, queries, row, nearest, 5)


def test_levels_in_another_order_are_the_same_levels(client: QdrantClient) -> None:
    videos, queries = make_spoken_videos(40), make_spoken_queries(4, {"frame": 1.0, "video": 0.1, "speech": 0.5})
    index = QdrantIndex.create(f"{URI}?candidates=10", model=MODEL, num_frames=12, client=client)
    index.add(videos)
    expected = index.search(queries, top_k=10)
    index.remove([video.id for video, _ in videos[1:]])
    turned = [
        (video, dataclasses.replace(encoded, embeds=dict(reversed(list(encoded.embeds.items())))))
        for video, encoded in videos
    ]
    index.add(turned)
    assert index.search(queries, top_k=10) == expected


def test_an_index_without_a_frame_level_has_hits_without_moments(client: QdrantClient) -> None:
    videos = [
        (video, dataclasses.replace(encoded, embeds={"speech": encoded.embeds["speech"]}))
        for video, encoded in make_spoken_videos(12)
        if len(encoded.embeds["speech"])
    ]
    queries = make_spoken_queries(2, {"speech": 1.0})
    index = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    index.add(videos)
    for row, hits in enumerate(index.search(queries, top_k=3)):
        assert_best(hits, queries, row, videos, 3)
        assert all(hit.moments == () and hit.ranges == () for hit in hits)


def test_a_query_that_says_nothing_on_one_level_is_scored_by_the_others(client: QdrantClient) -> None:
    videos, queries = make_spoken_videos(30), make_spoken_queries(3, {"frame": 1.0, "video": 1.0, "speech": 1.0})
    queries.bags["text_model"].mask[1] = False
    index = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    index.add(videos)
    without_speech = dataclasses.replace(queries, level_weights={"frame": 1.0, "video": 1.0})
    hits, expected = (index.search(asked, top_k=5)[1] for asked in (queries, without_speech))
    assert [(hit.video, hit.score) for hit in hits] == [(hit.video, hit.score) for hit in expected]


def test_a_level_of_another_dimension_than_that_stored_is_refused(client: QdrantClient) -> None:
    index = QdrantIndex.create(URI, model=MODEL, num_frames=12, client=client)
    index.add(make_spoken_videos(3))
    [*_, (video, encoded)] = make_spoken_videos(3)
    other = dataclasses.replace(encoded, embeds={**encoded.embeds, "speech": torch.randn(2, 5)})
    with pytest.raises(ModelMismatchError, match=r"6 dimensions on level speech, not .* 5 dimensions on level speech"):
        index.add([(dataclasses.replace(video, digest="other"), other)])
    queries = make_spoken_queries(1, {"speech": 1.0})
    with pytest.raises(ModelMismatchError, match="none of the level screen_text"):
        index.search(
            dataclasses.replace(
                queries, encoder_of_level={"screen_text": "text_model"}, level_weights={"screen_text": 1.0}
            )
        )
