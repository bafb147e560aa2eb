from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip
from video_colbert.encoding.encoded import VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.media_files import content_digest
from video_colbert.evaluation.embedding_cache import EmbeddingCache
from video_colbert.index import LanceIndex
from video_colbert.processing import decode_video
from video_colbert.training.frame_cache import FrameCache


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDEO_COLBERT_CACHE", str(tmp_path / "cache"))
    for seed in range(4):
        write_clip(tmp_path / "videos" / f"unmistakable{seed}.mp4", seed)
    return tmp_path / "videos"


@pytest.fixture
def index(tmp_path: Path, videos: Path, checkpoint_folder: Path, run_command: RunCommand) -> Path:
    """An index of four videos in windows, which several commits made."""
    command = ("index", videos, "--model", checkpoint_folder, "--index", tmp_path / "index", "--windows", "2")
    assert run_command(*command)[0] == 0
    write_clip(videos / "later.mp4", 7)
    assert run_command(*command)[0] == 0
    return tmp_path / "index"


def files_with(folder: Path, marks: Iterable[str]) -> list[str]:
    """The files below a folder whose bytes or names hold one of some texts."""
    wanted = [mark.encode() for mark in marks]
    return [
        str(file.relative_to(folder))
        for file in sorted(folder.rglob("*"))
        if file.is_file() and any(mark in file.read_bytes() or mark in str(file).encode() for mark in wanted)
    ]


def stored(index: Path) -> set[str]:
    return {Path(video.path).name for video in LanceIndex.open(index).videos}


def test_removed_videos_are_found_no_more_and_what_is_not_there_removes_nothing(
    index: Path, videos: Path, run_command: RunCommand
) -> None:
    digest = content_digest(str(videos / "unmistakable1.mp4"))
    code, out, _ = run_command("remove", videos / "unmistakable0.mp4", digest, "--index", index)
    assert (code, out) == (0, f"2 videos in 4 windows removed; the index in {index} holds 3 videos in 6 windows.\n")
    assert stored(index) == {"unmistakable2.mp4", "unmistakable3.mp4", "later.mp4"}
    code, out, err = run_command("remove", "later.mp4", "lost.mp4", "--index", index)
    assert (code, out) == (1, "")
    assert f"not in the index in {index}: lost.mp4; nothing was removed" in err
    assert "later.mp4" in stored(index)


def test_nothing_of_a_forgotten_video_is_left_in_the_files_of_the_index(
    index: Path, videos: Path, run_command: RunCommand
) -> None:
    forgotten, kept = videos / "unmistakable1.mp4", videos / "unmistakable2.mp4"
    marks = {path: [str(path), content_digest(str(path))] for path in (forgotten, kept)}
    # A removed one is still in the files of earlier versions.
    assert files_with(index, marks[forgotten])
    search = ("search", "a red circle", "--index", index, "--json")
    before = {hit["video"]: hit for hit in json.loads(run_command(*search)[1])["hits"]}
    code, out, _ = run_command("forget", forgotten.name, "--index", index)
    assert code == 0
    assert files_with(index, marks[forgotten]) == []
    assert files_with(index, marks[kept])
    assert out.splitlines()[:4] == [
        "Forgotten:",
        f"  {forgotten}",
        "Deleted, with earlier versions:",
        f"  1 video in 2 windows of the index in {index}",
    ]
    after = {hit["video"]: hit for hit in json.loads(run_command(*search)[1])["hits"]}
    del before[str(forgotten)]
    assert after == {path: {**hit, "rank": after[path]["rank"]} for path, hit in before.items()}
    assert run_command("verify-index", "--index", index)[0] == 0


def test_the_last_video_of_an_index_can_be_forgotten(index: Path, run_command: RunCommand) -> None:
    names = stored(index)
    assert run_command("forget", *names, "--index", index)[0] == 0
    assert files_with(index, ["unmistakable", "later.mp4"]) == []
    assert len(LanceIndex.open(index)) == 0


def test_what_removed_videos_left_goes_without_naming_them(index: Path, videos: Path, run_command: RunCommand) -> None:
    marks = ["unmistakable1.mp4", content_digest(str(videos / "unmistakable1.mp4"))]
    kept = stored(index) - {"unmistakable1.mp4"}
    assert run_command("remove", "unmistakable1.mp4", "--index", index)[0] == 0
    assert files_with(index, marks)
    code, _, err = run_command("forget", "unmistakable1.mp4", "--index", index)
    assert code == 1
    assert f"nothing was removed; `video-colbert forget --index {index}` without VIDEO deletes what" in err
    code, out, _ = run_command("forget", "--index", index)
    assert code == 0
    assert f"  what videos that were removed or replaced before had left in the index in {index}" in out
    assert files_with(index, marks) == []
    assert stored(index) == kept


def test_files_of_a_cached_index_come_back_and_a_damaged_one_stops_nothing(
    tmp_path: Path, index: Path, videos: Path, run_command: RunCommand, checkpoint_folder: Path
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    shutil.copy(videos / "unmistakable1.mp4", copies / "other name.mp4")
    shutil.copy(videos / "unmistakable2.mp4", copies / "second.mp4")
    search = ("search", "red", "--model", checkpoint_folder, "--paths-only", "--in")
    assert len(run_command(*search, copies)[1].splitlines()) == 2
    damaged = tmp_path / "cache" / "indexes" / "damaged" / "index"
    damaged.mkdir(parents=True)
    (damaged / "videos.lance").write_text("no table")
    code, out, _ = run_command("forget", "unmistakable1.mp4", "--index", index)
    assert code == 0
    assert "1 video of the index that `search --in` keeps in" in out
    assert f"the index that `search --in` keeps in {damaged.parent}; delete that folder: " in out
    assert files_with(index, ["unmistakable1.mp4"]) == []
    shutil.rmtree(damaged.parent)
    assert sorted(run_command(*search, copies)[1].splitlines()) == sorted(map(str, copies.iterdir()))


def test_caches_that_are_named_are_forgotten_in_and_others_are_told_of(
    tmp_path: Path, index: Path, videos: Path, run_command: RunCommand, checkpoint_folder: Path
) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    embeddings, frames = EmbeddingCache(tmp_path / "embeddings", encoder), FrameCache(tmp_path / "frames", 10**9)
    paths = [str(videos / f"unmistakable{number}.mp4") for number in (1, 2)]
    kept = {}
    for path in paths:
        clip = VideoClip(path)
        place = embeddings.video_path(clip)
        [video] = encoder.encode_videos([path])
        embeddings.write_video(place, video)
        keys = [FrameCache.key({"path": path}, {"num_frames": number}) for number in (2, 3)]
        for key in keys:
            frames.put(key, decode_video(path, 2))
        kept[path] = [place, *(tmp_path / "frames" / f"{key}.frames" for key in keys)]
    run_command("search", "red", "--in", videos, "--model", checkpoint_folder)
    options = ("--cache-dir", tmp_path / "embeddings", "--frame-cache", tmp_path / "frames")
    code, out, _ = run_command("forget", paths[0], "--index", index, *options)
    assert code == 0
    assert f"  1 entry of the embeddings in {tmp_path / 'embeddings'}" in out
    assert f"  2 entries of the frames in {tmp_path / 'frames'}" in out
    assert f"  1 video of the index that `search --in` keeps in {tmp_path / 'cache'}" in out
    assert not any(file.exists() for file in kept[paths[0]])
    assert all(file.exists() for file in kept[paths[1]])
    assert files_with(tmp_path / "cache", [paths[0], content_digest(paths[0])]) == []
    assert files_with(tmp_path / "cache", [paths[1]])
    out = run_command("forget", paths[1], "--index", index)[1]
    beyond = out[out.index("Not reached:") :]
    assert "name it with --cache-dir" in beyond
    assert "name it with --frame-cache" in beyond
    assert all(file.exists() for file in kept[paths[1]])


def test_a_cache_that_is_not_there_is_one_sentence(tmp_path: Path, index: Path, run_command: RunCommand) -> None:
    code, _, err = run_command("forget", "later.mp4", "--index", index, "--cache-dir", tmp_path / "none")
    assert code == 1
    assert f"there is no folder {tmp_path / 'none'} of cached embeddings" in err
