"""`video-colbert index` with what is said and written."""

from __future__ import annotations

from pathlib import Path

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip
from video_colbert.index import LanceIndex


def test_what_is_written_is_read_with_the_videos_and_counted(
    run_command: RunCommand, tmp_path: Path, checkpoint_folder: Path
) -> None:
    videos = tmp_path / "videos"
    write_clip(videos / "a.mp4", 0)
    (videos / "a.srt").write_text("1\n00:00:00,100 --> 00:00:00,900\nLeaves make sugar.\n")
    index = ("index", videos, "--index", tmp_path / "index", "--model", checkpoint_folder)
    assert run_command(*index)[0] == 0
    code, out, told = run_command(*index, "--subtitles", "--description", "-")
    assert ".srt" not in told
    assert (code, out.splitlines()[0]) == (
        0,
        f"0 added, 1 already there, 1 read for subtitles, 1 read for description; the index in {tmp_path / 'index'} "
        "holds 1 video.",
    )
    readings = LanceIndex.open(tmp_path / "index").readings.read()
    assert [passage.text for reading in readings for passage in reading.passages] == ["Leaves make sugar."]
    assert run_command(*index, "--every", "2")[0] == 1
    _, out, _ = run_command("info", "--index", tmp_path / "index")
    assert "1 passages; name a --text-model to `index`" in out
    _, out, _ = run_command("verify-index", "--index", tmp_path / "index")
    assert "1 videos, 2 readings and 0 passages of them in version" in out


def test_a_description_column_is_dropped_from_the_whole_index_without_its_files(
    run_command: RunCommand, tmp_path: Path, checkpoint_folder: Path
) -> None:
    videos, index = tmp_path / "videos", tmp_path / "index"
    write_clip(videos / "a.mp4", 0)
    (tmp_path / "about.csv").write_text("video,title,topic\na.mp4,On leaves,plants\n")
    command = ("index", videos, "--index", index, "--model", checkpoint_folder, "--metadata", tmp_path / "about.csv")
    for column in ("title", "topic"):
        assert run_command(*command, "--description", column)[0] == 0
    code, _, told = run_command("index", "--index", index, "--no-description", "headline")
    assert code == 1
    assert "'headline' is not among the description columns of" in told
    assert "which are title, topic" in told
    code, _, told = run_command(*command, "--description", "title", "--no-description", "title")
    assert code == 1
    assert "'title' is given to --description and to --no-description" in told
    code, out, _ = run_command("index", "--index", index, "--no-description", "title", "--no-description", "topic")
    assert code == 0
    assert "title is no description any longer, and was taken out of that of 1 video." in out
    [reading] = LanceIndex.open(index).readings.read()
    assert reading.passages == ()
    # It stays dropped.
    assert run_command(*command, "--description", "-")[0] == 0
    [reading] = LanceIndex.open(index).readings.read()
    assert reading.passages == ()
