from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.index.made_videos import MODEL, make_queries, make_video
from video_colbert.index import LanceIndex
from video_colbert.index.lance.snapshot import IndexSnapshot


def test_stored_calibration_is_used_by_every_later_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", 10)
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    with pytest.raises(ValueError, match="holds no videos to calibrate"):
        index.calibrate()
    index.add([make_video(f"{number}.mp4", frames=1 + number % 4) for number in range(60)])
    assert index.needs_calibration
    calibration = index.calibrate()
    assert not index.needs_calibration
    reader = LanceIndex.open(tmp_path)
    monkeypatch.setattr("video_colbert.index.search.searcher.Searcher.calibrate", None)
    assert len(reader.search(make_queries(1), top_k=5)[0]) == 5
    assert reader.calibration == calibration
    writer = LanceIndex.open(tmp_path)
    writer.add([make_video(f"{number}.mp4") for number in range(60, 130)])
    assert writer.needs_calibration


def test_index_that_holds_its_tokens_gives_the_hits_of_one_that_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", 10)
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video(f"{number}.mp4", frames=1 + number % 4, seed=number) for number in range(60)])
    index.calibrate()
    queries = make_queries(3)
    reading, holding = LanceIndex.open(tmp_path), LanceIndex.open(tmp_path, hold_tokens=True)
    assert holding.search(queries, top_k=5) == reading.search(queries, top_k=5)
    read: list[int] = []
    monkeypatch.setattr(IndexSnapshot, "bags", _counting(IndexSnapshot.bags, read))
    holding.search(queries, top_k=5)
    assert not read
    reading.search(queries, top_k=5)
    assert read


def _counting(bags: Callable[..., Any], read: list[int]) -> Callable[..., Any]:
    def counted(snapshot: IndexSnapshot, rows: torch.Tensor | None = None) -> Any:
        read.append(len(snapshot) if rows is None else len(rows))
        return bags(snapshot, rows)

    return counted
