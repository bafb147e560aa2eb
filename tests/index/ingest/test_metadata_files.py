from __future__ import annotations

from pathlib import Path

import pytest

from video_colbert.errors import MetadataError
from video_colbert.index.ingest.metadata_files import VideoMetadata, match_metadata, read_manifest, read_metadata


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_columns_have_the_types_of_their_cells(tmp_path: Path) -> None:
    table = write(
        tmp_path / "about.csv",
        "video,year,score,is_new,code,genre\na.mp4,2020,1,true,007,news\nb.mp4,,2.5,FALSE,12,\n",
    )
    assert read_metadata(table) == VideoMetadata(
        {
            "a.mp4": {"year": 2020, "score": 1.0, "is_new": True, "code": "007", "genre": "news"},
            "b.mp4": {"score": 2.5, "is_new": False, "code": "12"},
        },
        ("year", "score", "is_new", "code", "genre"),
    )


def test_json_lines_keep_their_types_and_mixed_numbers_become_one(tmp_path: Path) -> None:
    lines = write(
        tmp_path / "about.jsonl",
        '{"video": "a.mp4", "year": 2020, "score": 1, "note": null}\n\n'
        '{"video": "b.mp4", "score": 2.5, "new": true}\n',
    )
    values = read_metadata(lines).values
    assert values == {"a.mp4": {"year": 2020, "score": 1.0}, "b.mp4": {"score": 2.5, "new": True}}
    assert type(values["a.mp4"]["score"]) is float


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", r"must be named \.jsonl or \.csv"),
        ("a.csv", "name,year\na.mp4,2020\n", "line 2, names no video"),
        ("a.csv", "video,year\na.mp4,2020\na.mp4,2021\n", r"line 3, names a\.mp4 again"),
        ("a.csv", "video,year\na.mp4\n", "line 2, has not as many cells"),
        ("a.csv", "video,year\na.mp4,1,2\n", "line 2, has not as many cells"),
        ("a.jsonl", '{"video": "a.mp4"}\n{"video": \n', "line 2, is no JSON"),
        ("a.jsonl", '["a.mp4"]\n', "line 1, must be a JSON object"),
        ("a.jsonl", '{"video": "a.mp4", "tags": ["x"]}\n', "line 1: 'tags' must be text, a number"),
    ],
)
def test_what_cannot_be_understood_is_named_with_its_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        read_metadata(write(tmp_path / name, text))


def test_missing_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match=r"none\.csv cannot be read \(there is no such file\)"):
        read_metadata(tmp_path / "none.csv")


def test_names_are_found_in_the_folders_and_absent_ones_returned() -> None:
    metadata = VideoMetadata(
        {"a.mp4": {"n": 1}, "deep/b.mp4": {"n": 2}, "/v/c.mp4": {"n": 3}, "https://x/d.mp4": {"n": 4}, "e.mp4": {}},
        ("n",),
    )
    files = ["/v/a.mp4", "/v/deep/b.mp4", "/v/c.mp4", "https://x/d.mp4"]
    found, absent = match_metadata(metadata, files, ["/w", "/v"])
    assert found == {file: {"n": number} for number, file in enumerate(files, start=1)}
    assert absent == ["e.mp4"]


def test_name_that_means_two_files_is_refused() -> None:
    with pytest.raises(MetadataError, match=r"a\.mp4 may mean /v/a\.mp4 or /w/a\.mp4"):
        match_metadata(VideoMetadata({"a.mp4": {}}, ()), ["/v/a.mp4", "/w/a.mp4"], ["/v", "/w"])


def test_manifest_is_a_list_or_a_table_with_paths_from_its_own_folder(tmp_path: Path) -> None:
    plain = write(tmp_path / "list.txt", "a.mp4\n\n/v/b.mp4\ns3://bucket/c.mp4\na.mp4\n")
    assert read_manifest(plain) == ([f"{tmp_path}/a.mp4", "/v/b.mp4", "s3://bucket/c.mp4"], {})
    table = write(tmp_path / "list.jsonl", '{"video": "a.mp4", "year": 1}\n{"video": "deep/../b.mp4"}\n')
    assert read_manifest(table) == ([f"{tmp_path}/a.mp4", f"{tmp_path}/b.mp4"], {f"{tmp_path}/a.mp4": {"year": 1}})
    with pytest.raises(MetadataError, match="names no video"):
        read_manifest(write(tmp_path / "empty.txt", "\n"))
