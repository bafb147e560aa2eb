"""Videos at addresses that hold a key: what an index keeps of them."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.video_files import write_clip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.index import LanceIndex, index_videos


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Writes nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a server of one clip, which takes any query."""
    write_clip(tmp_path / "served" / "a.mp4", 0)
    handler = functools.partial(_Quiet, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_signed_address_is_read_and_its_signature_is_kept_nowhere(
    tmp_path: Path, address: str, checkpoint_folder: Path
) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    index = LanceIndex.create(tmp_path / "index", model=encoder.reference, num_frames=encoder.num_frames)
    signed, missing = f"{address}/a.mp4?v=2&X-Amz-Signature=FIRST", f"{address}/b.mp4?X-Amz-Signature=FIRST"
    report = index_videos(index, encoder, [signed, missing], metadata={signed: {"year": 2020}}, workers=1)
    assert report.added == [f"{address}/a.mp4?v=2"]
    assert [video.source for video in report.bad] == [f"{address}/b.mp4"]
    [hit] = index.search(encoder.encode_queries(["a red circle"]), where="year = 2020")[0]
    assert hit.video == f"{address}/a.mp4?v=2"
    # Signed anew, it is the same video.
    again = index_videos(index, encoder, [signed.replace("FIRST", "SECOND")], workers=1)
    assert (again.present, again.added) == ([f"{address}/a.mp4?v=2"], [])
    kept = b"".join(path.read_bytes() for path in (tmp_path / "index").rglob("*") if path.is_file())
    assert b"FIRST" not in kept + repr(report).encode()
    assert b"SECOND" not in kept
