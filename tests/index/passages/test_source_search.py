"""Search over pictures and words, with a video index whose tokens and texts are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.index.made_videos import MODEL, make_queries, make_video
from tests.text.tiny_text_models import save_native, save_stanford
from video_colbert.errors import IndexStoreError, ModelMismatchError
from video_colbert.index import Index, LanceIndex
from video_colbert.index.passages.encode_passages import encode_passages
from video_colbert.index.passages.reading_store import Reading
from video_colbert.text.passages import Passage, TimedWord
from video_colbert.text.text_model import TextModel

TEXTS = {"a": "How leaves make energy", "b": "The dog catches the ball", "c": "Report number 1742 of the year"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    return TextModel.from_pretrained(save_native(tmp_path_factory.mktemp("model") / "native"), device="cpu")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, model: TextModel) -> Index:
    stored = LanceIndex.create(tmp_path_factory.mktemp("index") / "index", model=MODEL, num_frames=3)
    stored.add([make_video(f"{name}.mp4", digest=name, metadata={"name": name}) for name in [*TEXTS, "d", "e"]])
    readings = []
    for name, text in TEXTS.items():
        words = tuple(TimedWord(word, 2.0 + n, 2.5 + n) for n, word in enumerate(text.split()))
        readings.append(Reading(name, "speech", "tiny", (Passage("speech", text, 2.0, 8.0, words),)))
    readings.append(Reading("d", "description", "", (Passage("description", "music at night"),)))
    stored.readings.keep(readings)
    encode_passages(stored.passages, stored.readings, model)
    return Index(LanceIndex.open(stored.location))


def names(hits: object) -> list[str]:
    assert isinstance(hits, list)
    return [Path(hit.video).stem for hit in hits]


def test_a_sentence_is_found_in_speech_with_its_passage_words_and_times(index: Index) -> None:
    hit = index.search("leaves make energy", sources=["speech"])[0]
    assert (hit.rank, Path(hit.video).name, hit.start, hit.end) == (1, "a.mp4", 2.0, 8.0)
    [source] = hit.sources
    assert (source.source, source.rank, source.text, source.kind) == ("speech", 1, TEXTS["a"], "speech")
    assert (source.start, source.end) == (2.0, 8.0)
    times = {word.word: word.time for word in source.matched}
    assert times["leaves"] == 3.0
    assert times["energy"] == 5.0
    assert {moment.word: moment.time for moment in hit.moments} == times
    assert [(part.start, part.end) for part in hit.ranges] == [(2.0, 8.0)]


def test_one_source_ranks_by_the_score_of_its_model(index: Index, model: TextModel) -> None:
    hits = index.search("leaves make energy", sources=["speech"])
    queries = model.encode_queries(["leaves make energy"])
    tokens = queries.bags["text_model"].embeds[0]
    for hit in hits:
        [passage] = model.encode_passages([TEXTS[Path(hit.video).stem]])
        expected = float((tokens @ passage.embeds.T).max(dim=1).values.mean())
        assert hit.score == pytest.approx(expected, abs=1e-3)
    assert len(hits) == 3


def test_keywords_find_numbers_and_say_where_they_stand(index: Index) -> None:
    [hit] = index.search("1742", sources=["keywords"])
    [source] = hit.sources
    assert (Path(hit.video).stem, source.source, source.kind) == ("c", "keywords", "speech")
    assert source.quoted() == "Report number *1742* of the year"
    assert [(word.word, word.time) for word in source.matched] == [("1742", 4.0)]


def test_pictures_and_words_are_fused_and_a_hit_names_all_that_found_it(index: Index) -> None:
    queries = make_queries(1)
    seen = index.search(queries, sources=["video"])[0]
    assert seen[0].sources == ()
    [hits] = index.search(queries, sources=["video", "speech"])
    assert sorted(names(hits)) == ["a", "b", "c", "d", "e"]
    by_name = {Path(hit.video).stem: hit for hit in hits}
    assert {source.source for source in by_name["a"].sources} == {"video", "speech"}
    assert {source.source for source in by_name["e"].sources} == {"video"}
    ranks = {Path(hit.video).stem: hit.rank for hit in seen}
    for name, hit in by_name.items():
        [picture] = [source for source in hit.sources if source.source == "video"]
        assert picture.rank == ranks[name]
    written = hits.as_dict()["hits"][0]["sources"]
    assert {"source", "rank", "score", "text", "kind", "start", "end", "matched"} == set(written[0])


def test_all_that_is_held_is_asked_by_default(index: Index) -> None:
    [hits] = index.search(make_queries(1))
    found = {source.source for hit in hits for source in hit.sources}
    # "query 0" stands in no text.
    assert found == {"video", "speech", "description"}


def test_a_condition_holds_for_words_too(index: Index) -> None:
    assert names(index.search("leaves make energy", sources=["speech"], where="name = 'b'")) == ["b"]
    assert names(index.search("1742", sources=["keywords"], where="name = 'b'")) == []


def test_a_description_is_of_the_whole_video(index: Index) -> None:
    [hit] = index.search("music at night", sources=["description"])
    assert (hit.start, hit.end, hit.moments) == (0.0, 1.5, ())


def test_what_cannot_be_asked_is_one_clear_error(index: Index, tmp_path: Path) -> None:
    with pytest.raises(IndexStoreError, match="there is no source 'sound'; there are video, subtitles"):
        index.search("red", sources=["sound"])
    with pytest.raises(IndexStoreError, match="holds nothing of the source screen_text; it holds video, speech"):
        index.search("red", sources=["screen_text"])
    with pytest.raises(IndexStoreError, match="no source is named"):
        index.search("red", sources=[])
    with pytest.raises(ValueError, match="group_windows=False gives windows of pictures"):
        index.search("red", sources=["speech"], group_windows=False)
    other = TextModel.from_pretrained(save_stanford(tmp_path / "stanford"), device="cpu")
    with pytest.raises(ModelMismatchError, match=r"the passages of the index in .* were made with"):
        Index(index.stored, text_model=other).search("red", sources=["speech"])


def test_hits_are_shown_with_the_passage(index: Index) -> None:
    shown = index.search("1742", sources=["keywords"]).as_text()
    assert "keywords in speech 0:02.0-0:08.0  Report number *1742* of the year" in shown


def test_a_fusion_that_there_is_not_is_refused_whatever_is_asked(index: Index) -> None:
    for sources in (["speech"], ["speech", "keywords"]):
        with pytest.raises(ValueError, match=r"fusion must be one of calibrated, .*, got 'reciprok'"):
            index.search("leaves", sources=sources, fusion="reciprok")  # type: ignore[call-overload]
