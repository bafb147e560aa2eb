"""What was read goes through a contextual model with the pictures: first read, then encoded, again if it changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.index.ingest.made_readers import MadeReader
from tests.modeling_video_colbert.contextual_models import contextual_encoder
from tests.video_files import write_clip
from video_colbert import VideoClip, open_index
from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.index import Index
from video_colbert.index.index_notes import IndexNotes
from video_colbert.index.ingest.contextual_texts import ContextualTexts, read_before_encoding, texts_of_index
from video_colbert.index.passages.reading_store import Reading
from video_colbert.text.description import DescriptionReader
from video_colbert.text.passages import Passage, ReadPassages

CAPTION = "and now we add salt"


class TitleReader(DescriptionReader):
    """Says of every file the same, without a look at it."""

    def read(self, path: str, progress: Callable[[float], None] | None = None) -> ReadPassages:
        return ReadPassages([Passage("description", "cooking with salt")])


@pytest.fixture(scope="module")
def encoder(clip_backbone_folder: Path) -> VideoColBERTEncoder:
    return contextual_encoder(clip_backbone_folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(["a", "b"]):
        write_clip(tmp_path / "videos" / f"{name}.mp4", seed=seed)
    return tmp_path


def expected_scores(encoder: VideoColBERTEncoder, folder: Path, **texts: str) -> dict[str, float]:
    """What the model itself gives for the clips with texts, of which {name} is the file's name."""
    files = sorted((folder / "videos").iterdir())
    clips = [
        VideoClip(str(file), passages={level: text.format(name=file.name) for level, text in texts.items()})
        for file in files
    ]
    videos = [video for video in encoder.encode_videos(clips) if isinstance(video, EncodedVideo)]
    scores = encoder.similarity(encoder.encode_queries([CAPTION]), videos)[0]
    return {str(file): score for file, score in zip(files, scores.tolist(), strict=True)}


def found_scores(index: Index) -> dict[str, float]:
    return {hit.video: hit.score for hit in index.search(CAPTION, sources=["video"])}


@torch.no_grad()
def test_what_is_read_is_encoded_with_the_pictures_and_a_second_run_finds_nothing_new(
    encoder: VideoColBERTEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_index(folder / "index", encoder, codec="float32")
    report = index.add([folder / "videos"], readers=[MadeReader(folder / "log")], workers=1)
    assert report.counts() == {"added": 2, "read for speech": 2}
    expected = expected_scores(encoder, folder, speech="this is {name}")
    assert expected != pytest.approx(expected_scores(encoder, folder), abs=1e-3)
    assert found_scores(index) == pytest.approx(expected, abs=1e-5)

    def encodes_nothing(*_: object) -> None:
        raise AssertionError("there is nothing to encode")

    monkeypatch.setattr(VideoColBERTEncoder, "encode_decoded", encodes_nothing)
    for readers in ([MadeReader(folder / "log")], []):
        counts = index.add([folder / "videos"], readers=readers, workers=1).counts()
        assert counts == {"added": 0, "already there": 2}
    assert sorted((folder / "log").read_text().split()) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("scheme", ["", "qdrant+local://"])
@torch.no_grad()
def test_a_source_added_to_an_index_that_stands_is_encoded_with_what_was_read_before(
    encoder: VideoColBERTEncoder, folder: Path, scheme: str
) -> None:
    index = open_index(f"{scheme}{folder}/index", encoder)
    metadata = {"a.mp4": {"year": 2020}, "b.mp4": {"year": 2021}}
    index.add([folder / "videos"], readers=[MadeReader(folder / "log")], metadata=metadata, workers=1)
    report = index.add([folder / "videos"], readers=[TitleReader()], workers=1)
    assert report.counts() == {"added": 0, "encoded again with their texts": 2, "read for description": 2}
    expected = expected_scores(encoder, folder, speech="this is {name}", description="cooking with salt")
    # Both keep 16 bits a number.
    assert found_scores(index) == pytest.approx(expected, abs=1e-3)
    assert [video.metadata["year"] for video in sorted(index.videos, key=lambda video: video.path)] == [2020, 2021]
    assert index.stored.notes.texts_due == ()
    assert len(index) == 2


@torch.no_grad()
def test_what_was_read_before_a_run_was_killed_is_encoded_by_the_next(
    encoder: VideoColBERTEncoder, folder: Path
) -> None:
    index = open_index(folder / "index", encoder, codec="float32")
    index.add([folder / "videos"], workers=1)
    files = sorted((folder / "videos").iterdir())
    texts = texts_of_index(index.stored, lambda: ())
    _, read = read_before_encoding(index.stored, texts, [TitleReader()], files, metadata={}, workers=1)
    due = {video.digest for video in index.videos}
    assert read.due == due
    assert set(index.stored.notes.texts_due) == due
    report = index.add([folder / "videos"], workers=1)
    assert report.counts() == {"added": 0, "encoded again with their texts": 2}
    assert found_scores(index) == pytest.approx(
        expected_scores(encoder, folder, description="cooking with salt"), abs=1e-5
    )
    assert index.add([folder / "videos"], workers=1).counts() == {"added": 0, "already there": 2}


class Kept:
    def read(self, digests: object = None) -> list[Reading]:
        spoken = (Passage("speech", "first", 0.0, 4.0), Passage("speech", "second", 4.0, 9.0))
        return [
            Reading("d", "speech", "s", spoken),
            Reading("d", "subtitles", "s", ()),
            Reading("d", "description", "s", (Passage("description", "of it all"),)),
        ]


def test_a_window_has_the_passages_that_are_in_it_and_the_whole_video_all() -> None:
    texts = ContextualTexts(Kept(), ["speech", "screen_text", "description"])
    assert texts.of_window("d", (None, None)) == {"speech": "first second", "description": "of it all"}
    assert texts.of_window("d", (4.0, None)) == {"speech": "second", "description": "of it all"}
    assert texts.of_window("d", (3.9, 4.0)) == {"speech": "first", "description": "of it all"}
    assert ContextualTexts(Kept(), ["speech"]).held(["d"]).of_window("d", (9.0, 10.0)) == {}
    assert ContextualTexts(Kept(), []).of_window("d", (None, None)) == {}


def test_notes_of_what_is_due_are_kept_and_go_with_the_contents() -> None:
    notes = IndexNotes(texts_due=("one", "two"))
    assert IndexNotes.from_text(notes.to_text()) == notes
    assert notes.without_contents({"one"}).texts_due == ("two",)
