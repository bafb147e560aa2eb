"""Videos that are forgotten, searched for in every byte of an index's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.index.made_videos import MODEL, make_queries, make_video
from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.index import IndexedVideo, LanceIndex

Made = tuple[IndexedVideo, EncodedVideo]


def traces(folder: Path, video: IndexedVideo, encoded: EncodedVideo) -> list[str]:
    """The files that hold a video's path, its digest, or the first of its tokens as they are stored."""
    marks = [video.path.encode(), video.digest.encode(), encoded.embeds["frame"][0].half().numpy().tobytes()]
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return [str(file.relative_to(folder)) for file in files if any(mark in file.read_bytes() for mark in marks)]


@pytest.fixture
def made(tmp_path: Path) -> list[Made]:
    """An index of a file of ninety videos and one of ten, of which one changed its path."""
    videos = [make_video(f"number {number:03}.mp4", seed=number) for number in range(100)]
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add(videos[:90])
    index.move({videos[7][0].id: "/videos/moved.mp4"})
    index.add(videos[90:])
    return videos


@pytest.mark.parametrize("numbers", [[3], [7], [3, 60, 95], range(90), range(100)])
def test_no_file_holds_a_forgotten_video_and_all_others_are_as_they_were(
    tmp_path: Path, made: list[Made], numbers: range
) -> None:
    index = LanceIndex.open(tmp_path)
    gone, kept = (
        [made[number] for number in numbers],
        [pair for pair in made if pair not in [made[n] for n in numbers]],
    )
    assert all(traces(tmp_path, *pair) for pair in made)
    queries = make_queries()
    before = [{hit.video: hit.score for hit in hits} for hits in index.search(queries, top_k=100)]
    paths = {video.path for video in index.videos if video.id in {video.id for video, _ in gone}}
    assert list(index.forget([*(video.id for video, _ in gone), "no such id"])) == []
    assert [traces(tmp_path, *pair) for pair in gone] == [[]] * len(gone)
    assert all(traces(tmp_path, *pair) for pair in kept)
    for opened in (index, LanceIndex.open(tmp_path)):
        after = [{hit.video: hit.score for hit in hits} for hits in opened.search(queries, top_k=100)]
        assert after == [{path: score for path, score in row.items() if path not in paths} for row in before]


def test_one_of_many_in_a_file_is_forgotten_too(tmp_path: Path) -> None:
    # Too few for Lance to write a file anew when it merges, and there is nothing to merge it with.
    videos = [make_video(f"number {number:03}.mp4", seed=number) for number in range(100)]
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add(videos)
    index.forget([videos[3][0].id])
    assert traces(tmp_path, *videos[3]) == []
    assert all(traces(tmp_path, *pair) for pair in videos if pair is not videos[3])


def test_nothing_is_forgotten_where_no_id_is_known(tmp_path: Path, made: list[Made]) -> None:
    index = LanceIndex.open(tmp_path)
    index.forget(["no such id"])
    assert len(LanceIndex.open(tmp_path)) == len(made)


def test_an_index_takes_a_forgotten_video_again(tmp_path: Path, made: list[Made]) -> None:
    index = LanceIndex.open(tmp_path)
    index.forget([made[3][0].id])
    index.add([made[3]])
    assert len(LanceIndex.open(tmp_path)) == len(made)
    assert traces(tmp_path, *made[3])
