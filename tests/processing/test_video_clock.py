"""Times that go on where a clock restarts or jumps, what is on show when, and how long a last picture stays."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.processing.made_videos import decode_everything, drawn_frame, write_slides, write_video
from video_colbert.processing import whole_decoding
from video_colbert.processing.video_decoding import decode_video
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.processing.video_stream import OpenVideoFile

NO_B_FRAMES = {"x264-params": "bframes=0:keyint=10:min-keyint=10:scenecut=0"}


def write_part(path: Path, first: int, start: float) -> Path:
    """A transport stream of 40 frames, 10 a second, of other pictures from `first` on, whose clock starts anywhere."""
    with av.open(str(path), "w", options={"muxdelay": "0", "output_ts_offset": str(start)}) as container:
        stream = container.add_stream("libx264", rate=10, options=NO_B_FRAMES)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(drawn_frame(first + number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("first_start", "second_start"),
    [(0, 0), (0, 2.05), (0, 1000), (500, 0)],
    ids=["same", "within", "later", "earlier"],
)
def test_the_time_line_of_joined_recordings_goes_on(tmp_path: Path, first_start: float, second_start: float) -> None:
    parts = [write_part(tmp_path / "a.ts", 0, first_start), write_part(tmp_path / "b.ts", 40, second_start)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    reference = np.stack([*decode_everything(parts[0]), *decode_everything(parts[1])])
    decoded = decode_video(joined)
    np.testing.assert_array_equal(decoded.frames, reference)
    np.testing.assert_allclose(decoded.timestamps, np.arange(80) / 10, atol=1e-3)
    assert decoded.duration == pytest.approx(8.0, abs=1e-3)
    window = decode_video(joined, start=6.0, end=6.5)
    np.testing.assert_array_equal(window.frames, reference[60:65])


def test_windows_of_a_joined_recording_in_their_order_decode_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = tmp_path / "joined.ts"
    parts = [write_part(tmp_path / "a.ts", 0, 0), write_part(tmp_path / "b.ts", 40, 0)]
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    everything = decode_video(joined)
    starts: list[object] = []
    decode_in_order = whole_decoding.decode_in_order

    def counting(*arguments: object) -> object:
        starts.append(arguments)
        return decode_in_order(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(whole_decoding, "decode_in_order", counting)
    with OpenVideoFile(str(joined), "joined.ts") as opened:
        for start in range(8):
            window = decode_video(opened, 4, start=float(start), end=start + 1.0)
            middles = 10 * start + np.array([0, 3, 5, 8])
            np.testing.assert_array_equal(window.frames, everything.frames[middles])
            again = decode_video(opened, start=float(start), end=start + 1.0)
            np.testing.assert_array_equal(again.frames, everything.frames[10 * start : 10 * start + 10])
        # To list the frames, for the first window, and for each window that is decoded again.
        assert len(starts) == 2 + 8
        early = decode_video(opened, 1, start=0.0, end=0.1)
        np.testing.assert_array_equal(early.frames, everything.frames[:1])


def write_jump(folder: Path, seconds: float) -> Path:
    """A Matroska file of 40 frames, 10 a second, whose clock leaps after the twentieth."""
    source = write_video(folder / "v.mkv", num_frames=40, rate=10, options=NO_B_FRAMES)
    path = folder / "jump.mkv"
    with av.open(str(source)) as read, av.open(str(path), "w") as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(read.demux(video=0)):
            if packet.dts is None or packet.pts is None:
                continue
            leap = round(seconds * 1000) if number >= 20 else 0
            packet.pts, packet.dts, packet.stream = packet.pts + leap, packet.dts + leap, stream
            written.mux(packet)
    return path


def test_a_leap_of_more_than_30_hours_is_no_time_as_for_ffmpeg(tmp_path: Path) -> None:
    decoded = decode_video(write_jump(tmp_path, 31 * 3600))
    np.testing.assert_allclose(decoded.timestamps, np.arange(40) / 10, atol=2e-3)
    assert decoded.duration == pytest.approx(4.0, abs=2e-3)
    assert len(decode_video(write_jump(tmp_path, 10 * 365 * 24 * 3600), 12).frames) == 12


def test_a_shorter_leap_stays_in_the_time_line_as_for_ffmpeg(tmp_path: Path) -> None:
    decoded = decode_video(write_jump(tmp_path, 26 * 3600))
    np.testing.assert_allclose(decoded.timestamps[19:21], [1.9, 26 * 3600 + 2.0], atol=2e-3)


@pytest.mark.parametrize(
    ("name", "codec"), [("v.mkv", "libx264"), ("v.webm", "libvpx-vp9"), ("v.flv", "libx264"), ("v.mp4", "libx264")]
)
def test_a_window_holds_the_picture_that_is_on_show_at_its_start(tmp_path: Path, name: str, codec: str) -> None:
    path = write_slides(tmp_path / name, [0, 20, 50, 90], last=30, codec=codec)
    pictures = decode_everything(path)
    assert decode_video(path).duration == pytest.approx(120.0, abs=0.01)
    for start, end, shown in (
        (0, 10, [0]),
        (10, 20, [0]),
        (10, 30, [0, 1]),
        (60, 90, [2]),
        (85, 95, [2, 3]),
        (110, 120, [3]),
    ):
        window = decode_video(path, start=float(start), end=float(end))
        np.testing.assert_array_equal(window.frames, [pictures[number] for number in shown])
        assert window.timestamps.tolist() == [[0.0, 20.0, 50.0, 90.0][number] for number in shown]
    with pytest.raises(VideoDecodingError, match=r"no frame appears from 125 s to 130 s"):
        decode_video(path, start=125.0, end=130.0)


def declare_end(path: Path, seconds: float) -> Path:
    """A copy of a Matroska file whose header says when it ends."""
    content = bytearray(path.read_bytes())
    duration = content.find(b"\x44\x89\x88") + 3
    content[duration : duration + 8] = struct.pack(">d", seconds * 1000)
    copy = path.with_name("declared.mkv")
    copy.write_bytes(content)
    return copy


def test_a_last_picture_stays_until_the_end_that_the_header_declares(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mkv", num_frames=40, rate=10, options=NO_B_FRAMES)
    path = declare_end(source, 600.0)
    decoded = decode_video(path)
    assert (len(decoded.frames), decoded.duration) == (40, pytest.approx(600.0))
    np.testing.assert_array_equal(decode_video(path, start=590.0).frames, decoded.frames[-1:])
    assert decode_video(declare_end(source, 1e6)).duration == pytest.approx(4.0)


@pytest.mark.parametrize(("name", "codec"), [("v.mkv", "libx264"), ("v.webm", "libvpx-vp9"), ("v.flv", "libx264")])
def test_a_file_whose_end_is_missing_is_truncated(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, codec=codec, num_frames=120)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with pytest.raises(VideoDecodingError, match=r"is truncated: its video ends at 3\.\d s of the 5\.\d s"):
        decode_video(path, 3)


def test_a_length_beyond_belief_is_not_believed(tmp_path: Path) -> None:
    path = write_slides(tmp_path / "v.mkv", [0, 1], last=1e6)
    assert decode_video(path).duration < 2 * 3600
