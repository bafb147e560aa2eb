from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from tests.index.lance.mapped.mapped_indexes import hits_from_table, make_all_candidates, set_fastest_format
from tests.index.made_videos import MODEL, make_queries, make_video
from video_colbert.index import LanceIndex


def test_searches_of_opened_files_leave_the_filters_of_warnings_alone_that_threads_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", 10)
    set_fastest_format(monkeypatch, "int8")
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=4)
    # Of one length, so that the tokens of each are copied as a whole.
    index.add([make_video(f"{number}.mp4", frames=4) for number in range(400)])
    make_all_candidates(index)
    opened = LanceIndex.open(tmp_path)
    expected = hits_from_table(tmp_path, make_queries(2), top_k=3)
    assert opened.search(make_queries(2), top_k=3) == expected
    catching: list[None] = []
    enter = warnings.catch_warnings.__enter__
    monkeypatch.setattr(warnings.catch_warnings, "__enter__", lambda caught: (catching.append(None), enter(caught))[1])
    assert opened.search(make_queries(2), top_k=3) == expected
    assert not catching
