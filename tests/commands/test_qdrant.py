from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.index.qdrant.qdrant_server import serve
from tests.video_files import write_clip
from video_colbert.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


def _taken_by(numbers: list[float]) -> Callable[[str], None]:
    """Reads the numbers of a JSON text into a list, and leaves null in their places."""
    return lambda text: numbers.append(float(text))


def test_a_collection_is_indexed_and_searched_like_a_folder(
    tmp_path: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    videos = tmp_path / "videos"
    videos.mkdir()
    for seed in range(3):
        write_clip(videos / f"clip{seed}.mp4", seed)
    metadata = tmp_path / "metadata.jsonl"
    metadata.write_text(json.dumps({"video": str(videos / "clip1.mp4"), "year": 2020}) + "\n")
    results: list[Any] = []
    numbers: list[list[float]] = []
    with serve() as server:
        on_server, in_folder = f"qdrant://127.0.0.1:{server.port}/videos", f"qdrant+local://{tmp_path}/qdrant"
        for location in (str(tmp_path / "index"), on_server, in_folder):
            index = ["index", str(videos), "--model", str(checkpoint_folder), "--index", location]
            # In another order within a batch the last bit of a token differs, and may be rounded to another float16.
            index += ["--batch-size", "1"]
            assert main([*index, "--metadata", str(metadata)]) == 0
            assert "3 added" in capsys.readouterr().out
            assert main(index) == 0
            assert "0 added, 3 already there" in capsys.readouterr().out
            (videos / "clip2.mp4").rename(videos / "moved.mp4")
            assert main([*index, "--prune"]) == 0
            assert "1 moved" in capsys.readouterr().out
            (videos / "moved.mp4").rename(videos / "clip2.mp4")
            for condition in ([], ["--where", "year = 2020"]):
                assert main(["search", "a red circle", "--index", location, "--json", *condition]) == 0
                numbers.append([])
                # Sums in float32 depend in their last bits on where in memory their terms lie.
                results.append(json.loads(capsys.readouterr().out, parse_float=_taken_by(numbers[-1])))
    assert [len(result["hits"]) for result in results] == [3, 1] * 3
    assert results[:2] == results[2:4] == results[4:]
    for of_folder, *of_others in zip(numbers[:2], numbers[2:4], numbers[4:], strict=True):
        assert all(others == pytest.approx(of_folder, abs=1e-6) for others in of_others)


def test_a_server_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "a red circle", "--index", "qdrant://127.0.0.1:1/videos"]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "qdrant://127.0.0.1:1/videos: the Qdrant server cannot be reached" in lines[0]


@pytest.mark.parametrize("secret", ["?api_key=SECRET", "#SECRET", "?SECRET"])
def test_a_key_in_the_address_is_never_printed(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "a red circle", "--index", f"qdrant://127.0.0.1:1/videos{secret}"]) == 1
    captured = capsys.readouterr()
    assert "qdrant://127.0.0.1:1/videos:" in captured.err
    assert "SECRET" not in captured.out + captured.err
