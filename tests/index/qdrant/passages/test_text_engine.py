"""What the server computes of texts, on its own engine (Qdrant Edge) rather than on the client's imitation of it."""

from __future__ import annotations

from math import log
from pathlib import Path

import pytest
import qdrant_edge
import torch
from qdrant_client import models

from video_colbert.index.passages.passage_store import StoredPassage
from video_colbert.index.qdrant.passages.passage_points import WORDS, make_passage_point
from video_colbert.text.passages import Passage
from video_colbert.text.text_model import EncodedText

TEXTS = ["The red river runs", "A river, the river, and Z\u00fcrich in 1,742", "Red is the door", "The river is red"]


def bm25_by_loops(words: list[str], passages: list[list[str]]) -> dict[int, float]:
    """Robertson and Zaragoza's BM25 with k1 = 1.2 and b = 0.75."""
    mean = sum(map(len, passages)) / len(passages)
    scores: dict[int, float] = {}
    for number, passage in enumerate(passages):
        for word in words:
            having = sum(word in other for other in passages)
            times = passage.count(word)
            rarity = log(1 + (len(passages) - having + 0.5) / (having + 0.5))
            weight = times * 2.2 / (times + 1.2 * (0.25 + 0.75 * len(passage) / mean))
            scores[number] = scores.get(number, 0.0) + rarity * weight
    return {number: score for number, score in scores.items() if score}


@pytest.fixture
def shard(tmp_path: Path) -> qdrant_edge.EdgeShard:
    """A shard with the words of passages, indexed as `QdrantPassages` asks a server to."""
    # A shard here has vectors, a collection of a server need not.
    vectors = {"pooled": qdrant_edge.EdgeVectorParams(4, qdrant_edge.Distance.Dot)}
    shard = qdrant_edge.EdgeShard.create(str(tmp_path), qdrant_edge.EdgeConfig(vectors=vectors))
    index = qdrant_edge.TextIndexParams(
        tokenizer=qdrant_edge.TokenizerType.Word,
        phrase_matching=True,
        scoring=qdrant_edge.TextScoringParams(qdrant_edge.TextScoringType.Bm25),
    )
    shard.update(qdrant_edge.UpdateOperation.create_field_index(WORDS, index))
    encoded = EncodedText(torch.eye(4)[:2], ((0, 1), (1, 2)))
    points: list[models.PointStruct] = [
        make_passage_point(StoredPassage(str(number), 0, Passage("speech", text)), encoded)
        for number, text in enumerate(TEXTS)
    ]
    operation = qdrant_edge.UpdateOperation.upsert_points(
        [qdrant_edge.Point(str(point.id), {}, point.payload or {}) for point in points]
    )
    shard.update(operation)
    return shard


def ask(shard: qdrant_edge.EdgeShard, words: str, phrase: str | None = None) -> dict[int, float]:
    holds = None
    if phrase is not None:
        condition = qdrant_edge.FieldCondition(WORDS, match=qdrant_edge.MatchPhrase(phrase))
        holds = qdrant_edge.Filter(must=[condition])
    query = qdrant_edge.TextQuery(WORDS, words)
    found = shard.query(qdrant_edge.QueryRequest(limit=10, query=query, filter=holds, with_payload=True))
    return {int((point.payload or {})["content"]): point.score for point in found}


def test_the_engine_gives_the_scores_of_bm25(shard: qdrant_edge.EdgeShard) -> None:
    passages = [
        ["the", "red", "river", "runs"],
        ["a", "river", "the", "river", "and", "zurich", "in", "1", "742"],
        ["red", "is", "the", "door"],
        ["the", "river", "is", "red"],
    ]
    for words in ("river", "red river", "zurich 742", "the"):
        assert ask(shard, words) == pytest.approx(bm25_by_loops(words.split(), passages), abs=1e-5)


def test_the_engine_holds_a_phrase_to_the_order_of_its_words(shard: qdrant_edge.EdgeShard) -> None:
    assert set(ask(shard, "red river", "red river")) == {0}
    assert set(ask(shard, "the river", "the river")) == {1, 3}
    assert ask(shard, "river red", "river red") == {}
