"""What is read and found of texts in a Qdrant index, beside the Lance index of the same videos."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.text.tiny_text_models import save_native
from tests.video_files import write_clip
from video_colbert import open_index
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.errors import IndexStoreError
from video_colbert.index.index import Index
from video_colbert.text.description import DescriptionReader
from video_colbert.text.subtitles import SubtitleReader
from video_colbert.text.text_model import TextModel

ROOT = Path(__file__).parents[4]
SAID = {
    "a": ["The teacher explains photosynthesis.", "How leaves make energy of light and water, in 1742"],
    "b": ["The dog catches the ball at night.", "The dog's ball is red"],
    "c": ["Report number 1742 of the year.", "The engine costs 1,743 in Z\u00fcrich; a state-of-the-art engine"],
    "d": ["The red river runs to the green city", "Night music plays, the door opens"],
}
WORDS = [
    "river",
    "the red river",
    "The THE dog",
    "zurich 1742",
    "Z\u00fcrich",
    "state-of-the-art",
    '"red river"',
    '"the dog" night',
    '"river red"',
    '"1,743"',
    "1,743",
    "dog's",
    "absent",
    "...",
]
QUERIES = ["how leaves make energy", "the dog catches the ball at night", "report of the year 1742"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    return TextModel.from_pretrained(save_native(tmp_path_factory.mktemp("model") / "native"), device="cpu")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for seed, (name, said) in enumerate(SAID.items()):
        film = write_clip(folder / f"{name}.mp4", seed)
        cues = [
            f"{number + 1}\n00:00:{30 * number:02d},000 --> 00:00:{30 * number + 20:02d},000\n{text}\n"
            for number, text in enumerate(said)
        ]
        film.with_suffix(".srt").write_text("\n".join(cues))
    return folder


def made(address: str, videos: Path, encoder: VideoColBERTEncoder, model: TextModel) -> Index:
    index = open_index(address, encoder)
    index.text_model = model
    metadata = {f"{name}.mp4": {"number": number} for number, name in enumerate(SAID)}
    report = index.add(videos, metadata=metadata, readers=[SubtitleReader(), DescriptionReader()], workers=1)
    assert (len(report.added), report.read) == (4, {"subtitles": 4, "description": 4})
    return index


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, videos: Path, encoder: VideoColBERTEncoder, model: TextModel
) -> Iterator[tuple[Index, Index]]:
    folder = tmp_path_factory.mktemp("indexes")
    lance = made(str(folder / "lance"), videos, encoder, model)
    with made(f"qdrant+local://{folder}/qdrant", videos, encoder, model) as qdrant:
        yield lance, qdrant


def test_readings_and_passages_are_the_same(both: tuple[Index, Index]) -> None:
    lance, qdrant = (
        sorted(index.stored.readings.read(), key=lambda reading: (reading.digest, reading.source)) for index in both
    )
    assert qdrant == lance
    assert len(qdrant) == 8
    assert [len(reading.passages) for reading in qdrant if reading.source == "subtitles"] == [2] * 4
    for known in ("known", "problems"):
        of_lance, of_qdrant = (getattr(index.stored.readings, known)() for index in both)
        assert of_qdrant == of_lance
    some = {qdrant[0].digest, "none"}
    assert {reading.digest for reading in both[1].stored.readings.read(some)} == {qdrant[0].digest}
    passages = [index.stored.passages for index in both]
    assert passages[1].keys() == passages[0].keys()
    assert [(len(each), each.sources, each.model) for each in passages] == [
        (8, ("subtitles",), both[0].stored.passages.model)
    ] * 2


def test_passages_are_found_by_meaning_with_equal_scores_and_tokens(
    both: tuple[Index, Index], model: TextModel
) -> None:
    queries = model.encode_queries(QUERIES)
    digests = sorted(video.digest for video in both[0].videos)
    for contents in (None, digests[:2], []):
        lance, qdrant = (
            index.stored.passages.search(queries, "subtitles", count=3, contents=contents) for index in both
        )
        for of_lance, of_qdrant in zip(lance, qdrant, strict=True):
            assert [found.stored for found in of_qdrant] == [found.stored for found in of_lance]
            assert [found.score for found in of_qdrant] == pytest.approx([found.score for found in of_lance], abs=1e-5)
            assert [found.letters for found in of_qdrant] == [found.letters for found in of_lance]
            for found, other in zip(of_qdrant, of_lance, strict=True):
                assert found.embeds is not None
                assert other.embeds is not None
                assert found.embeds.tolist() == other.embeds.tolist()
    assert both[1].stored.passages.search(queries, "speech", count=3) == [[]] * 3


@pytest.mark.parametrize("words", WORDS)
def test_words_and_phrases_are_found_with_equal_scores(both: tuple[Index, Index], words: str) -> None:
    lance, qdrant = (index.stored.passages.search_keywords(words, count=4) for index in both)
    assert {found.stored.key: found.score for found in qdrant} == pytest.approx(
        {found.stored.key: found.score for found in lance}, abs=1e-5
    )
    assert [found.score for found in qdrant] == sorted((found.score for found in qdrant), reverse=True)
    for part in (["speech"], ["subtitles"]):
        counts = [len(index.stored.passages.search_keywords(words, count=4, sources=part)) for index in both]
        assert counts[0] == counts[1]


@pytest.mark.parametrize("fusion", ["calibrated", "reciprocal"])
@pytest.mark.parametrize("sources", [None, ["video"], ["subtitles"], ["keywords"], ["subtitles", "keywords"]])
@pytest.mark.parametrize("where", [None, "number >= 1"])
def test_a_search_over_sources_finds_the_same_with_equal_scores(
    both: tuple[Index, Index], sources: list[str] | None, where: str | None, fusion: str
) -> None:
    lance, qdrant = (
        index.search(QUERIES, sources=sources, where=where, fusion=fusion, top_k=4)  # type: ignore[call-overload]
        for index in both
    )
    for of_lance, of_qdrant in zip(lance, qdrant, strict=True):
        assert {hit.video: hit.score for hit in of_qdrant} == pytest.approx(
            {hit.video: hit.score for hit in of_lance}, abs=1e-5
        )
        by_video = {hit.video: hit for hit in of_lance}
        for hit in of_qdrant:
            other = by_video[hit.video]
            assert {each.source: (each.text, each.start, len(each.matched)) for each in hit.sources} == {
                each.source: (each.text, each.start, len(each.matched)) for each in other.sources
            }
            assert [moment.word for moment in hit.moments] == [moment.word for moment in other.moments]


def test_a_second_run_finds_nothing_new_and_removal_takes_the_texts_along(
    tmp_path: Path, videos: Path, encoder: VideoColBERTEncoder, model: TextModel
) -> None:
    with made(f"qdrant+local://{tmp_path}/index", videos, encoder, model) as index:
        again = index.add(videos, readers=[SubtitleReader(), DescriptionReader()], workers=1)
        assert (again.added, again.read, len(again.present)) == ([], {}, 4)
        before = index.stored.passages.keys()
        assert index.remove("a.mp4") == 1
        assert len(index.stored.passages) == 6
        assert {digest for digest, _ in index.stored.readings.known()} == {video.digest for video in index.videos}
        assert index.search("photosynthesis", sources=["keywords"]) == []
        assert index.forget(["b.mp4"])
        assert len(index.stored.passages) == 4
    with open_index(f"qdrant+local://{tmp_path}/index", encoder) as index:
        index.text_model = model
        assert len(index.stored.passages) == 4
        # What comes back is read and encoded again.
        report = index.add(videos, readers=[SubtitleReader()], workers=1)
        assert report.read == {"subtitles": 2}
        assert index.stored.passages.keys() == before
        [hit] = index.search("photosynthesis", sources=["keywords"])
        assert Path(hit.video).name == "a.mp4"


def test_another_content_at_a_path_replaces_the_texts_of_the_one_before(
    tmp_path: Path, encoder: VideoColBERTEncoder, model: TextModel
) -> None:
    film = write_clip(tmp_path / "videos" / "a.mp4", 1)
    said = film.with_suffix(".srt")
    said.write_text("1\n00:00:00,100 --> 00:00:00,900\nThe red river\n")
    with open_index(f"qdrant+local://{tmp_path}/index", encoder) as index:
        index.text_model = model
        index.add(film, readers=[SubtitleReader()], workers=1)
        write_clip(film, 2)
        said.write_text("1\n00:00:00,100 --> 00:00:00,900\nThe green city\n")
        index.add(film, readers=[SubtitleReader()], workers=1)
        assert len(index.stored.passages) == 1
        assert index.search("river", sources=["keywords"]) == []
        assert [hit.sources[0].text for hit in index.search("city", sources=["keywords"])] == ["The green city"]


def test_a_source_that_the_index_does_not_hold_is_refused_in_a_sentence(both: tuple[Index, Index]) -> None:
    with pytest.raises(
        IndexStoreError, match="holds nothing of the source speech; it holds video, subtitles, keywords"
    ):
        both[1].search("a dog", sources=["speech"])


@pytest.mark.slow
def test_another_process_finds_the_texts_too(
    tmp_path: Path, videos: Path, encoder: VideoColBERTEncoder, model: TextModel
) -> None:
    address = f"qdrant+local://{tmp_path}/index"
    with made(address, videos, encoder, model) as index:
        [hit] = index.search('"red river"', sources=["keywords"])
    script = (
        "import sys\n"
        "from video_colbert.index import open_index\n"
        "[found] = open_index(sys.argv[1]).stored.passages.search_keywords('\"red river\"', count=3)\n"
        "print(found.stored.passage.text, f'{found.score:.6f}')\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, address], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == f"The red river runs to the green city {hit.score:.6f}"
