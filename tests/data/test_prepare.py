import errno
import functools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from tqdm import tqdm

from tests.warm_python import warm_python
from video_colbert.data import prepare
from video_colbert.data.prepare import MANIFEST_FILE, STATE_FILE, prepare_videos
from video_colbert.data.video_check import VideoFile, VideoRecord, examine_video
from video_colbert.data.video_copies import Reencoding
from video_colbert.dataset_builders.shapes.moving_shapes_clips import ClipPlan, write_clips
from video_colbert.dataset_builders.shapes.moving_shapes_scenes import Action, Scene

SCENE = Scene("alone", (Action("red", "circle", "moves left"),))


def write_folder(folder: Path, number: int, bad: int = 0) -> list[str]:
    """Writes that many clips and cuts the first `bad` of them short; returns their names."""
    folder.mkdir(parents=True)
    write_clips(folder, [ClipPlan(f"clip{i:03d}", SCENE, (i,), 12, 32, 8) for i in range(number)])
    names = [f"clip{i:03d}.mp4" for i in range(bad)]
    for name in names:
        (folder / name).write_bytes((folder / name).read_bytes()[:2000])
    return names


def state_paths(folder: Path) -> list[str]:
    return [json.loads(line)["path"] for line in (folder / STATE_FILE).read_text().splitlines()]


def test_every_video_is_in_the_manifest_and_bad_ones_have_a_reason(tmp_path: Path) -> None:
    bad = write_folder(tmp_path / "videos", 6, bad=2)
    result = prepare_videos(tmp_path / "videos", workers=1)
    assert (len(result.records), result.examined, len(result.good)) == (6, 6, 4)
    assert [record.path for record in result.bad] == bad
    assert all(record.error for record in result.bad)
    manifest = [json.loads(line) for line in (tmp_path / "videos" / MANIFEST_FILE).read_text().splitlines()]
    assert [row["path"] for row in manifest] == sorted(row["path"] for row in manifest)
    assert {row["path"]: row["error"] is None for row in manifest} == {
        record.path: record.error is None for record in result.records
    }


def test_the_table_counts_and_lists_the_bad(tmp_path: Path) -> None:
    write_folder(tmp_path / "videos", 4, bad=1)
    lines = prepare_videos(tmp_path / "videos", workers=1).table().splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["videos", "4"],
        ["examined", "now", "4"],
        ["good", "3"],
        ["bad", "1"],
    ]
    assert "duration      1.5 to 1.5, median 1.5 s" in lines
    assert lines[-1].startswith("bad: clip000.mp4: ")


def test_a_second_run_looks_only_at_what_is_new_or_changed(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    write_folder(folder, 4, bad=1)
    first = prepare_videos(folder, workers=1)
    assert prepare_videos(folder, workers=1).examined == 0
    (folder / "clip000.mp4").unlink()
    write_clips(folder, [ClipPlan("clip000", SCENE, (9,), 12, 32, 8), ClipPlan("new", SCENE, (10,), 12, 32, 8)])
    again = prepare_videos(folder, workers=1)
    assert (again.examined, len(again.good), len(again.bad)) == (2, 5, 0)
    assert set(first.good) < set(again.good)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "videos"
    write_folder(folder, 5)

    done: list[float | None] = []

    def update(self: tqdm, number: float | None = 1) -> None:  # type: ignore[type-arg]
        done.append(number)
        if len(done) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tqdm, "update", update)
        with pytest.raises(KeyboardInterrupt):
            prepare_videos(folder, workers=1)
    result = prepare_videos(folder, workers=1)
    assert (len(result.good), result.examined) == (5, 2)
    assert sorted(state_paths(folder)) == [f"clip00{i}.mp4" for i in range(5)]


def test_removed_videos_leave_the_manifest(tmp_path: Path) -> None:
    write_folder(tmp_path / "videos", 3)
    prepare_videos(tmp_path / "videos", workers=1)
    (tmp_path / "videos/clip001.mp4").unlink()
    paths = [record.path for record in prepare_videos(tmp_path / "videos", workers=1).records]
    assert paths == ["clip000.mp4", "clip002.mp4"]


def test_a_line_that_was_cut_short_is_examined_again(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    write_folder(folder, 3)
    prepare_videos(folder, workers=1)
    state = (folder / STATE_FILE).read_text()
    (folder / STATE_FILE).write_text(state[:-30])
    assert prepare_videos(folder, workers=1).examined == 1
    assert sorted(state_paths(folder)) == ["clip000.mp4", "clip001.mp4", "clip002.mp4"]


def test_a_line_that_was_changed_is_examined_again_whatever_was_changed_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    write_folder(folder, 2, bad=1)
    first = prepare_videos(folder, workers=1)
    state = (folder / STATE_FILE).read_text()
    for before, after in (
        ("damaged", "dam%ged"),
        ('"codec": "h264"', '"codec": "h265"'),
        ('"frames": ', '"frames": 1'),
    ):
        assert before in state
        (folder / STATE_FILE).write_text(state.replace(before, after, 1))
        again = prepare_videos(folder, workers=1)
        assert (again.examined, again.records) == (1, first.records)


def test_several_processes_give_the_same_manifest(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_folder(tmp_path / name, 6, bad=2)
    for file in (tmp_path / "one").iterdir():
        os.utime(tmp_path / "two" / file.name, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    one = prepare_videos(tmp_path / "one", workers=1).records
    assert prepare_videos(tmp_path / "two", workers=2).records == one


def test_copies_are_made_once_and_again_when_they_are_gone_or_other_ones_are_asked_for(tmp_path: Path) -> None:
    folder, output = tmp_path / "videos", tmp_path / "small"
    write_folder(folder, 3, bad=1)
    assert prepare_videos(folder, workers=1).examined == 3

    def run(reencoding: Reencoding) -> int:
        return prepare_videos(folder, output_dir=output, reencoding=reencoding, workers=1).examined

    assert run(Reencoding(short_side=16)) == 2
    assert sorted(path.name for path in output.iterdir()) == ["clip001.mp4", "clip002.mp4"]
    assert run(Reencoding(short_side=16)) == 0
    (output / "clip002.mp4").unlink()
    assert run(Reencoding(short_side=16)) == 1
    assert run(Reencoding(short_side=24)) == 2
    with av.open(str(output / "clip001.mp4")) as container:
        assert container.streams.video[0].height == 24


def test_arguments_that_do_not_go_together_are_errors(tmp_path: Path) -> None:
    write_folder(tmp_path / "videos", 1)
    with pytest.raises(ValueError, match="belong together"):
        prepare_videos(tmp_path / "videos", output_dir=tmp_path / "out")
    with pytest.raises(ValueError, match="lies within"):
        prepare_videos(tmp_path / "videos", output_dir=tmp_path / "videos/out", reencoding=Reencoding(fps=1))
    with pytest.raises(NotADirectoryError, match="no such folder"):
        prepare_videos(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no video file under"):
        prepare_videos(tmp_path / "empty")


def start_crashing(root: Path, reencoding: Reencoding | None) -> Callable[[VideoFile], VideoRecord]:
    """Stands in for a decoder with a fault; at module level, so that workers find it."""
    return functools.partial(_examine_or_crash, root)


def _examine_or_crash(root: Path, video: VideoFile) -> VideoRecord:
    if video.path.name == "clip002.mp4":
        os._exit(1)
    return examine_video(video, root)


def test_a_video_that_crashes_its_process_is_reported_the_others_are_done_and_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "videos", 5)
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "start_examining", start_crashing)
        result = prepare_videos(tmp_path / "videos", workers=2)
    reason = "decoding it made its process crash 2 times (exit code 1)"
    assert [(record.path, record.error) for record in result.bad] == [("clip002.mp4", reason)]
    assert len(result.good) == 4
    again = prepare_videos(tmp_path / "videos", workers=2)
    assert (again.examined, len(again.good)) == (1, 5)


def test_what_cannot_be_looked_at_is_bad_for_now_and_ends_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    write_folder(folder, 2)
    elsewhere = (folder / "clip000.mp4").rename(tmp_path / "elsewhere.mp4")
    (folder / "link.mp4").symlink_to(elsewhere)
    (folder / "note.txt").symlink_to(tmp_path / "nothing")
    assert len(prepare_videos(folder, workers=1).good) == 2
    away = elsewhere.rename(tmp_path / "away.mp4")
    result = prepare_videos(folder, workers=1)
    assert [(record.path, record.error) for record in result.bad] == [("link.mp4", "is a link to nothing, or no file")]
    assert len(result.good) == 1
    away.rename(elsewhere)
    assert len(prepare_videos(folder, workers=1).good) == 2


def test_a_name_that_is_no_unicode_is_a_video_like_others(tmp_path: Path) -> None:
    write_folder(tmp_path / "videos", 1)
    odd = os.fsdecode(os.fsencode(tmp_path / "videos") + b"/\xff.mp4")
    (tmp_path / "videos/clip000.mp4").rename(odd)
    [record] = prepare_videos(tmp_path / "videos", workers=1).good
    assert record.path == Path(odd).name
    assert prepare_videos(tmp_path / "videos", workers=1).examined == 0


def test_a_state_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "videos", 1)

    def fill_the_disk(self: Path, *arguments: object, **options: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fill_the_disk)
    with pytest.raises(OSError, match=rf"{STATE_FILE} cannot be written \(No space left on device\)"):
        prepare_videos(tmp_path / "videos", workers=1)


SCRIPT = """
import sys
from video_colbert.data.prepare import prepare_videos
print(prepare_videos(sys.argv[1], workers=2).table())
"""


@pytest.mark.slow
def test_200_videos_killed_and_restarted_finish_with_no_video_done_twice(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    bad = write_folder(folder, 200, bad=5)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [warm_python(), str(script), str(folder)]
    first = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (folder / STATE_FILE).exists() or len((folder / STATE_FILE).read_text().splitlines()) < 20:
        assert first.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    # Its end of the pipe is closed when all of it is gone.
    first.communicate()
    done = (folder / STATE_FILE).read_text().splitlines()
    complete = [line for line in done if line.endswith("}")]
    assert 20 <= len(complete) < 200
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    paths = state_paths(folder)
    assert len(paths) == len(set(paths)) == 200
    # The lines of the first run were kept, and only what it had not done was examined.
    assert (folder / STATE_FILE).read_text().splitlines()[: len(complete)] == sorted(complete)
    assert f"examined now  {200 - len(complete)}\n" in second.stdout
    assert [line.split()[1].rstrip(":") for line in second.stdout.splitlines() if line.startswith("bad:")] == bad
