"""`search --in`: folders that are searched without making an index of them first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.hub.clients import HubClient
from tests.hub_stand_in import HubStandIn
from tests.video_files import write_clip
from video_colbert import VideoColBERTEncoder
from video_colbert.cache_folder import cache_folder
from video_colbert.commands.arguments.model_arguments import DEFAULT_MODEL
from video_colbert.commands.user_cache import CachedIndex
from video_colbert.encoding.media_files import FileState, read_state


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDEO_COLBERT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "CLIPS"
    for seed in range(3):
        write_clip(folder / f"{seed}.mp4", seed)
    return folder


def search(
    run_command: RunCommand, clips: Path, model: Path, *options: str | Path
) -> tuple[int, dict[str, float], str]:
    code, out, err = run_command("search", "red", "circle", "--in", clips, "--model", model, "--json", *options)
    hits = {} if code == 1 else {hit["video"]: hit["score"] for hit in json.loads(out)["hits"]}
    return code, hits, err.strip().splitlines()[-1]


def scored_by_hand(encoder: VideoColBERTEncoder, clips: Path) -> dict[str, float]:
    """The score of each file that is there, encoded anew without an index."""
    paths = sorted(map(str, clips.iterdir()))
    return {hit.video: pytest.approx(hit.score, abs=2e-3) for hit in encoder.rerank("red circle", paths)}


def test_a_folder_is_searched_as_it_is_now_and_what_changed_is_said(
    clips: Path, run_command: RunCommand, checkpoint_folder: Path
) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    assert search(run_command, clips, checkpoint_folder) == (0, scored_by_hand(encoder, clips), "3 added; 3 videos")
    assert search(run_command, clips, checkpoint_folder) == (
        0,
        scored_by_hand(encoder, clips),
        "nothing new; 3 videos",
    )
    (clips / "0.mp4").rename(clips / "renamed.mp4")
    (clips / "1.mp4").unlink()
    write_clip(clips / "new.mp4", 9)
    write_clip(clips / "more.mp4", 10)
    line = "2 added, 1 moved, 1 removed; 4 videos"
    assert search(run_command, clips, checkpoint_folder) == (0, scored_by_hand(encoder, clips), line)
    # Another content under a known name.
    write_clip(clips / "2.mp4", 11)
    assert search(run_command, clips, checkpoint_folder) == (0, scored_by_hand(encoder, clips), "1 added; 4 videos")


def test_what_did_not_change_is_not_read(
    clips: Path, run_command: RunCommand, checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(run_command, clips, checkpoint_folder)
    read: list[str] = []

    def read_and_note(source: str, file: str) -> FileState:
        read.append(source)
        return read_state(source, file)

    def start(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("video_colbert.index.ingest.known_files.read_state", read_and_note)
    monkeypatch.setattr("video_colbert.encoding.bulk_encoder.BulkEncoder", start)
    assert search(run_command, clips, checkpoint_folder)[0] == 0
    assert read == []
    (clips / "0.mp4").touch()
    assert search(run_command, clips, checkpoint_folder)[0] == 0
    assert read == [str(clips / "0.mp4")]


def test_each_model_and_each_set_of_folders_has_an_index_of_its_own(
    tmp_path: Path, clips: Path, run_command: RunCommand, checkpoint_folder: Path, clip_backbone_folder: Path
) -> None:
    other = write_clip(tmp_path / "other" / "x.mp4", 5).parent
    assert search(run_command, clips, checkpoint_folder)[2] == "3 added; 3 videos"
    assert search(run_command, clips, clip_backbone_folder)[2] == "3 added; 3 videos"
    assert search(run_command, clips, checkpoint_folder, "--in", other, clips)[2] == "4 added; 4 videos"
    # The same folders, in another order, by a link and by a relative path.
    (tmp_path / "link").symlink_to(clips, target_is_directory=True)
    assert (
        search(run_command, clips, checkpoint_folder, "--in", tmp_path / "link", other)[2] == "nothing new; 4 videos"
    )
    assert search(run_command, clips, checkpoint_folder)[2] == "nothing new; 3 videos"
    assert len(list(CachedIndex.all())) == 3


def test_a_model_of_the_hub_stays_the_commit_that_the_folder_was_indexed_with(
    tmp_path: Path, clips: Path, hub: HubStandIn, clip_backbone_folder: Path
) -> None:
    hub.host(DEFAULT_MODEL, clip_backbone_folder)
    client = HubClient({**hub.settings(tmp_path / "home"), "VIDEO_COLBERT_CACHE": str(tmp_path / "cache")})
    try:
        code, _, err = client.command_line("search", "red", "--in", clips)
        assert code == 0, err
        assert f"No --model is named, so it is {DEFAULT_MODEL}; it is loaded from the Hub." in err
        assert "3 added; 3 videos" in err
        hub.host(DEFAULT_MODEL, clip_backbone_folder)
        asked = len(hub.log)
        code, _, err = client.command_line("search", "red", "--in", clips)
        assert code == 0, err
        assert "nothing new; 3 videos" in err
        assert len(hub.log) == asked
        # A revision that is named is asked for, and is another commit by now.
        assert "3 added; 3 videos" in client.command_line("search", "red", "--in", clips, "--revision", "main")[2]
    finally:
        client.close()


def test_videos_of_a_folder_that_lost_all_stay_until_it_is_said_that_they_are_gone(
    clips: Path, run_command: RunCommand, checkpoint_folder: Path
) -> None:
    before = search(run_command, clips, checkpoint_folder)[1]
    for clip in clips.iterdir():
        clip.unlink()
    _, out, err = run_command("search", "red", "circle", "--in", clips, "--model", checkpoint_folder, "--json")
    assert f"all files that the index knows in {clips} are gone" in err
    assert "--prune-all" in err
    assert {hit["video"] for hit in json.loads(out)["hits"]} == before.keys()
    assert search(run_command, clips, checkpoint_folder, "--prune-all")[1] == {}


def test_bad_files_are_named_and_do_not_stop_the_search(
    clips: Path, run_command: RunCommand, checkpoint_folder: Path
) -> None:
    (clips / "bad.mp4").write_bytes(b"no video")
    code, out, err = run_command("search", "red circle", "--in", clips, "--model", checkpoint_folder, "--json")
    assert code == 3
    assert len(json.loads(out)["hits"]) == 3
    assert "3 added, 1 bad; 3 videos" in err
    assert f"  {clips / 'bad.mp4'}: " in err


def test_a_file_that_became_unusable_is_found_no_more(
    clips: Path, run_command: RunCommand, checkpoint_folder: Path
) -> None:
    before = search(run_command, clips, checkpoint_folder)[1]
    (clips / "1.mp4").write_bytes(b"no video")
    left = {path: score for path, score in before.items() if path != str(clips / "1.mp4")}
    assert search(run_command, clips, checkpoint_folder)[:2] == (3, left)
    assert search(run_command, clips, checkpoint_folder) == (0, left, "1 known bad; 2 videos")


@pytest.mark.parametrize("content", ["[]", "7", '{"folders": 3}', '{"folders": [], "files": {"a": 1}}', "{"])
def test_a_damaged_state_of_files_makes_them_be_read_again(
    clips: Path, run_command: RunCommand, checkpoint_folder: Path, content: str
) -> None:
    hits = search(run_command, clips, checkpoint_folder)[1]
    [cached] = CachedIndex.all()
    (cached.place / "files.json").write_text(content)
    assert search(run_command, clips, checkpoint_folder) == (0, hits, "nothing new; 3 videos")


def test_mistakes_are_one_sentence(
    tmp_path: Path, clips: Path, run_command: RunCommand, checkpoint_folder: Path
) -> None:
    (tmp_path / "empty").mkdir()
    mistakes: list[tuple[tuple[str | Path, ...], str]] = [
        ((), "say where to search: --in FOLDER"),
        (("--index", tmp_path / "index", "--prune-all"), "--prune-all goes with --in"),
        (("--in", clips, "red"), "--in takes folders, and red is not there; words to look for stand before --in"),
        (("--in", clips / "0.mp4"), f"--in takes folders, and {clips / '0.mp4'} is a file"),
        (("--in", tmp_path / "empty"), f"there is no video file in {tmp_path / 'empty'}"),
    ]
    for arguments, message in mistakes:
        code, out, err = run_command("search", "circle", *arguments, "--model", checkpoint_folder)
        assert (code, out) == (1, "")
        assert err.strip().splitlines()[-1].startswith(f"video-colbert: {message}")


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"VIDEO_COLBERT_CACHE": "/a/b", "XDG_CACHE_HOME": "/c"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/video-colbert"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/video-colbert"),
        ({}, "/home/me/.cache/video-colbert"),
    ],
)
def test_the_cache_folder_is_where_the_platform_has_caches(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    for name in ("VIDEO_COLBERT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)
