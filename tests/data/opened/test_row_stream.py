import itertools
from pathlib import Path

import pytest

from tests.data.opened.test_dataset_rows import write_parquet
from tests.data.opened.video_layouts import write_videofolder
from tests.video_files import write_clip
from video_colbert.data.opened.dataset_rows import load_dataset_rows
from video_colbert.data.opened.row_stream import RowStream, RowWindows
from video_colbert.errors import DatasetError

pytestmark = pytest.mark.usefixtures("quiet_datasets")

NUM_ROWS = 5


@pytest.fixture
def contents(tmp_path: Path) -> list[bytes]:
    return [write_clip(tmp_path / f"clips/{number}.mp4", number).read_bytes() for number in range(NUM_ROWS)]


@pytest.fixture
def stream(tmp_path: Path, contents: list[bytes]) -> RowStream:
    """Rows that hold their videos, one without a video and one without a caption among them."""
    rows = [
        {"video": {"path": f"{number}.mp4", "bytes": content}, "video_id": f"v{number}", "text": f"clip {number}"}
        for number, content in enumerate(contents)
    ]
    rows[2:2] = [{"video": None, "video_id": "none", "text": "no video"}, {**rows[0], "video_id": "mute", "text": ""}]
    return RowStream(str(write_parquet(tmp_path / "set", rows)), split="train")


def test_windows_follow_each_other_without_end_and_hold_their_videos_alone(
    stream: RowStream, contents: list[bytes], tmp_path: Path
) -> None:
    windows = RowWindows(stream, 2, tmp_path / "kept")
    seen = []
    for number in range(5):
        rows = windows.window(number)
        files = [Path(row["video"]["path"]) for row in rows]
        assert [file.read_bytes() for file in files] == [contents[int(row["video_id"][1:])] for row in rows]
        assert sorted(path for path in (tmp_path / "kept").iterdir() if path.is_file()) == sorted(files)
        seen += [row["video_id"] for row in rows]
    assert seen == ["v0", "v1", "v2", "v3", "v4"] * 2


def test_a_window_that_a_run_goes_on_with_is_the_one_that_was(stream: RowStream, tmp_path: Path) -> None:
    windows = RowWindows(stream, 2, tmp_path / "kept", without={"v1"})
    expected = [[(row["video_id"], row["captions"]) for row in windows.window(number)] for number in range(4)]
    assert expected[:2] == [[("v0", ["clip 0"]), ("v2", ["clip 2"])], [("v3", ["clip 3"]), ("v4", ["clip 4"])]]
    again = RowWindows(stream, 2, tmp_path / "other", without={"v1"})
    rows = again.window(3)
    assert [(row["video_id"], row["captions"]) for row in rows] == expected[3]
    # Of what was passed over nothing was written.
    assert len(list((tmp_path / "other").iterdir())) == 2


def test_videos_that_are_files_of_the_set_stay_where_they_are(tmp_path: Path) -> None:
    root = write_videofolder(tmp_path / "set")
    stream = RowStream("videofolder", split="train", data_dir=root)
    rows = list(stream.once(tmp_path / "kept"))
    assert [Path(row["video"]["path"]) for row in rows] == [
        root / f"train/clips/{number}.mp4" for number in (0, 1, 2, 0)
    ]
    # Rows about one video have one id, so that they are no negatives of each other.
    assert rows[0]["video_id"] == rows[3]["video_id"] != rows[1]["video_id"]
    assert not (tmp_path / "kept").exists()


def test_what_is_streamed_is_known_by_its_content(stream: RowStream, tmp_path: Path) -> None:
    root = str(tmp_path / "set")
    assert RowStream(root, split="train").identity == stream.identity
    clip = write_clip(tmp_path / "other.mp4", 9).read_bytes()
    write_parquet(tmp_path / "set", [{"video": {"path": "x.mp4", "bytes": clip}, "video_id": "x", "text": "x"}])
    assert RowStream(root, split="train").identity != stream.identity


def test_a_stream_with_nothing_to_train_on_ends(tmp_path: Path, stream: RowStream) -> None:
    without = {f"v{number}" for number in range(NUM_ROWS)}
    with pytest.raises(DatasetError, match="has no row left with both a video and a caption"):
        list(itertools.islice(stream.rows(tmp_path / "kept", without=without), 1))


def test_once_gives_the_rows_that_are_loaded_as_a_whole(stream: RowStream, tmp_path: Path) -> None:
    rows = list(stream.once(tmp_path / "kept"))
    whole = load_dataset_rows(stream.name, split="train")
    assert [(row["video_id"], row["captions"], row["video"] is None) for row in rows] == [
        (row["video_id"], row["captions"], row["video"] is None) for row in whole
    ]
    assert {row["video_id"] for row in rows} >= {"none", "mute"}


def test_rows_that_are_left_out_of_training_are_counted_once(
    stream: RowStream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    list(itertools.islice(stream.rows(tmp_path / "kept"), 3 * NUM_ROWS))
    assert caplog.messages == [f"2 rows of the data set {stream.name} have no video or no caption and are left out."]
