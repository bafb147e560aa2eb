import pytest

from video_colbert.dataset_builders import protocols
from video_colbert.dataset_builders.protocol_check import check_protocol
from video_colbert.dataset_builders.protocols import PROTOCOLS, ExpectedSplit, Protocol, list_digest

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
    return [text.split(":")[0] for text in check_protocol(rows, "toy", split="test").differences]


def test_a_data_set_that_keeps_to_the_protocol_has_no_differences() -> None:
    report = check_protocol(ROWS, "toy", "standard", "test")
    assert report.ok
    assert (report.differences, report.unchecked, report.missing, report.coverage) == ((), (), (), "2 of 2")
    assert str(report) == "toy, protocol standard, test: 2 of 2 videos; as expected"


def test_the_order_of_rows_and_captions_is_free() -> None:
    assert check_protocol([ROWS[1], {**ROWS[0], "captions": ["y", "x"]}], "toy", split="test").ok


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
    uneven = check_protocol([ROWS[0], {**ROWS[1], "captions": ["x", "z", "w"]}], "toy", split="test")
    assert "videos without exactly 2 captions: b has 3" in uneven.differences
    twice = check_protocol([ROWS[0], ROWS[1], ROWS[1]], "toy", split="test")
    assert "video ids that occur more than once: b" in twice.differences


def test_missing_videos_are_counted_and_listed() -> None:
    report = check_protocol([ROWS[0], {**ROWS[1], "video": None}], "toy", split="test")
    assert not report.ok
    assert (report.differences, report.missing, report.coverage) == ((), ("b",), "1 of 2")
    assert "- missing videos: b" in str(report)


def test_what_no_source_states_is_reported_as_unchecked() -> None:
    report = check_protocol(ROWS, "toy", split="train")
    assert report.ok
    assert report.unchecked == ("number of queries", "digest of the list of videos", "digest of the queries")


def test_names_that_are_not_given_or_unknown_are_errors() -> None:
    with pytest.raises(ValueError, match="unknown benchmark ''"):
        check_protocol(ROWS)
    with pytest.raises(ValueError, match="unknown split ''"):
        check_protocol(ROWS, "toy")
