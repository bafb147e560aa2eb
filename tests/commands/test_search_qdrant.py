from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.index.qdrant_server import serve
from tests.video_files import write_clip
from video_colbert.cli import main
from video_colbert.encoding import VideoColBERTEncoder
from video_colbert.index import create_index, index_videos, open_index

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


def test_a_collection_is_searched_like_a_folder(
    tmp_path: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    files = [tmp_path / f"clip{seed}.mp4" for seed in range(3)]
    for seed, file in enumerate(files):
        write_clip(file, seed)
    encoder = VideoColBERTEncoder.from_pretrained(str(checkpoint_folder))
    results = []
    with serve() as server:
        for location in (str(tmp_path / "index"), f"qdrant://127.0.0.1:{server.port}/videos"):
            index = create_index(location, model=encoder.reference, num_frames=4)
            report = index_videos(index, encoder, files)
            assert len(report.added) == 3
            again = index_videos(open_index(location), encoder, files)
            assert (len(again.added), len(again.present)) == (0, 3)
            assert main(["search", "a red circle", "--index", location, "--json"]) == 0
            results.append(json.loads(capsys.readouterr().out))
    assert len(results[0]["hits"]) == 3
    assert results[0] == results[1]


def test_a_server_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "a red circle", "--index", "qdrant://127.0.0.1:1/videos"]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "qdrant://127.0.0.1:1/videos: the Qdrant server cannot be reached" in lines[0]
