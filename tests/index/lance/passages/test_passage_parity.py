"""The best passages of an index against sentence-transformers' own similarity over all pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sentence_transformers import MultiVectorEncoder

from tests.index.made_videos import MODEL
from tests.text.tiny_text_models import PASSAGES, QUERIES, save_native, save_pylate, save_stanford
from video_colbert.index import LanceIndex
from video_colbert.index.passages.encode_passages import encode_passages
from video_colbert.index.passages.reading_store import Reading
from video_colbert.text.passages import Passage
from video_colbert.text.text_model import TextModel


@pytest.mark.parametrize("save", [save_native, save_pylate, save_stanford])
def test_the_ten_best_and_their_scores_are_those_of_the_library(save: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    model = TextModel.from_pretrained(folder, device="cpu")
    index = LanceIndex.create(tmp_path / "index", model=MODEL, num_frames=3, codec="float32")
    index.readings.keep(
        [Reading(str(number), "document", "", (Passage("document", text),)) for number, text in enumerate(PASSAGES)]
    )
    report = encode_passages(index.passages, index.readings, model)
    assert (report.added, report.removed, report.total) == (len(PASSAGES), 0, len(PASSAGES))
    queries = model.encode_queries(QUERIES)
    found = LanceIndex.open(index.location).passages.search(queries, "document", count=10)

    theirs = MultiVectorEncoder(str(folder), device="cpu")
    expected = theirs.similarity(theirs.encode_query(QUERIES), theirs.encode_document(PASSAGES))
    for query, factor in enumerate(model.score_factors(queries)):
        best = expected[query].topk(10)
        assert [int(hit.stored.content) for hit in found[query]] == best.indices.tolist()
        scores = [factor * hit.score for hit in found[query]]
        assert scores == pytest.approx(best.values.tolist(), rel=0, abs=1e-4)
