from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.index.made_videos import MODEL, make_video
from tests.text.tiny_text_models import save_native
from video_colbert.errors import IndexStoreError
from video_colbert.index import Index, LanceIndex
from video_colbert.index.fusion.background import SourceBackground
from video_colbert.index.fusion.parameters import FusionParameters
from video_colbert.index.fusion.source_weights import SourceWeights
from video_colbert.index.index_notes import IndexNotes
from video_colbert.index.passages.encode_passages import encode_passages
from video_colbert.index.passages.reading_store import Reading
from video_colbert.index.passages.source_lists import measure_backgrounds, source_lists
from video_colbert.processing.query_tokens import warn_of_cut_captions
from video_colbert.text.passages import Passage
from video_colbert.text.text_model import TextModel

WORDS = ("leaves", "energy", "dog", "ball", "night", "report", "teacher", "music", "year", "number")
ASKED = ("speech", "description", "keywords")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Twenty videos with speech and descriptions, whose pictures are not asked."""
    model = TextModel.from_pretrained(save_native(tmp_path_factory.mktemp("model") / "native"), device="cpu")
    stored = LanceIndex.create(tmp_path_factory.mktemp("index") / "index", model=MODEL, num_frames=3)
    stored.add([make_video(f"{number}.mp4", digest=f"d{number}") for number in range(20)])
    readings = []
    for number in range(20):
        said = " ".join(WORDS[(number + step) % 10] for step in (0, 1, 3))
        told = " ".join(WORDS[(number * 3 + step) % 10] for step in (2, 4))
        readings.append(Reading(f"d{number}", "speech", "", (Passage("speech", said, 0.0, 2.0),)))
        readings.append(Reading(f"d{number}", "description", "", (Passage("description", told),)))
    stored.readings.keep(readings)
    encode_passages(stored.passages, stored.readings, model)
    return Index(LanceIndex.open(stored.location), text_model=model)


def test_lists_are_what_a_search_of_each_source_finds(index: Index) -> None:
    [lists] = source_lists(index, ["the dog and the ball"], ASKED)
    assert set(lists) == set(ASKED)
    for source, found in lists.items():
        hits = index.search("the dog and the ball", sources=[source], top_k=100)
        assert found == [(hit.video, hit.score) for hit in hits]
    assert len(lists["speech"]) == 20


def test_backgrounds_are_measured_by_texts_of_the_index(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def lists(of: Index, texts: list[str]) -> list[dict[str, list[tuple[str, float]]]]:
        asked.append(texts)
        return source_lists(of, texts, ASKED)

    monkeypatch.setattr("video_colbert.index.passages.source_lists.source_lists", lists)
    backgrounds = measure_backgrounds(index)
    # Of one word, of two and of four; the texts have no eight.
    assert [len(texts) for texts in asked] == [32, 32, 32]
    assert [{len(text.split()) for text in texts} for texts in asked[:2]] == [{1}, {2}]
    assert {"speech", "description"} <= set(backgrounds)
    assert [length for length, _ in backgrounds["speech"].points] == [
        sum(map(len, texts)) / len(texts) for texts in asked
    ]
    wrong = []
    for number in range(20):
        told = " ".join(WORDS[(number * 3 + step) % 10] for step in (2, 4))
        hits = index.search(told, sources=["speech"], top_k=100)
        wrong.append(max(hit.score for hit in hits if Path(hit.video).stem != str(number)))
    assert min(wrong) <= backgrounds["speech"].points[-1][1].centre <= max(wrong) + 0.5


def test_a_search_goes_by_what_the_index_notes_of_its_sources(index: Index) -> None:
    before = index.search("the dog and the ball", sources=["speech", "description"])
    backgrounds = {"speech": SourceBackground(100.0, 1.0), "description": SourceBackground(0.0, 0.01)}
    noted = IndexNotes(folders=("a",), fusion=FusionParameters(backgrounds=backgrounds))
    index.stored.set_notes(noted)
    assert index.stored.notes == noted
    after = index.search("the dog and the ball", sources=["speech", "description"])
    assert after[0].sources[0].source == "description"
    assert after[0].score > before[0].score
    with pytest.raises(IndexStoreError, match=r"needs a weight for speech; .*`video-colbert tune` learns them"):
        index.search("the dog", sources=["speech", "description"], fusion="learned")
    weights = {source: SourceWeights(1.0, 0.0) for source in ("speech", "description")}
    index.stored.set_notes(IndexNotes(fusion=FusionParameters(weights=weights)))
    assert len(index.search("the dog", sources=["speech", "description"], fusion="learned")) == 10


def test_nothing_is_said_of_texts_that_are_cut_where_nobody_asked_them(
    index: Index, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Processor:
        pass

    processor = Processor()

    def lists(of: Index, texts: list[str]) -> list[dict[str, list[tuple[str, float]]]]:
        warn_of_cut_captions(processor, len(texts), len(texts), 16)
        return [{} for _ in texts]

    monkeypatch.setattr("video_colbert.index.passages.source_lists.source_lists", lists)
    monkeypatch.setattr(index, "encoder", SimpleNamespace(processor=processor))
    assert measure_backgrounds(index) == {}
    assert caplog.messages == []
    lists(index, ["a text that somebody asks"])
    assert len(caplog.messages) == 1
