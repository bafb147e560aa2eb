from __future__ import annotations

import math
import unicodedata
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
        ("a.csv", "name,year\na.mp4,2020\n", "line 1: expected a header with video; it has 'name', 'year'"),
        ("a.csv", "video,year\n,2020\n", "line 2: names no video"),
        ("a.csv", "video,year\na.mp4,2020\na.mp4,2021\n", r"line 3: names a\.mp4 again"),
        ("a.csv", "video,year\na.mp4\n", "line 2: expected 2 cells"),
        ("a.csv", "video,year\na.mp4,1,2\n", "line 2: expected 2 cells"),
        ("a.csv", "video,tag,tag\na.mp4,x,y\n", "line 1: .* names tag twice"),
        ("a.jsonl", '{"video": "a.mp4"}\n{"video": \n', "line 2: malformed JSON"),
        ("a.jsonl", '["a.mp4"]\n', "line 1: expected an object, got a list"),
        ("a.jsonl", '{"video": "a.mp4", "x": 1, "x": 2}\n', "line 1: expected each key once; 'x' is given twice"),
        ("a.jsonl", '{"file": "a.mp4"}\n', "line 1: expected an object with video; it has 'file', and no video"),
        ("a.jsonl", '{"video": ["a.mp4"]}\n', "line 1: .* must be text"),
        ("a.jsonl", r'{"video": "a.mp4", "x": "\ud83d"}', r"line 1: text with \\ud83d"),
        ("a.jsonl", '{"video": "a.mp4", "x": 18446744073709551615}', "line 1: 'x' is too large a number"),
        ("a.jsonl", '{"video": "a.mp4", "x": ' + "9" * 400 + '}\n{"video": "b.mp4", "x": 0.5}', "'x' is too large"),
        ("a.jsonl", '{"video": "a.mp4", "x": ' + "1" * 5000 + "}", "line 1: .* thousands of digits"),
        ("a.jsonl", '{"video": "a.mp4", "x": ' + "[" * 200_000 + "]" * 200_000 + "}", "line 1: .* nested too deeply"),
        ("a.jsonl", '{"video": "a.mp4", "tags": ["x"]}\n', "line 1: 'tags' must be text, a number"),
    ],
)
def test_what_cannot_be_understood_is_named_with_its_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        read_metadata(write(tmp_path / name, text))


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["0.5", "nan", "0.7"], [0.5, None, 0.7]),
        (["1", "NaN", ""], [1, None, None]),
        (["true", "-nan", "False"], [True, None, False]),
        (["nan", "NaN", "NAN"], [None, None, None]),
        (["nan", "Nan", "x"], ["nan", "Nan", "x"]),
        (["inf", "-Infinity", "1e400"], [math.inf, -math.inf, math.inf]),
        ([".5", "5.", "-1E-3"], [0.5, 5.0, -0.001]),
        ([" 2020", "2021 ", "\t"], [2020, 2021, None]),
        (["007", "12", "8"], ["007", "12", "8"]),
        (["+49123", "1", "2"], ["+49123", "1", "2"]),
        (["9223372036854775807", "-1", "0"], [9223372036854775807, -1, 0]),
        (["18446744073709551615", "1", "2"], ["18446744073709551615", "1", "2"]),
        (["1" * 5000, "1", "2"], ["1" * 5000, "1", "2"]),
        (["1,204", "87", "3"], ["1,204", "87", "3"]),
    ],
)
def test_a_column_has_the_type_that_all_its_values_have(
    tmp_path: Path, cells: list[str], values: list[object]
) -> None:
    table = write(tmp_path / "a.csv", "video,x\n" + "".join(f'{n}.mp4,"{cell}"\n' for n, cell in enumerate(cells)))
    read = [row.get("x") for row in read_metadata(table).values.values()]
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


def test_nan_in_json_lines_is_no_value_and_infinity_is_one(tmp_path: Path) -> None:
    lines = write(tmp_path / "a.jsonl", '{"video": "a", "x": NaN}\n{"video": "b", "x": Infinity}\n')
    assert read_metadata(lines) == VideoMetadata({"a": {}, "b": {"x": math.inf}}, ("x",))


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


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Größe/Café.mp4") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("named", "stored"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_the_same_letters_in_other_bytes_mean_the_same_file(tmp_path: Path, named: str, stored: str) -> None:
    file = tmp_path / stored
    file.parent.mkdir()
    file.write_bytes(b"")
    metadata = VideoMetadata({named: {"n": 1}}, ("n",))
    assert match_metadata(metadata, [str(file)], [tmp_path]) == ({str(file): {"n": 1}}, [])
    listed = write(tmp_path / "list.txt", f"{named}\n{tmp_path / named}\n")
    assert read_manifest(listed) == ([str(file)], {})


def test_of_two_files_that_differ_in_bytes_alone_the_one_that_is_spelled_so_is_meant() -> None:
    files = [f"/v/{COMPOSED}", f"/v/{DECOMPOSED}"]
    metadata = VideoMetadata({name: {"n": n} for n, name in enumerate((COMPOSED, DECOMPOSED))}, ("n",))
    assert match_metadata(metadata, files, ["/v"]) == ({files[0]: {"n": 0}, files[1]: {"n": 1}}, [])


def test_a_name_may_hold_what_only_lines_of_other_systems_end_with(tmp_path: Path) -> None:
    names = ["a\u2028b.mp4", "c\x85d.mp4", "e\x0bf.mp4"]
    assert read_manifest(write(tmp_path / "list.txt", "\r\n".join(names)))[0] == [f"{tmp_path}/{n}" for n in names]
    table = write(tmp_path / "list.csv", 'video,n\n"g\nh.mp4",1\n')
    assert read_manifest(table)[0] == [f"{tmp_path}/g\nh.mp4"]


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
