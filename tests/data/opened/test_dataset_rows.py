import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.opened.video_layouts import write_videofolder
from tests.dataset_builders.small_benchmarks import WRITERS
from tests.video_files import write_clip
from video_colbert.data.opened.dataset_names import is_opened, shown_name
from video_colbert.data.opened.dataset_rows import load_dataset_rows
from video_colbert.data.publish import write_dataset_repository
from video_colbert.dataset_builders.benchmarks import load_benchmark
from video_colbert.dataset_builders.video_files import MissingVideosError
from video_colbert.errors import DatasetError

pytestmark = pytest.mark.usefixtures("quiet_datasets")


def write_parquet(folder: Path, rows: list[dict[str, Any]], video: Any = None) -> Path:
    """A data set of one Parquet file, with a column of the feature `Video`."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = {name: datasets.Value("string") for name in rows[0]} | {"video": video or datasets.Video()}
    schema = datasets.Features(columns).arrow_schema
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "train-00000-of-00001.parquet")
    return folder


@pytest.mark.parametrize("metadata", ["metadata.jsonl", "metadata.csv"])
@pytest.mark.parametrize("by", ["layout", "folder"])
def test_layout_videofolder_gives_a_row_for_each_video_with_all_its_captions(
    tmp_path: Path, metadata: str, by: str
) -> None:
    root = write_videofolder(tmp_path / "set", metadata)
    name, data_dir = ("videofolder", root) if by == "layout" else (str(root), None)
    rows = load_dataset_rows(name, split="train", data_dir=data_dir)
    assert [(row["video_id"], row["captions"], row["start"], row["end"]) for row in rows] == [
        ("0.mp4", ["clip 0", "again clip 0"], None, None),
        ("1.mp4", ["clip 1"], None, None),
        ("2.mp4", ["clip 2"], None, None),
    ]
    assert [Path(row["video"]["path"]) for row in rows] == [root / f"train/clips/{number}.mp4" for number in range(3)]


@pytest.mark.parametrize("include_videos", [False, True])
def test_what_publish_dataset_wrote_gives_the_benchmarks_rows(tmp_path: Path, include_videos: bool) -> None:
    source = tmp_path / "source"
    WRITERS["msrvtt"](source)
    for number in (4, 5):
        write_clip(source / f"videos/video{number}.mp4", number)
    write_dataset_repository(
        tmp_path / "set", "msrvtt", source, splits=["test"], include_videos=include_videos, protocol="1k-A"
    )
    rows = load_dataset_rows(
        str(tmp_path / "set"), split="test", config="1k-A", data_dir=None if include_videos else source
    )
    expected = list(load_benchmark("msrvtt", data_dir=source, split="test", streaming=True))
    assert [row["video_id"] for row in rows] == ["video4", "video5"]
    for row, original in zip(rows, expected, strict=True):
        path, whole = Path(row["video"]["path"]), Path(original["video"]["path"])
        assert path.read_bytes() == whole.read_bytes()
        assert (path == whole) != include_videos
        assert {**row, "video": None} == {**original, "video": None}


def test_content_of_rows_is_one_file_for_each_video_and_is_written_once(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / f"{number}.mp4", number).read_bytes() for number in range(2)]
    # Different videos under one name, as `push_to_hub` leaves them of files from several folders.
    held = [(0, "a"), (1, "b"), (0, "c")]
    root = write_parquet(
        tmp_path / "set",
        [{"video": {"path": "x.mp4", "bytes": clips[number]}, "text": text} for number, text in held],
    )
    rows = load_dataset_rows(str(root), split="train")
    assert [row["captions"] for row in rows] == [["a", "c"], ["b"]]
    assert [row["video_id"] for row in rows] == ["x.mp4 (row 0)", "x.mp4 (row 1)"]
    files = [Path(row["video"]["path"]) for row in rows]
    assert [file.read_bytes() for file in files] == clips
    times = [file.stat().st_mtime_ns for file in files]
    again = load_dataset_rows(str(root), split="train")
    assert again == rows
    assert [file.stat().st_mtime_ns for file in files] == times


def test_captions_may_stand_in_a_column_of_another_name(tmp_path: Path) -> None:
    root = write_videofolder(tmp_path / "set")
    file = root / "train/metadata.jsonl"
    file.write_text(file.read_text().replace('"caption"', '"said"'))
    assert all(not row["captions"] for row in load_dataset_rows(str(root), split="train"))
    rows = load_dataset_rows(str(root), split="train", caption_column="said")
    assert [row["captions"][0] for row in rows] == ["clip 0", "clip 1", "clip 2"]
    with pytest.raises(DatasetError, match="has no column 'spoken' for captions; it has video, said"):
        load_dataset_rows(str(root), split="train", caption_column="spoken")


@pytest.mark.parametrize("path", ["/etc/hostname", "../secret.mp4", "http://127.0.0.1:9/x.mp4", "hf://datasets/a/b/c"])
def test_rows_that_name_other_files_or_addresses_are_refused(tmp_path: Path, path: str) -> None:
    root = write_parquet(tmp_path / "set", [{"video": {"path": path, "bytes": None}, "text": "a"}])
    with pytest.raises(DatasetError, match="it may name files below a folder, or hold their content"):
        load_dataset_rows(str(root), split="train", data_dir=tmp_path)


def test_videos_that_rows_name_come_from_the_folder_that_is_given(tmp_path: Path) -> None:
    root = write_parquet(
        tmp_path / "set",
        [{"video": {"path": f"videos/{name}.mp4", "bytes": None}, "text": name} for name in "ab"],
    )
    with pytest.raises(DatasetError, match=r"does not hold its videos, such as videos/a\.mp4; say with --data-dir"):
        load_dataset_rows(str(root), split="train")
    write_clip(tmp_path / "clips/deep/a.mp4", 0)
    with pytest.raises(MissingVideosError, match=r"1 of 2 videos are not in .*: videos/b\.mp4"):
        load_dataset_rows(str(root), split="train", data_dir=tmp_path / "clips")
    rows = load_dataset_rows(str(root), split="train", data_dir=tmp_path / "clips", allow_missing=True)
    assert [row["video"] and Path(row["video"]["path"]) for row in rows] == [tmp_path / "clips/deep/a.mp4", None]


def test_what_is_no_set_of_videos_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/train.jsonl").write_text(json.dumps({"text": "a", "label": 1}))
    (tmp_path / "empty").mkdir()
    root = write_videofolder(tmp_path / "set")
    for name, split, message in (
        (str(tmp_path / "texts"), "train", "has the columns text, label, and none of them holds videos"),
        (str(tmp_path / "empty"), "train", "cannot be opened: "),
        (str(root), "test", 'cannot be opened: Unknown split "test"'),
        ("videofolder", "train", "needs --data-dir"),
    ):
        with pytest.raises(DatasetError, match=message) as caught:
            load_dataset_rows(name, split=split)
        assert "\n" not in str(caught.value)


def test_ids_are_paths_as_they_are_where_some_are_absolute_and_some_are_not(tmp_path: Path) -> None:
    content = write_clip(tmp_path / "a.mp4", 0).read_bytes()
    videos = [{"path": "/elsewhere/a.mp4", "bytes": content}, {"path": "b.mp4", "bytes": content + b"0"}, None]
    root = write_parquet(tmp_path / "set", [{"video": video, "text": "a"} for video in videos])
    rows = load_dataset_rows(str(root), split="train")
    assert [row["video_id"] for row in rows] == ["/elsewhere/a.mp4", "b.mp4", "row 2"]


def test_names_are_told_from_those_of_benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert [
        is_opened(name) for name in ("me/set", "me/set@v1", "videofolder", "mine", "no_such", "a/b/c", "~nobody/set")
    ] == [
        *[True] * 4,
        *[False] * 3,
    ]
    assert [shown_name(name) for name in ("me/set@v1", f"{tmp_path}/mine", "videofolder", "msrvtt")] == [
        "me/set",
        "mine",
        "videofolder",
        "msrvtt",
    ]
