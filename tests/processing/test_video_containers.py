"""What is opened, and what it may cost: no other files, no other addresses, no more memory than frames are worth."""

import http.server
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.processing.made_videos import drawn_frame, write_video
from video_colbert.processing import VideoColBERTVideoProcessor
from video_colbert.processing.video_decoding import decode_video
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.processing.video_stream import OpenVideoFile


class _Counting(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined] # of this test's own server
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Counting) as server:
        server.asked = []  # type: ignore[attr-defined] # as above
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def naming_others(other: str, url: str) -> dict[str, str]:
    """Files that FFmpeg reads as lists of others, or that tell it where to listen."""
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n{key}#EXTINF:10,\n{media}\n#EXT-X-ENDLIST\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType="video/mp4">'
        '<Representation id="1" bandwidth="1">'
        f"<BaseURL>{url}/v.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    return {
        "hls of a path": playlist.format(key="", media=other),
        "hls of an address": playlist.format(key="", media=f"{url}/s.ts"),
        "hls with a key": playlist.format(key=f'#EXT-X-KEY:METHOD=AES-128,URI="{url}/k"\n', media=other),
        "hls of playlists": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}/s.m3u8\n",
        "ffconcat of a path": f"ffconcat version 1.0\nfile '{other}'\n",
        "ffconcat of a name": f"ffconcat version 1.0\nfile '{Path(other).name}'\n",
        "ffconcat of an address": f"ffconcat version 1.0\nfile '{url}/v.mp4'\n",
        "dash": dash,
        "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=video 45678 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
        "text": "WEBVTT\n\n00:00.000 --> 00:10.000\nhi\n",
    }


@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "mpd", "sdp", "ffconcat"])
def test_a_file_that_names_others_is_refused_before_they_are_opened(
    tmp_path: Path, web: http.server.ThreadingHTTPServer, suffix: str
) -> None:
    # Whoever opens it to read waits for a writer: a test that does not end shows it.
    other = tmp_path / "other.mp4"
    os.mkfifo(other)
    url = f"http://127.0.0.1:{web.server_address[1]}"
    for name, text in naming_others(str(other), url).items():
        path = tmp_path / f"{name}.{suffix}"
        path.write_text(text)
        for source in (path, text.encode()):
            with pytest.raises(VideoDecodingError, match="not a video file"):
                decode_video(source, 2)
    assert web.asked == []  # type: ignore[attr-defined] # as above


@pytest.mark.parametrize(
    "name", ["concat:other.mp4", "subfile,,start,0,end,0,,:v.mp4", "http:x.mp4", "pipe:.mp4", "%03d.mp4"]
)
def test_a_file_with_the_name_of_a_protocol_is_that_file(tmp_path: Path, name: str) -> None:
    expected = decode_video(write_video(tmp_path / "v.mp4"), 3).frames
    path = (tmp_path / "v.mp4").rename(tmp_path / name)
    np.testing.assert_array_equal(decode_video(path, 3).frames, expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(decode_video(file, 3).frames, expected)


@pytest.mark.parametrize(
    "name", ["data:video/mp4;base64,AAAA", "pipe:0", "lavfi:testsrc", "async:v.mp4", "/dev/zero", "-"]
)
def test_what_is_no_file_is_not_given_to_ffmpeg(name: str) -> None:
    with pytest.raises(VideoDecodingError, match="there is no such file"):
        decode_video(name)


def test_a_pattern_of_images_is_no_pattern(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (9, 9, 9)).save(tmp_path / "1.png")
    with pytest.raises(VideoDecodingError, match="there is no such file"):
        decode_video(tmp_path / "%d.png")
    Image.new("RGB", (30, 20), (200, 9, 9)).save(tmp_path / "%d.png")
    assert decode_video(tmp_path / "%d.png").frames[0, 0, 0].tolist() == [200, 9, 9]


def claiming_gif(width: int, height: int) -> bytes:
    """A GIF of twelve frames of one pixel, on a screen of a size that it claims."""
    frame = b"\x21\xf9\x04\0\x0a\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0\0\0\0\xff\xff\xff" + frame * 12 + b";"


def write_large(path: Path, size: int, frames: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "51", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
        frame = av.VideoFrame(size, size, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for number in range(frames):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("size", [(16000, 16000), (30000, 30000), (65535, 65535)])
def test_a_frame_of_too_many_pixels_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(VideoDecodingError, match=r"limit of 67108864 pixels|without any frame that can be decoded"):
        decode_video(claiming_gif(*size), 12)


def test_the_limit_of_pixels_is_that_of_the_caller_and_of_the_processor(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4")
    assert decode_video(path, 1, max_pixels=64 * 48).frames.shape == (1, 48, 64, 3)
    with pytest.raises(
        VideoDecodingError, match=r"frames of 64x48, more than the limit of 3071 pixels \(max_pixels\)"
    ):
        decode_video(path, 1, max_pixels=64 * 48 - 1)
    with pytest.raises(VideoDecodingError, match="more than the limit of 3000 pixels"):
        VideoColBERTVideoProcessor(max_pixels=3000)(path)
    folder = tmp_path / "frames"
    folder.mkdir()
    Image.new("1", (300, 300)).save(folder / "1.png")
    with pytest.raises(VideoDecodingError, match="more than the limit of 80000 pixels"):
        decode_video(folder, max_pixels=80000)
    with pytest.raises(ValueError, match="max_pixels is 0"):
        VideoColBERTVideoProcessor(max_pixels=0)


def peak_megabytes(*, reset: bool = False) -> float:
    """The most memory that this process has held at once, since it was last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from Linux's /proc")
def test_small_files_that_decode_to_much_take_no_more_memory_than_a_few_frames(tmp_path: Path) -> None:
    large = write_large(tmp_path / "2400.mp4", 2400, 14)
    ordinary = write_video(tmp_path / "v.mp4")
    processor = VideoColBERTVideoProcessor(num_frames=12)
    processor(ordinary)
    before = peak_megabytes(reset=True)
    processor(large)
    with pytest.raises(VideoDecodingError):
        processor(claiming_gif(16000, 16000))
    # 12 frames of 2400 x 2400 are 207 MB, and twice that where they are stacked.
    assert peak_megabytes() - before < 150


def test_resizing_each_frame_as_it_comes_changes_no_pixel(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", draw=lambda number: drawn_frame(number, 322, 244))
    processor = VideoColBERTVideoProcessor(num_frames=12)
    together = processor.resize_and_crop(decode_video(path, 12).frames).numpy()
    one_by_one = decode_video(path, 12, prepare=processor.resize_and_crop_frame).frames
    np.testing.assert_array_equal(one_by_one, together)


def test_decoding_is_given_up_at_the_time_limit(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", num_frames=200)
    with pytest.raises(VideoDecodingError, match="takes longer to decode than the limit of 0 s"):
        decode_video(path, time_limit=0.0)
    with OpenVideoFile(str(path), "v.mp4", time_limit=60.0) as opened:
        assert len(decode_video(opened, 3).frames) == 3
