import errno
import functools
import http.server
import os
import pickle
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.processing.made_videos import write_video
from tests.video_files import write_bad_files
from tests.warm_python import warm_python
from video_colbert.processing.video_decoding import decode_video
from video_colbert.processing.video_sources import VideoDecodingError, channels_last_array, may_pass, source_name

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class _Hub(_QuietFiles):
    """What a Hub answers to a download: the repository's revision, then the file with its hash."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        if self.path.startswith("/api/datasets/user/clips"):
            content, headers = b'{"id": "user/clips", "sha": "%s", "siblings": []}' % COMMIT.encode(), {}
        elif self.path.endswith("v.mp4"):
            content = (Path(self.directory) / "v.mp4").read_bytes()
            headers = {"ETag": '"abc"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        else:
            self.send_error(404)
            return
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def served_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    handler = getattr(request, "param", _QuietFiles)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_decodes_like_its_file(served_folder: tuple[Path, str]) -> None:
    folder, url = served_folder
    path = write_video(folder / "v.mp4")
    decoded = decode_video(f"{url}/v.mp4", 5)
    np.testing.assert_array_equal(decoded.frames, decode_video(path, 5).frames)


def test_a_bad_url_is_a_decoding_error_that_names_it(served_folder: tuple[Path, str]) -> None:
    folder, url = served_folder
    (folder / "empty.mp4").touch()
    for name, reason in (("gone.mp4", "404"), ("empty.mp4", "empty")):
        with pytest.raises(VideoDecodingError, match=reason) as caught:
            decode_video(f"{url}/{name}")
        assert caught.value.source == f"{url}/{name}"
    with pytest.raises(VideoDecodingError, match="cannot be downloaded"):
        decode_video("http://127.0.0.1:9/v.mp4")


@pytest.mark.parametrize("served_folder", [_Hub], indirect=True)
def test_a_hub_url_decodes_like_its_file(served_folder: tuple[Path, str]) -> None:
    folder, endpoint = served_folder
    expected = decode_video(write_video(folder / "v.mp4"), 5).frames
    # The Hub's address is read when huggingface_hub is imported, so this takes a process of its own.
    code = """
import sys
import numpy as np
from video_colbert.processing.video_decoding import VideoDecodingError, decode_video
np.save(sys.argv[1], decode_video("hf://datasets/user/clips/clips/v.mp4", 5).frames)
try:
    decode_video("hf://datasets/user/clips/gone.avi")
except VideoDecodingError as error:
    assert error.source == "hf://datasets/user/clips/gone.avi" and "cannot be downloaded" in error.reason
else:
    sys.exit("no error")
"""
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    subprocess.run([warm_python(), "-c", code, str(folder / "frames.npy")], env=environment, check=True)
    np.testing.assert_array_equal(np.load(folder / "frames.npy"), expected)


def test_a_folder_of_images_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (1, 2, 9, 10, 11, 100):
        Image.fromarray(np.full((20, 30, 3), number, dtype=np.uint8)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    decoded = decode_video(tmp_path, source_fps=2.0)
    assert decoded.frames.shape == (6, 20, 30, 3)
    assert decoded.frames[:, 0, 0, 0].tolist() == [1, 2, 9, 10, 11, 100]
    assert decoded.timestamps.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert decoded.duration == 3.0
    assert decode_video(tmp_path, 3, start=2.0).timestamps.tolist() == [2.0, 3.0, 4.0]


def test_a_broken_image_of_a_folder_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8)).save(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").write_bytes(b"not an image")
    with pytest.raises(VideoDecodingError) as caught:
        decode_video(tmp_path)
    assert caught.value.source == str(tmp_path / "2.jpg")


def test_images_of_several_sizes_are_an_error(tmp_path: Path) -> None:
    for number in (1, 2):
        Image.fromarray(np.zeros((20 * number, 30, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    with pytest.raises(VideoDecodingError, match="30x20, 30x40"):
        decode_video(tmp_path)


@pytest.mark.parametrize("as_tensor", [False, True])
def test_arrays_and_tensors_are_taken_in_either_channel_order(as_tensor: bool) -> None:
    frames = np.random.default_rng(0).integers(0, 256, size=(5, 8, 6, 3), dtype=np.uint8)
    for video in (frames, np.ascontiguousarray(frames.transpose(0, 3, 1, 2))):
        decoded = decode_video(torch.from_numpy(video) if as_tensor else video, 2)
        np.testing.assert_array_equal(decoded.frames, frames[[0, 3]])
        assert decoded.timestamps.tolist() == [0.0, 3.0]
        assert decoded.duration == 5.0


def test_an_array_that_fits_both_orders_must_say_which() -> None:
    frames = np.random.default_rng(0).integers(0, 256, size=(2, 3, 6, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="input_data_format"):
        decode_video(frames)
    assert channels_last_array(frames, "channels_last").shape == (2, 3, 6, 3)
    assert channels_last_array(frames, "channels_first").shape == (2, 6, 3, 3)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 8, 8, 3), dtype=np.float32), "uint8"),
        (np.zeros((8, 8, 3), dtype=np.uint8), "shape"),
        (np.zeros((2, 8, 8, 4), dtype=np.uint8), "is not"),
    ],
)
def test_an_array_of_another_type_or_shape_is_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_video(array)


def test_an_array_without_frames_is_a_decoding_error() -> None:
    with pytest.raises(VideoDecodingError, match="no frames"):
        decode_video(np.zeros((0, 8, 8, 3), dtype=np.uint8))


def test_what_is_no_source_is_refused() -> None:
    with pytest.raises(TypeError, match="not as int"):
        decode_video(3)  # type: ignore[arg-type]
    with pytest.raises(VideoDecodingError, match="neither a path nor bytes"):
        decode_video({"path": None, "bytes": None})


def test_names_say_what_was_given(tmp_path: Path) -> None:
    assert source_name(tmp_path / "v.mp4") == str(tmp_path / "v.mp4")
    assert source_name(b"abc") == "<3 bytes>"
    assert source_name({"path": "a.mp4", "bytes": b"abc"}) == "a.mp4"
    assert source_name(np.zeros((1, 2, 3, 3))) == "<array of shape (1, 2, 3, 3)>"


def test_an_error_says_whether_another_time_or_other_settings_may_do(tmp_path: Path) -> None:
    good = write_video(tmp_path / "good.mp4")
    bad = write_bad_files(tmp_path)
    for source, settings, passes in (
        (tmp_path / "missing.mp4", {}, True),
        ("ftp://host/a.mp4", {}, True),
        ("http://127.0.0.1:9/a.mp4", {}, True),
        (good, {"max_pixels": 10}, True),
        (good, {"time_limit": -1.0}, True),
        (bad["truncated"], {}, False),
        (bad["text"], {}, False),
        (bad["empty"], {}, False),
        (bad["audio"], {}, False),
        (good, {"start": 1e6}, False),
    ):
        with pytest.raises(VideoDecodingError) as raised:
            decode_video(source, **settings)  # type: ignore[arg-type]
        assert may_pass(raised.value) == passes, raised.value
    assert may_pass(OSError(errno.ENOSPC, "No space left on device"))
    assert not may_pass(OSError(errno.EINVAL, "Invalid argument"))
    assert not may_pass(None)


def test_the_error_passes_between_processes() -> None:
    error = pickle.loads(pickle.dumps(VideoDecodingError("v.mp4", "is empty")))  # noqa: S301 # made here
    assert (str(error), error.source, error.reason) == ("v.mp4: is empty", "v.mp4", "is empty")
    # A data loader rebuilds a worker's error from its message.
    assert str(VideoDecodingError("v.mp4: is empty")) == "v.mp4: is empty"
