import csv
import os
from pathlib import Path

import pytest

from video_colbert.dataset_builders.protocols import get_split, list_digest

ANNOTATIONS = os.environ.get("VIDEO_COLBERT_ANNOTATIONS")


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
