from pathlib import Path

import pytest
import torch

from video_colbert.index.search import number_formats
from video_colbert.index.search.number_formats import fastest_format

CPU = torch.device("cpu")


@pytest.fixture
def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The formats that were timed, each as fast as its name is short."""
    monkeypatch.setenv("VIDEO_COLBERT_CACHE", str(tmp_path / "cache"))
    names: list[str] = []

    def seconds(candidate: number_formats.NumberFormat, device: torch.device) -> float:
        names.append(candidate.name)
        return float(candidate.name != "float32")

    monkeypatch.setattr(number_formats, "_seconds", seconds)
    return names


def in_another_process() -> str:
    return fastest_format.__wrapped__(CPU).name


def test_the_fastest_format_is_found_once_on_a_processor(timed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_another_process() == "float32"
    assert timed
    timed.clear()
    assert in_another_process() == "float32"
    assert not timed
    monkeypatch.setattr("video_colbert.index.search.kept_format.processor_identity", lambda: "another one")
    assert in_another_process() == "float32"
    assert timed


def test_a_kept_format_that_this_processor_does_wrong_is_not_taken(
    timed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_another_process()
    monkeypatch.setattr(number_formats, "is_correct", lambda candidate, device: candidate.name == "bfloat16")
    assert in_another_process() == "bfloat16"
