"""Passages of an index: derived from readings, found by meaning and by words, gone with their contents."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.index.made_videos import MODEL, make_video
from tests.text.tiny_text_models import save_native, save_stanford
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex
from video_colbert.index.lance.repair import repair_index, verify_index
from video_colbert.index.passages.encode_passages import EncodedPassages, encode_passages
from video_colbert.index.passages.reading_store import Reading
from video_colbert.text.passages import Passage
from video_colbert.text.text_model import TextModel

SPOKEN = {
    "a": ["The teacher explains photosynthesis.", "How leaves make energy"],
    "b": ["The dog catches the ball at night."],
    "c": ["Report number 1742 of the year.", "Costs of the engine: 1743"],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    return TextModel.from_pretrained(save_native(tmp_path_factory.mktemp("model") / "native"), device="cpu")


def spoken(content: str, *texts: str, settings: str = "tiny") -> Reading:
    passages = tuple(Passage("speech", text, 10.0 * n, 10.0 * n + 8.0) for n, text in enumerate(texts))
    return Reading(content, "speech", settings, passages)


def encode(index: LanceIndex, model: TextModel) -> EncodedPassages:
    return encode_passages(index.passages, index.readings, model)


@pytest.fixture
def index(tmp_path: Path, model: TextModel) -> LanceIndex:
    index = LanceIndex.create(tmp_path / "index", model=MODEL, num_frames=3)
    index.add([make_video(f"{content}.mp4", digest=content) for content in SPOKEN])
    shown = Reading("a", "screen_text", "ocr", (Passage("screen_text", "Zürich 1742", 3.0, 5.0),))
    index.readings.keep([*(spoken(content, *texts) for content, texts in SPOKEN.items()), shown])
    encode(index, model)
    return index


def test_an_index_without_passages_has_none(tmp_path: Path, model: TextModel) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    assert (len(index.passages), index.passages.model, index.passages.sources) == (0, None, ())
    assert index.passages.search(model.encode_queries(["red"]), "speech", count=3) == [[]]
    assert index.passages.search_keywords("red", count=3) == []
    assert encode(index, model) == EncodedPassages(0, 0, 0)
    assert index.passages.search_keywords("red", count=3) == []
    assert index.passages.search(model.encode_queries(["red"]), "speech", count=3) == [[]]


def test_the_best_passage_of_each_content_is_found_in_its_source(index: LanceIndex, model: TextModel) -> None:
    queries = model.encode_queries(["how leaves make energy", "the dog catches the ball at night"])
    energy, dog = LanceIndex.open(index.location).passages.search(queries, "speech", count=3)
    assert energy[0].stored.content == "a"
    assert energy[0].stored.passage == Passage("speech", "How leaves make energy", 10.0, 18.0)
    assert sorted(hit.stored.content for hit in energy) == ["a", "b", "c"]
    assert dog[0].stored.content == "b"
    [[written], _] = index.passages.search(queries, "screen_text", count=3)
    assert written.stored.passage == Passage("screen_text", "Zürich 1742", 3.0, 5.0)
    among, _ = index.passages.search(queries, "speech", count=3, contents=["b", "c"])
    assert sorted(hit.stored.content for hit in among) == ["b", "c"]


def test_each_token_knows_where_it_stands_in_the_text(index: LanceIndex, model: TextModel) -> None:
    [[hit]] = index.passages.search(model.encode_queries(["leaves"]), "speech", count=1, contents=["a"])
    assert hit.embeds is not None
    assert len(hit.letters) == len(hit.embeds)
    assert {0, 4, 11, 16} < set(hit.letters) or {0, 4, 12} < set(hit.letters)


def test_names_numbers_and_quotes_are_found_by_their_letters(index: LanceIndex) -> None:
    def contents(text: str) -> list[str]:
        return [hit.stored.content for hit in index.passages.search_keywords(text, count=3)]

    assert contents("1743") == ["c"]
    assert contents("zurich") == ["a"]
    assert set(contents("1742")) == {"a", "c"}
    assert contents('"catches the ball"') == ["b"]
    assert contents('"ball the catches"') == []
    assert contents("") == contents('""') == contents("nowhere") == []
    [hit] = index.passages.search_keywords("1742", count=3, sources=["speech"])
    assert hit.stored.passage.text == "Report number 1742 of the year."
    [hit] = index.passages.search_keywords("1742", count=3, contents=["a"])
    assert hit.stored.passage.source == "screen_text"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("植物通过光合作用制造能量", "光合作用"),
        ("東京の天気", '"天気"'),
        ("ประเทศไทยมีอากาศร้อน", "อากาศ"),
        ("u" * 60, "u" * 60),
    ],
)
def test_words_are_found_in_scripts_without_spaces_and_at_any_length(
    index: LanceIndex, model: TextModel, text: str, query: str
) -> None:
    index.readings.keep([spoken("d", text)])
    encode(index, model)
    assert [hit.stored.content for hit in index.passages.search_keywords(query, count=3)] == ["d"]


def test_only_what_is_new_is_encoded_and_what_was_read_anew_is_replaced(index: LanceIndex, model: TextModel) -> None:
    assert encode(index, model) == EncodedPassages(0, 0, 6)
    index.readings.keep([spoken("d", "music plays"), spoken("c", "Report number 1742 of the year.", settings="big")])
    assert encode(LanceIndex.open(index.location), model) == EncodedPassages(1, 1, 6)
    assert index.passages.search_keywords("1743", count=3) == []
    assert [hit.stored.content for hit in index.passages.search_keywords("music", count=3)] == ["d"]


def test_a_run_that_was_stopped_goes_on_with_what_is_missing(
    index: LanceIndex, model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.index.passages.encode_passages._A_COMMIT", 2)
    index.readings.keep([spoken("d", *(f"music plays {number}" for number in range(7)))])

    def stop(number: int) -> None:
        if number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_passages(index.passages, index.readings, model, progress=stop)
    opened = LanceIndex.open(index.location)
    assert len(opened.passages) == 6 + 4
    assert encode(opened, model) == EncodedPassages(3, 0, 13)
    assert [hit.stored.content for hit in opened.passages.search_keywords("6", count=3)] == ["d"]


def test_another_text_model_encodes_all_anew_from_what_was_read(
    index: LanceIndex, model: TextModel, tmp_path: Path
) -> None:
    assert index.passages.model == model.reference
    reader = LanceIndex.open(index.location)
    assert len(reader.passages.search(model.encode_queries(["how leaves make energy"]), "speech", count=1)[0]) == 1
    other = TextModel.from_pretrained(save_stanford(tmp_path / "stanford"), device="cpu")
    assert encode(index, other) == EncodedPassages(6, 0, 6)
    # Also in a process that searched before.
    for opened in (LanceIndex.open(index.location), reader):
        assert opened.passages.model == other.reference
        [found] = opened.passages.search(other.encode_queries(["how leaves make energy"]), "speech", count=1)
        assert found[0].stored.content == "a"


def test_passages_go_with_their_video(index: LanceIndex, model: TextModel) -> None:
    index.remove(["c"])
    assert len(index.passages) == 4
    assert index.passages.search_keywords("1743", count=3) == []
    assert encode(index, model) == EncodedPassages(0, 0, 4)


def test_no_file_holds_a_passage_of_a_forgotten_video(index: LanceIndex) -> None:
    folder = Path(index.location)

    def traces(mark: str) -> list[str]:
        files = (file for file in sorted(folder.rglob("*")) if file.is_file())
        return [file.name for file in files if mark.encode() in file.read_bytes()]

    assert traces("photosynthesis")
    index.forget(["a"])
    assert traces("photosynthesis") == traces("How leaves make energy") == []
    assert traces("catches the ball")
    assert [hit.stored.content for hit in index.passages.search_keywords("1742", count=3)] == ["c"]
    assert len(LanceIndex.open(folder).passages) == 3


def test_an_index_in_memory_has_passages(model: TextModel) -> None:
    index = LanceIndex.create("memory://", model=MODEL, num_frames=3)
    index.readings.keep([spoken("a", "music plays")])
    encode(index, model)
    assert [hit.stored.content for hit in index.passages.search_keywords("music", count=3)] == ["a"]
    [[hit]] = index.passages.search(model.encode_queries(["music"]), "speech", count=3)
    assert hit.stored.content == "a"


def test_damaged_passages_are_noticed_set_aside_and_made_again(index: LanceIndex, model: TextModel) -> None:
    files = list((Path(index.location) / "passages.lance" / "data").glob("*.lance"))
    for file in files:
        file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(IndexStoreError, match=r"passages\.lance/data/.* is truncated"):
        LanceIndex.open(index.location).passages.keys()
    with pytest.raises(IndexStoreError, match=r"passages\.lance/data/.* is truncated"):
        verify_index(index.location)
    assert repair_index(index.location).videos == len(SPOKEN)
    opened = LanceIndex.open(index.location)
    assert encode(opened, model).total == 6
    assert [hit.stored.content for hit in opened.passages.search_keywords("1743", count=3)] == ["c"]
    assert verify_index(index.location).videos == len(SPOKEN)
