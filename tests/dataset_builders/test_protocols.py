import csv
import os
from pathlib import Path

import pytest

from video_colbert.dataset_builders import protocols
from video_colbert.dataset_builders.protocols import PROTOCOLS, ExpectedSplit, Protocol, get_split, list_digest, verify

ANNOTATIONS = os.environ.get("VIDEO_COLBERT_ANNOTATIONS")

ROWS = [
    {"video_id": "a", "captions": ["x", "y"], "video": {"path": "a.mp4", "bytes": None}},
    {"video_id": "b", "captions": ["x", "z"], "video": {"path": "b.mp4", "bytes": None}},
]
EXPECTED = ExpectedSplit(
    videos=2,
    queries=4,
    distinct_queries=3,
    captions_per_video=2,
    videos_digest=list_digest(["b", "a"]),
    queries_digest=list_digest(["a\tx", "a\ty", "b\tz", "b\tx"]),
)


@pytest.fixture(autouse=True)
def toy_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Protocol({"test": EXPECTED, "train": ExpectedSplit(videos=2)}, "each caption", "any", "nowhere")
    monkeypatch.setattr(protocols, "PROTOCOLS", {**PROTOCOLS, "toy": {"standard": toy}})


def differences(rows: list[dict[str, object]]) -> list[str]:
    return [text.split(":")[0] for text in verify(rows, "toy", split="test").differences]


def test_a_data_set_that_keeps_to_the_protocol_has_no_differences() -> None:
    report = verify(ROWS, "toy", "standard", "test")
    assert report.ok
    assert (report.differences, report.unchecked, report.missing, report.coverage) == ((), (), (), "2 of 2")
    assert str(report) == "toy, protocol standard, test: 2 of 2 videos; as expected"


def test_the_order_of_rows_and_captions_is_free() -> None:
    assert verify([ROWS[1], {**ROWS[0], "captions": ["y", "x"]}], "toy", split="test").ok


def test_every_difference_is_named() -> None:
    assert differences(ROWS[:1]) == [
        "number of videos",
        "number of queries",
        "number of distinct queries",
        "digest of the list of videos",
        "digest of the queries",
    ]
    assert differences([ROWS[0], {**ROWS[1], "captions": ["x", "w"]}]) == ["digest of the queries"]
    assert differences([ROWS[0], {**ROWS[1], "video_id": "c"}]) == [
        "digest of the list of videos",
        "digest of the queries",
    ]
    uneven = verify([ROWS[0], {**ROWS[1], "captions": ["x", "z", "w"]}], "toy", split="test")
    assert "videos without exactly 2 captions: b has 3" in uneven.differences
    twice = verify([ROWS[0], ROWS[1], ROWS[1]], "toy", split="test")
    assert "video ids that occur more than once: b" in twice.differences


def test_missing_videos_are_counted_and_listed() -> None:
    report = verify([ROWS[0], {**ROWS[1], "video": None}], "toy", split="test")
    assert not report.ok
    assert (report.differences, report.missing, report.coverage) == ((), ("b",), "1 of 2")
    assert "- missing videos: b" in str(report)


def test_what_no_source_states_is_reported_as_unchecked() -> None:
    report = verify(ROWS, "toy", split="train")
    assert report.ok
    assert report.unchecked == ("number of queries", "digest of the list of videos", "digest of the queries")


def test_names_that_are_not_given_or_unknown_are_errors() -> None:
    with pytest.raises(ValueError, match="benchmark must be one of"):
        verify(ROWS)
    with pytest.raises(ValueError, match="unknown split ''"):
        verify(ROWS, "toy")


@pytest.mark.parametrize(
    ("split", "ids"), [("train", (0, 6513)), ("validation", (6513, 7010)), ("test", (7010, 10000))]
)
def test_the_full_split_of_msrvtt_is_three_ranges(split: str, ids: tuple[int, int]) -> None:
    expected = get_split("msrvtt", "full", split)
    assert expected.videos == len(range(*ids))
    assert expected.videos_digest == list_digest(f"video{i}" for i in range(*ids))


def test_the_7k_list_of_msrvtt_is_its_official_training_and_validation_set() -> None:
    digest = get_split("msrvtt", "1k-A-7k", "train").videos_digest
    assert digest == list_digest(f"video{i}" for i in range(7010))


@pytest.mark.skipif(ANNOTATIONS is None, reason="VIDEO_COLBERT_ANNOTATIONS does not name a folder of annotations")
def test_official_training_lists_share_nothing_with_the_test_list() -> None:
    def ids(name: str) -> list[str]:
        with (Path(ANNOTATIONS or "") / "msrvtt" / name).open(newline="") as file:
            return [row["video_id"] for row in csv.DictReader(file)]

    test = ids("MSRVTT_JSFUSION_test.csv")
    for name, protocol in (("MSRVTT_train.9k.csv", "1k-A"), ("MSRVTT_train.7k.csv", "1k-A-7k")):
        train, expected = ids(name), get_split("msrvtt", protocol, "train")
        assert (len(train), list_digest(train)) == (expected.videos, expected.videos_digest)
        assert not set(train) & set(test)
