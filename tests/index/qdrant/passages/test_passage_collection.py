"""Texts in collections of their own: on a server, and as they follow their videos."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from qdrant_client import QdrantClient, models

from tests.index.made_videos import MODEL, make_video
from tests.index.qdrant.qdrant_server import serve
from tests.text.tiny_text_models import save_native
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import IndexStoreError
from video_colbert.index.passages.encode_passages import EncodedPassages, encode_passages
from video_colbert.index.passages.reading_store import Reading
from video_colbert.index.qdrant.passages import side_collection
from video_colbert.index.qdrant.passages.side_collection import SideCollection
from video_colbert.index.qdrant.qdrant_index import QdrantIndex
from video_colbert.text.passages import Passage
from video_colbert.text.text_model import TextModel

URI = "qdrant://host:6333/videos"
SPOKEN = {"a": ["The teacher explains photosynthesis.", "How leaves make energy"], "b": ["The red river runs"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    return TextModel.from_pretrained(save_native(tmp_path_factory.mktemp("model") / "native"), device="cpu")


def spoken(content: str, *texts: str, settings: str = "tiny") -> Reading:
    passages = tuple(Passage("speech", text, 10.0 * n, 10.0 * n + 8.0) for n, text in enumerate(texts))
    return Reading(content, "speech", settings, passages)


def filled(uri: str, model: TextModel, client: QdrantClient | None = None) -> QdrantIndex:
    index = QdrantIndex.create(uri, model=MODEL, num_frames=3, client=client)
    index.add([make_video(f"{content}.mp4", digest=content) for content in SPOKEN])
    index.readings.keep([spoken(content, *texts) for content, texts in SPOKEN.items()])
    assert encode_passages(index.passages, index.readings, model) == EncodedPassages(3, 0, 3)
    return index


def test_an_index_without_texts_has_none_and_makes_no_collection(client: QdrantClient, model: TextModel) -> None:
    index = QdrantIndex.create(URI, model=MODEL, num_frames=3, client=client)
    assert (len(index.passages), index.passages.model, index.passages.sources) == (0, None, ())
    assert index.passages.search(model.encode_queries(["red"]), "speech", count=3) == [[]]
    assert index.passages.search_keywords("red", count=3) == []
    assert (dict(index.readings.known()), list(index.readings.read())) == ({}, [])
    assert index.remove(["none"]) == 0
    assert [each.name for each in client.get_collections().collections] == ["videos"]
    index.passages.prepare(model.reference)
    assert index.passages.search_keywords("red", count=3) == []
    assert index.passages.search(model.encode_queries(["red"]), "speech", count=3) == [[]]


def test_a_server_is_asked_for_the_texts_by_an_index_of_words_and_phrases(model: TextModel) -> None:
    with serve() as server:
        index = filled(f"qdrant://127.0.0.1:{server.port}/videos?shards=3", model)
        asked = server.bodies["PUT /collections/videos__passages/index"]
        assert asked["field_name"] == "words"
        assert asked["field_schema"]["phrase_matching"] is True
        assert asked["field_schema"]["scoring"] == {"type": "bm25"}
        assert server.bodies["PUT /collections/videos__passages"]["shard_number"] == 3
        again = QdrantIndex.open(f"qdrant://127.0.0.1:{server.port}/videos")
        assert (again.passages.sources, again.passages.model) == (("speech",), model.reference)
        [[found, *_]] = again.passages.search(model.encode_queries(["the red river runs"]), "speech", count=2)
        assert found.stored.passage == Passage("speech", "The red river runs", 0.0, 8.0)
        [quoted] = again.passages.search_keywords('"red river"', count=2)
        assert quoted.stored == found.stored
        assert again.readings.problems() == {}
        assert again.remove([video.id for video in again.videos if video.digest == "b"]) == 1
        assert [reading.digest for reading in index.readings.read()] == ["a"]
        assert again.passages.search_keywords("river", count=2) == []
        index.close()
        again.close()


def test_an_upload_of_texts_that_is_broken_off_is_repeated(model: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("video_colbert.index.qdrant.changes._PAUSES", (0.0, 0.0))
    with serve() as server:
        index = filled(f"qdrant://127.0.0.1:{server.port}/videos", model)
        server.drops, server.half_done = 2, True
        index.readings.keep([spoken("c", "Night music plays")])
        server.drops = 2
        assert encode_passages(index.passages, index.readings, model) == EncodedPassages(1, 0, 4)
        assert len(index.passages) == 4
        index.close()


def test_what_was_read_of_a_content_stays_while_one_of_its_files_does(client: QdrantClient, model: TextModel) -> None:
    index = filled(URI, model, client)
    windows = [make_video("b.mp4", digest="b", start=start, end=start + 5.0) for start in (0.0, 5.0)]
    index.add(windows)
    of_content = [video.id for video in index.videos if video.digest == "b"]
    assert len(of_content) == 3
    index.remove(of_content[:2])
    assert ("b", "speech") in index.readings.known()
    assert len(index.passages) == 3
    index.remove(of_content[2:])
    assert set(index.readings.known()) == {("a", "speech")}
    held = index.passages.keys()
    assert {key.split("/")[0] for key in held} == {"a"}


def test_another_reading_and_another_model_take_the_place_of_what_was_there(
    client: QdrantClient, model: TextModel
) -> None:
    index = filled(URI, model, client)
    index.readings.keep([spoken("b", "The green city", settings="another"), spoken("b", "Night", settings="last")])
    assert index.readings.known()["b", "speech"] == "last"
    assert encode_passages(index.passages, index.readings, model) == EncodedPassages(1, 1, 3)
    assert index.passages.search_keywords("river", count=3) == []
    index.passages.prepare(ModelReference("another", "1"))
    assert (len(index.passages), index.passages.model) == (0, ModelReference("another", "1"))


def test_what_no_video_has_any_longer_is_forgotten_without_ids(client: QdrantClient, model: TextModel) -> None:
    index = filled(URI, model, client)
    index.readings.keep([spoken("gone", "Nobody has this")])
    encode_passages(index.passages, index.readings, model)
    assert index.forget([])
    assert {digest for digest, _ in index.readings.known()} == {"a", "b"}
    assert index.passages.search_keywords("nobody", count=3) == []


def test_tokens_are_renewed_in_place(client: QdrantClient) -> None:
    index = QdrantIndex.create(URI, model=MODEL, num_frames=3, client=client)
    (video, encoded), other = make_video("a.mp4", digest="a"), make_video("b.mp4", digest="b")
    index.add([(video, encoded), other])
    index.set_metadata({video.id: {"title": "kept"}})
    renewed = make_video("a.mp4", digest="a", seed=9)[1]
    index.add([(video, renewed)], renews=True)
    for level, tokens in renewed.embeds.items():
        assert index.tokens_of([video.id])[level].bag(0).tolist() == tokens.half().tolist()
    assert {each.id: each.metadata for each in index.videos} == {video.id: {"title": "kept"}, other[0].id: {}}
    assert len(index) == 2


def test_of_two_that_make_a_collection_at_once_both_keep_what_they_read(
    client: QdrantClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = QdrantIndex.create(URI, model=MODEL, num_frames=3, client=client)
    second = QdrantIndex.open(URI, client=client)
    first.readings.keep([spoken("a", "one")])
    described = SideCollection.described
    answers = iter([lambda _: None])
    monkeypatch.setattr(SideCollection, "described", lambda self: next(answers, described)(self))
    second.readings.keep([spoken("b", "two")])
    assert {reading.digest for reading in first.readings.read()} == {"a", "b"}


def test_of_two_that_make_passages_of_different_models_at_once_the_later_is_told(
    client: QdrantClient, model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = QdrantIndex.create(URI, model=MODEL, num_frames=3, client=client)
    index.passages.prepare(model.reference)
    # As if the other had made it after this one had deleted what was there.
    monkeypatch.setattr(SideCollection, "drop", lambda self: None)
    with pytest.raises(IndexStoreError, match="another process has just made the collection videos__passages"):
        index.passages.prepare(ModelReference("another", "1"))
    assert index.passages.model == model.reference


def test_a_collection_of_another_program_under_the_name_is_refused_and_left(client: QdrantClient) -> None:
    client.create_collection("videos__readings", vectors_config={})
    index = QdrantIndex.create(URI, model=MODEL, num_frames=3, client=client)
    with pytest.raises(IndexStoreError, match=r"the collection videos__readings at .* is none of this release"):
        index.readings.keep([spoken("a", "text")])


def test_damaged_readings_are_one_sentence(client: QdrantClient, model: TextModel) -> None:
    index = filled(URI, model, client)
    client.set_payload("videos__readings", {"passages": "[1]"}, points=models.Filter())
    with pytest.raises(IndexStoreError, match="is damaged: what its collection of readings holds of"):
        list(index.readings.read())
    client.set_payload("videos__readings", {"source": "smell"}, points=models.Filter())
    with pytest.raises(IndexStoreError, match="names the source 'smell', which is none"):
        index.readings.known()


def test_a_condition_on_more_contents_than_a_request_names_is_refused(
    client: QdrantClient, model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = filled(URI, model, client)
    monkeypatch.setattr(side_collection, "_MOST_CONTENTS", 1)
    words = re.escape("holds of 2 contents of the index at qdrant://host:6333/videos__passages, and a search")
    with pytest.raises(IndexStoreError, match=words):
        index.passages.search_keywords("river", count=3, contents={"a", "b"})


def test_a_folder_of_texts_is_opened_again(tmp_path: Path, model: TextModel) -> None:
    address = f"qdrant+local://{tmp_path}/index"
    filled(address, model).close()
    index = QdrantIndex.open(address)
    assert [found.stored.content for found in index.passages.search_keywords("leaves", count=3)] == ["a"]
    index.close()
