"""What an index knows of files that are read in decoding processes, wherever they are."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.processing.test_frame_pictures import write_anamorphic
from tests.processing.test_video_decoding import needs_rotation_writer
from tests.video_files import write_clip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.index import Index, WindowSettings, open_index
from video_colbert.index.indexed_video import FileFacts
from video_colbert.processing import decode_video


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Writes nothing."""


@pytest.fixture
def index(checkpoint_folder: Path) -> Iterator[Index]:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    with open_index("memory://", encoder, windows=WindowSettings(1.0)) as opened:
        yield opened


def facts(index: Index) -> dict[str, set[FileFacts]]:
    of_paths: dict[str, set[FileFacts]] = {}
    for video in index.videos:
        of_paths.setdefault(Path(video.path).name, set()).add(video.facts)
    return of_paths


@needs_rotation_writer
def test_width_and_height_are_those_of_the_frames_that_are_encoded(tmp_path: Path, index: Index) -> None:
    path = write_anamorphic(tmp_path / "v.mp4", np.zeros((96, 128, 3), np.uint8), Fraction(3, 2), rotation=90)
    height, width, _ = decode_video(path, 1).frames[0].shape
    assert (width, height) == (96, 192)
    index.add(path, workers=1)
    assert facts(index) == {"v.mp4": {FileFacts(path.stat().st_size, path.stat().st_mtime, 96, 192)}}


def test_every_window_has_the_facts_of_its_file_and_they_follow_it(tmp_path: Path, index: Index) -> None:
    path = write_clip(tmp_path / "videos" / "a.mp4", 0, frames=20)
    index.add(path.parent, workers=1)
    first = FileFacts(path.stat().st_size, path.stat().st_mtime, 32, 32)
    assert (len(index), facts(index)) == (5, {"a.mp4": {first}})
    os.utime(path, ns=(0, 1_234_567_890_123_456_789))
    moved = path.rename(path.with_name("b.mp4"))
    report = index.add(path.parent, workers=1)
    assert (report.added, report.moved) == ([], [str(moved)])
    assert facts(index) == {"b.mp4": {FileFacts(first.size, moved.stat().st_mtime, 32, 32)}}
    assert index.search("red", where="modified >= '2009-02-13' and modified < '2009-02-15' and path = 'b.mp4'")


def test_of_a_file_behind_an_address_the_time_is_not_known(tmp_path: Path, index: Index) -> None:
    path = write_clip(tmp_path / "a.mp4", 0, frames=3)
    handler = functools.partial(_Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a.mp4"
        report = index.add([url, f"{url}.none"], workers=1)
        server.shutdown()
    assert (report.added, len(report.bad)) == ([url], 1)
    assert facts(index) == {"a.mp4": {FileFacts(path.stat().st_size, None, 32, 32)}}
    assert index.stored.notes.bad_files == ()
    assert index.search("red", where="modified is null")[0].is_gone is False
