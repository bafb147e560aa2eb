import json
import os
from pathlib import Path

import datasets
import pytest

from video_colbert.dataset_builders.annotation_files import AnnotationError
from video_colbert.dataset_builders.benchmark_builder import MissingAnnotationsError
from video_colbert.dataset_builders.benchmarks import BENCHMARKS, load_benchmark
from video_colbert.dataset_builders.protocol_check import check_protocol
from video_colbert.dataset_builders.protocols import PROTOCOLS
from video_colbert.dataset_builders.video_files import MissingVideosError

from . import small_benchmarks
from .small_benchmarks import WRITERS

ANNOTATIONS = os.environ.get("VIDEO_COLBERT_ANNOTATIONS")
needs_annotations = pytest.mark.skipif(
    ANNOTATIONS is None, reason="VIDEO_COLBERT_ANNOTATIONS does not name a folder of official annotation files"
)


def texts(rows: datasets.Dataset) -> dict[str, list[str]]:
    return {row["video_id"]: row["captions"] for row in rows}


@pytest.mark.parametrize(
    ("protocol", "split", "expected"),
    [
        ("1k-A", "train", ["video0", "video1", "video2", "video3"]),
        ("1k-A-7k", "train", ["video0", "video2"]),
        ("full", "train", ["video0", "video1", "video2"]),
        ("full", "validation", ["video3"]),
        ("full", "test", ["video4", "video5"]),
    ],
)
def test_msrvtt_protocols_take_their_videos_and_all_captions(
    tmp_path: Path, protocol: str, split: str, expected: list[str]
) -> None:
    small_benchmarks.write_msrvtt(tmp_path)
    rows = texts(load_benchmark("msrvtt", protocol=protocol, split=split, data_dir=tmp_path))
    assert rows == {f"video{i[5:]}": [f"caption 0 of {i[5:]}", f"caption 1 of {i[5:]}"] for i in expected}


def test_msrvtt_test_sentences_come_from_the_test_list(tmp_path: Path) -> None:
    small_benchmarks.write_msrvtt(tmp_path)
    rows = load_benchmark("msrvtt", split="test", data_dir=tmp_path)
    assert texts(rows) == {"video4": ["a test, with comma"], "video5": ["another"]}
    assert rows[0]["video"] == {"bytes": None, "path": str(tmp_path / "videos/video4.mp4")}
    assert (rows[0]["start"], rows[0]["end"]) == (None, None)


def test_msvd_pickled_and_json_captions_give_the_same_rows(tmp_path: Path) -> None:
    for kind in ("json", "pkl"):
        small_benchmarks.write_msvd(tmp_path / kind, captions=kind)
    one, other = (load_benchmark("msvd", data_dir=tmp_path / kind) for kind in ("json", "pkl"))
    assert {name: texts(split) for name, split in one.items()} == {name: texts(s) for name, s in other.items()}
    assert texts(one["validation"]) == {"c_5_6": ["a c runs", "c walks"]}


@pytest.mark.parametrize("captions", ["vatex_data.json", "ref_captions.json"])
@pytest.mark.parametrize("folder", ["vatex_data", "."])
def test_vatex_layouts_give_the_same_rows(tmp_path: Path, captions: str, folder: str) -> None:
    small_benchmarks.write_vatex(tmp_path, captions, folder)
    dataset = load_benchmark("vatex", data_dir=tmp_path)
    assert {name: list(texts(split)) for name, split in dataset.items()} == {
        "train": ["a_0_10", "b_0_10"],
        "validation": ["c_0_10"],
        "test": ["d_0_10"],
    }
    assert dataset["test"][0]["captions"] == [f"d_0_10 {n}" for n in range(10)]


def test_didemo_paragraphs_join_the_sentences_of_listed_videos_whatever_their_extension(tmp_path: Path) -> None:
    small_benchmarks.write_didemo(tmp_path)
    rows = load_benchmark("didemo", split="validation", data_dir=tmp_path)
    assert texts(rows) == {"val@N2": ["a dog"], "val@N1": ["first it runs then it stops. it runs"]}
    assert {(row["start"], row["end"]) for row in rows} == {(0.0, 30.0)}
    assert rows[1]["video"]["path"] == str(tmp_path / "videos/val@N1.mp4")


def test_didemo_moments_span_what_most_annotators_chose(tmp_path: Path) -> None:
    small_benchmarks.write_didemo(tmp_path)
    rows = load_benchmark("didemo", protocol="moments", split="test", data_dir=tmp_path)
    assert [(row["video_id"], row["start"], row["end"], row["captions"]) for row in rows] == [
        ("test@N2#t=25.0,30.0", 25.0, 30.0, ["a dog"]),
        ("test@N1#t=5.0,10.0", 5.0, 10.0, ["first it runs", "it runs"]),
        ("test@N1#t=10.0,20.0", 10.0, 20.0, ["then it stops."]),
    ]


def test_didemo_without_lists_takes_all_videos_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    small_benchmarks.write_didemo(tmp_path, lists=False)
    rows = load_benchmark("didemo", split="validation", data_dir=tmp_path)
    assert list(texts(rows)) == ["val@N1", "val@N2", "val@N3"]
    assert "no list of the validation split, so all 3 videos" in caplog.text
    assert "number of videos: expected 1065, found 3" in check_protocol(rows).differences


@pytest.mark.parametrize("lists", [True, False])
def test_activitynet_paragraphs_join_all_sentences_and_find_files_with_or_without_prefix(
    tmp_path: Path, lists: bool
) -> None:
    small_benchmarks.write_activitynet(tmp_path, lists=lists)
    rows = load_benchmark("activitynet", split="test", data_dir=tmp_path)
    expected = {"v_v2": ["It rains."], "v_v1": ["A man sits. He gets up. Someone sits."]}
    assert texts(rows) == (expected if lists else {**expected, "v_v3": ["Not listed."]})
    files = {row["video_id"]: Path(row["video"]["path"]).name for row in rows}
    assert (files["v_v1"], files["v_v2"]) == ("v1.mp4", "v_v2.mkv")


def test_activitynet_moments_keep_their_times(tmp_path: Path) -> None:
    small_benchmarks.write_activitynet(tmp_path)
    rows = load_benchmark("activitynet", protocol="moments", split="train", data_dir=tmp_path)
    assert [(row["video_id"], row["start"], row["end"], row["captions"]) for row in rows] == [
        ("v_t2#t=1.0,4.0", 1.0, 4.0, ["It rains."]),
        ("v_t1#t=0.5,3.0", 0.5, 3.0, ["A man sits.", "Someone sits."]),
        ("v_t1#t=3.0,9.5", 3.0, 9.5, ["He gets up."]),
    ]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_ways_in_give_the_same_rows(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS[name](tmp_path / "data")
    monkeypatch.setattr("video_colbert.dataset_builders.benchmark_builder.ROWS_PER_SHARD", 1)
    expected = {split: rows.to_list() for split, rows in load_benchmark(name, data_dir=tmp_path / "data").items()}
    assert set(expected) == set(next(iter(PROTOCOLS[name].values())).splits)
    streamed = load_benchmark(name, data_dir=tmp_path / "data", streaming=True)
    assert {split: list(rows) for split, rows in streamed.items()} == expected
    builder = BENCHMARKS[name](data_dir=str(tmp_path / "data"), cache_dir=str(tmp_path / "other"))
    builder.download_and_prepare(num_proc=2)
    assert {split: rows.to_list() for split, rows in builder.as_dataset().items()} == expected


def test_a_test_split_needs_no_training_annotations(tmp_path: Path) -> None:
    small_benchmarks.write_msrvtt(tmp_path)
    (tmp_path / "MSRVTT_data.json").unlink()
    assert len(load_benchmark("msrvtt", split="test", data_dir=tmp_path)) == 2
    assert set(load_benchmark("msrvtt", data_dir=tmp_path)) == {"test"}


def test_missing_annotations_are_an_error_that_lists_the_layouts(tmp_path: Path) -> None:
    with pytest.raises(MissingAnnotationsError, match=r"train_list.txt, captions_msvd.json; or train_list.txt, raw-"):
        load_benchmark("msvd", data_dir=tmp_path)
    with pytest.raises(NotADirectoryError, match="no such data_dir"):
        load_benchmark("msvd", data_dir=tmp_path / "nowhere")


def test_missing_videos_are_an_error_that_names_them_unless_they_are_allowed(tmp_path: Path) -> None:
    small_benchmarks.write_msrvtt(tmp_path)
    assert len(load_benchmark("msrvtt", split="test", data_dir=tmp_path)) == 2
    (tmp_path / "videos/video5.mp4").unlink()
    with pytest.raises(MissingVideosError, match=r"1 of 2 videos are not in .*: video5. Pass allow_missing"):
        load_benchmark("msrvtt", split="test", data_dir=tmp_path)
    rows = load_benchmark("msrvtt", split="test", data_dir=tmp_path, allow_missing=True)
    assert [row["video"] is None for row in rows] == [False, True]
    assert check_protocol(rows).missing == ("video5",)
    assert check_protocol(rows).coverage == "1 of 2"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_changed_annotations_are_read_again(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path)
    load_benchmark(name, split="test", data_dir=tmp_path)
    for file in tmp_path.rglob("*"):
        if file.suffix in (".csv", ".json", ".jsonl", ".txt"):
            file.write_text("changed")
    with pytest.raises(AnnotationError):
        load_benchmark(name, split="test", data_dir=tmp_path)


def test_videos_may_lie_in_another_folder_in_any_container(tmp_path: Path) -> None:
    small_benchmarks.write_msrvtt(tmp_path / "data")
    small_benchmarks.touch_videos(tmp_path / "else", "video4.webm", "video5.avi")
    rows = load_benchmark("msrvtt", split="test", data_dir=tmp_path / "data", video_dir=tmp_path / "else")
    assert [Path(row["video"]["path"]).name for row in rows] == ["video4.webm", "video5.avi"]


def test_two_files_for_one_video_are_an_error(tmp_path: Path) -> None:
    small_benchmarks.write_msrvtt(tmp_path)
    small_benchmarks.touch_videos(tmp_path / "reencoded", "video4.webm")
    with pytest.raises(ValueError, match=r"two files go under the name of one video: .*video4.webm and .*video4.mp4"):
        load_benchmark("msrvtt", split="test", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "protocol", "split", "reason"),
    [
        ("lsmdc", None, None, "unknown benchmark 'lsmdc'; there are msrvtt, msvd, .*, multivent2, spoken_shapes"),
        ("msrvtt", "1k-B", None, "unknown protocol '1k-B' of msrvtt; there are 1k-A, 1k-A-7k, full"),
        ("msrvtt", None, "validation", "unknown split 'validation' of msrvtt, protocol 1k-A; there are train, test"),
    ],
)
def test_unknown_names_are_errors_that_list_the_known_ones(
    tmp_path: Path, name: str, protocol: str | None, split: str | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        load_benchmark(name, protocol=protocol, split=split, data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "file", "content", "line", "reason"),
    [
        ("msrvtt", "MSRVTT_JSFUSION_test.csv", "video_id,sentence\nvideo4,\n", 2, "a video_id and a sentence"),
        ("msrvtt", "MSRVTT_JSFUSION_test.csv", "video_id\nvideo4\n", 1, "it has 'video_id', and no sentence"),
        ("msrvtt", "MSRVTT_train.9k.csv", "video_id\nvideo0\nvideo99\n", 3, "'video99' has no captions in"),
        ("msrvtt", "MSRVTT_train.9k.csv", "video_id\nvideo0\nvideo0\n", 3, "already given"),
        ("msrvtt", "MSRVTT_data.json", '{"videos": []}', None, "sentences is missing"),
        ("msrvtt", "MSRVTT_data.json", '{"sentences": [{"caption": 1}]}', None, "sentence 1: expected texts"),
        ("msvd", "test_list.txt", "d_7_8\nz_1_2\n", 2, "'z_1_2' has no captions in"),
        ("msvd", "captions_msvd.json", '{"a_1_2": "text"}', None, "'a_1_2': expected a list of captions"),
        ("vatex", "vatex_data/vatex_data.json", '{"a_0_10": {"enCap": 1}}', None, "'a_0_10': expected a list"),
        ("didemo", "test_data.json", '[{"video": "a", "description": "b"}]', None, "moment 1: expected pairs"),
        ("didemo", "test_data.json", '[{"video": "a"}]', None, "moment 1: expected texts"),
        ("didemo", "test_list.txt", "unknown.mp4\n", 1, "'unknown' has no moments in"),
        ("activitynet", "val_1.json", '{"v_a": {"sentences": []}}', None, "'v_a': expected a list of texts"),
        (
            "activitynet",
            "val_1.json",
            '{"v_a": {"sentences": ["x"], "timestamps": [[0]]}}',
            None,
            r"expected a \[start, end\]",
        ),
        ("activitynet", "val_ids.json", '["v_zz"]', None, "id 1, 'v_zz', is not in"),
        ("multivent2", "multivent_2_test_queries.csv", "Query_id,query\nq,\n", 2, "expected a query_id and a query"),
        ("multivent2", "multivent_2_test_queries.csv", "query_id,query\nq,x\nq,y\n", 3, "'q' is already given"),
        ("multivent2", "multivent_2_test_judgments.jsonl", '{"query_id": "q"}', 1, "and no doc_id, relevance"),
        (
            "multivent2",
            "multivent_2_test_judgments.jsonl",
            '{"query_id": "q", "doc_id": "x", "relevance": "1"}',
            1,
            "a whole relevance",
        ),
        (
            "multivent2",
            "multivent_2_test_judgments.jsonl",
            '{"query_id": "q", "doc_id": "x", "relevance": 1}',
            None,
            "query 'q' is judged but not in",
        ),
        ("spoken_shapes", "spoken_shapes_test.jsonl", '{"video": "a.mp4"}', 1, "and no query, source, partner"),
    ],
)
def test_malformed_annotations_are_named_with_their_line(
    tmp_path: Path, name: str, file: str, content: str, line: int | None, reason: str
) -> None:
    WRITERS[name](tmp_path)
    (tmp_path / file).write_text(content)
    with pytest.raises(AnnotationError, match=reason) as raised:
        load_benchmark(name, data_dir=tmp_path)
    assert (raised.value.file, raised.value.line) == (tmp_path / file, line)


def test_files_of_the_hub_mirrors_are_read(tmp_path: Path) -> None:
    rows = [{"video_id": "video4", "video": "video4.mp4", "caption": "x"}]
    (tmp_path / "msrvtt_test_1k.json").write_text(json.dumps(rows))
    (tmp_path / "msvd_test.json").write_text(json.dumps([{"video_id": "d", "video": "d.avi", "caption": ["y", "z"]}]))
    (tmp_path / "didemo_test.json").write_text(json.dumps([{"video": "test/e@N1.mp4", "caption": "p q"}]))
    small_benchmarks.touch_videos(tmp_path / "videos", "video4.mp4", "d.avi", "e@N1.mp4")
    assert texts(load_benchmark("msrvtt", split="test", data_dir=tmp_path)) == {"video4": ["x"]}
    assert texts(load_benchmark("msvd", split="test", data_dir=tmp_path)) == {"d": ["y", "z"]}
    didemo = load_benchmark("didemo", split="test", data_dir=tmp_path)
    assert texts(didemo) == {"e@N1": ["p q"]}
    assert (didemo[0]["start"], didemo[0]["end"]) == (0.0, 30.0)


@pytest.mark.parametrize("items", [[{"caption": "x"}], [{"video": "a.mp4"}], ["a"], [{"video": "a", "caption": [1]}]])
def test_a_malformed_mirror_file_is_named(tmp_path: Path, items: list[object]) -> None:
    (tmp_path / "msvd_test.json").write_text(json.dumps(items))
    with pytest.raises(AnnotationError, match="item 1: expected an object with video_id or video, and caption"):
        load_benchmark("msvd", split="test", data_dir=tmp_path)


@needs_annotations
def test_official_msrvtt_test_split_is_the_protocols(tmp_path: Path) -> None:
    rows = load_benchmark("msrvtt", split="test", data_dir=Path(ANNOTATIONS or "") / "msrvtt", allow_missing=True)
    assert (len(rows), len({row["captions"][0] for row in rows})) == (1000, 995)
    report = check_protocol(rows)
    assert (report.differences, report.unchecked, report.coverage) == ((), (), "0 of 1000")


@needs_annotations
def test_official_msvd_is_the_protocols(tmp_path: Path) -> None:
    dataset = load_benchmark("msvd", data_dir=Path(ANNOTATIONS or "") / "msvd", allow_missing=True)
    found = {name: (len(rows), sum(map(len, rows["captions"]))) for name, rows in dataset.items()}
    assert found == {"train": (1200, 48_774), "validation": (100, 4290), "test": (670, 27_763)}
    assert all(check_protocol(rows).differences == () for rows in dataset.values())


@needs_annotations
def test_official_didemo_validation_joins_its_sentences_per_video(tmp_path: Path) -> None:
    data_dir = Path(ANNOTATIONS or "") / "didemo"
    rows = load_benchmark("didemo", split="validation", data_dir=data_dir, allow_missing=True)
    # The file names 1,094 videos, 29 of them a second time under another extension.
    assert len(rows) == 1065
    assert check_protocol(rows).differences == ()
    sentences = [item["description"].strip() for item in json.loads((data_dir / "val_data.json").read_text())]
    assert sum(len(row["captions"][0]) for row in rows) == sum(map(len, sentences)) + len(sentences) - len(rows)
    moments = load_benchmark("didemo", protocol="moments", split="validation", data_dir=data_dir, allow_missing=True)
    assert sum(map(len, moments["captions"])) == len(sentences) == 4180
