"""Cuts of many kinds of files, against frames and sound that are decoded one after another by PyAV alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from tests.excerpts.made_media import loudness, number_of, picture, write_media
from video_colbert.excerpts.copying import CannotCopyError, copy_stretch
from video_colbert.excerpts.reencoding import encode_stretches
from video_colbert.excerpts.sound import sound_of
from video_colbert.excerpts.stretch import Stretch
from video_colbert.processing import VideoDecodingError

UNEVEN = [0.0, 0.1, 0.15, 0.4, 1.0, 1.1, 1.15, 1.5, 1.9, 2.0, 2.2]
KINDS: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "hevc.mp4": {"codec": "libx265"},
    "mpeg4.avi": {"codec": "mpeg4", "sound": "mp2"},
    "h264.mkv": {},
    "vp9.webm": {"codec": "libvpx-vp9", "sound": "libopus"},
    "animated.gif": {"codec": "gif", "sound": None, "pixel_format": "rgb8"},
    "late.ts": {"begin": 100.0, "sound": "mp2"},
    "late.mkv": {"begin": 5.0},
    "portrait.mp4": {"size": (48, 96)},
    "odd.mkv": {"size": (65, 47), "codec": "ffv1", "pixel_format": "bgr0", "sound": "flac"},
    "silent.mp4": {"sound": None},
}
# The 256 colours of a GIF are dithered, which is noise to an encoder; sides that are odd become even.
LOSSES = {"animated.gif": 12.0, "odd.mkv": 8.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


def made(folder: Path, name: str) -> Path:
    path = folder / name
    return path if path.exists() else write_media(path, **KINDS[name])


def frames_of(path: Path) -> tuple[list[npt.NDArray[np.uint8]], list[float]]:
    """All frames, one after another, and when they appear after the first."""
    with av.open(str(path)) as container:
        shown = [(float(frame.time or 0), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    first = shown[0][0]
    return [pixels for _, pixels in shown], [time - first for time, _ in shown]


def sound_samples(path: Path) -> tuple[npt.NDArray[np.float32], int]:
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    mixed = [np.atleast_2d(frame.to_ndarray()).mean(axis=0) for frame in frames]
    return np.concatenate(mixed).astype(np.float32), frames[0].sample_rate


def assert_like(frames: list[npt.NDArray[np.uint8]], expected: list[npt.NDArray[np.uint8]], most: float = 4.0) -> None:
    assert [number_of(frame) for frame in frames] == [number_of(frame) for frame in expected]
    for frame, other in zip(frames, expected, strict=True):
        height, width = min(frame.shape[0], other.shape[0]), min(frame.shape[1], other.shape[1])
        # Brightness, of which nothing is left out when it is encoded again.
        difference = frame[:height, :width].mean(axis=2) - other[:height, :width].mean(axis=2)
        assert np.abs(difference).mean() < most


@pytest.mark.parametrize("name", KINDS)
def test_an_exact_cut_has_the_frames_and_the_length_of_the_stretch(folder: Path, name: str) -> None:
    source, target = made(folder, name), folder / f"exact_{name}.mp4"
    of_source, times = frames_of(source)
    # A transport stream's sound starts a little before its pictures, whose clock then does too.
    offset = 0.03 if name == "late.ts" else 0.0
    # Not at the very times of frames, of which a container keeps what its clock tells.
    stretch = Stretch(str(source), 1.2 + offset + 0.001, 2.0 + offset - 0.001)
    report = encode_stretches([stretch], target, max_height=None, time_limit=60)
    assert (report.is_copy, report.problem, report.stretches) == (False, None, (stretch,))
    chosen = [number for number, time in enumerate(times) if 1.2 - 1e-4 <= time < 2.0 - 1e-4]
    frames, shown = frames_of(target)
    assert_like(frames, [of_source[number] for number in chosen], most=LOSSES.get(name, 4.0))
    assert shown == pytest.approx([times[number] - times[chosen[0]] for number in chosen], abs=0.005)
    with av.open(str(target)) as container:
        assert container.duration is not None
        assert container.duration / av.time_base == pytest.approx(0.8, abs=0.1)
        assert bool(container.streams.audio) == (KINDS[name].get("sound", "aac") is not None)
        assert {stream.codec_context.name for stream in container.streams} <= {"h264", "aac"}


def test_frames_that_stay_longer_are_shown_from_the_start_of_the_stretch_to_its_end(folder: Path) -> None:
    source = write_media(folder / "uneven.mkv", times=UNEVEN)
    target = folder / "uneven.mp4"
    encode_stretches([Stretch(str(source), 0.5, 1.95)], target, max_height=None, time_limit=60)
    frames, times = frames_of(target)
    # Frame 3, of 0.4 s, is on show until 1 s.
    expected = [UNEVEN[number] for number in range(3, 9)]
    for frame, time in zip(frames, times, strict=True):
        number = max(number for number, appears in enumerate(UNEVEN) if appears <= time + 0.5 + 0.005)
        assert number_of(frame) == number
    assert {number_of(frame) for frame in frames} == set(range(3, 9))
    assert {round(time + 0.5, 2) for time in times} >= set(expected[1:])
    with av.open(str(target)) as container:
        assert container.duration is not None
        assert container.duration / av.time_base == pytest.approx(1.45, abs=0.06)


@pytest.mark.parametrize(
    ("name", "ending"),
    [("plain.mp4", ".mp4"), ("hevc.mp4", ".mov"), ("h264.mkv", ".mkv"), ("vp9.webm", ".webm"), ("late.mkv", ".mp4"),
     ("silent.mp4", ".mkv"), ("vp9.webm", ".mkv")],
)  # fmt: skip
def test_a_copy_has_the_very_frames_from_the_keyframe_before(folder: Path, name: str, ending: str) -> None:
    source, target = made(folder, name), folder / f"copy_{name}{ending}"
    of_source, _ = frames_of(source)
    report = copy_stretch(Stretch(str(source), 1.25, 1.78), target, time_limit=60)
    [written] = report.stretches
    # There is a keyframe each second.
    assert (report.is_copy, written.start) == (True, pytest.approx(1.0, abs=1e-3))
    frames, times = frames_of(target)
    assert 8 <= len(frames) <= 10
    assert all(np.array_equal(*pair) for pair in zip(frames, of_source[10:], strict=False))
    assert times == pytest.approx([number / 10 for number in range(len(frames))], abs=0.005)
    assert written.end == pytest.approx(1.0 + len(frames) / 10, abs=0.005)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", ["plain.mp4", "vp9.webm", "late.mkv"])
def test_sound_stays_with_the_pictures(folder: Path, name: str, exact: bool) -> None:
    source, target = made(folder, name), folder / f"sound_{exact}_{name}.mkv"
    stretch = Stretch(str(source), 1.0, 2.5)
    if exact:
        encode_stretches([stretch], target, max_height=None, time_limit=60)
    else:
        copy_stretch(stretch, target, time_limit=60)
    samples, rate = sound_samples(target)
    # Silent in the first half of each second, and a tone in the second.
    for second, is_loud in ((0.2, False), (0.7, True), (1.2, False)):
        assert (loudness(samples, rate, second) > 0.1) == is_loud, second


def test_a_turned_file_is_upright_when_encoded_again_and_keeps_its_turn_when_copied(folder: Path) -> None:
    source = folder / "turned.mp4"
    plain = made(folder, "plain.mp4")
    with av.open(str(plain)) as given, av.open(str(source), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        stream.set_display_rotation(90)
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    from video_colbert.processing import decode_video

    upright = decode_video(source).frames
    assert upright.shape[1:] == (64, 48, 3)
    stretch = Stretch(str(source), 1.0, 2.0)
    encode_stretches([stretch], folder / "turned_exact.mp4", max_height=None, time_limit=60)
    frames, _ = frames_of(folder / "turned_exact.mp4")
    assert all(np.abs(a.astype(int) - b).mean() < 6 for a, b in zip(frames, upright[10:20], strict=True))
    copy_stretch(stretch, folder / "turned_copy.mp4", time_limit=60)
    np.testing.assert_array_equal(decode_video(folder / "turned_copy.mp4").frames, upright[10:20])


def test_a_large_video_is_made_as_high_as_is_asked(folder: Path) -> None:
    source = write_media(folder / "large.mp4", size=(3840, 2160), frames=3, sound=None)
    encode_stretches([Stretch(str(source), 0.0, 0.3)], folder / "small.mp4", max_height=720, time_limit=60)
    frames, _ = frames_of(folder / "small.mp4")
    assert [frame.shape for frame in frames] == [(720, 1280, 3)] * 3
    assert [number_of(frame) for frame in frames] == [0, 1, 2]


def test_joined_stretches_follow_each_other_and_others_lie_in_black(folder: Path) -> None:
    first, second = made(folder, "plain.mp4"), made(folder, "portrait.mp4")
    stretches = [Stretch(str(first), 1.0, 1.5), Stretch(str(second), 0.2, 0.5), Stretch(str(first), 0.0, 0.3)]
    report = encode_stretches(stretches, folder / "joined.mp4", max_height=None, time_limit=60)
    assert report.stretches == tuple(stretches)
    frames, times = frames_of(folder / "joined.mp4")
    assert times == pytest.approx([number / 10 for number in range(11)], abs=0.005)
    assert [number_of(frame) for frame in frames[:5] + frames[8:]] == [10, 11, 12, 13, 14, 0, 1, 2]
    for number, frame in enumerate(frames[5:8], start=2):
        assert frame[:, :18].mean() < 8
        assert frame[:, -18:].mean() < 8
        assert number_of(frame[:, 20:44]) == number_of(picture(number, (24, 48)))


def test_damaged_sound_is_silent_and_said_and_the_pictures_are_there(folder: Path) -> None:
    source = folder / "damaged_sound.mkv"
    noise = np.random.default_rng(0)
    with av.open(str(made(folder, "h264.mkv"))) as given, av.open(str(source), "w") as container:
        streams = {
            stream.index: container.add_stream_from_template(stream)
            for stream in (given.streams.video[0], given.streams.audio[0])
        }
        for packet in given.demux(given.streams.video[0], given.streams.audio[0]):
            if packet.size and packet.pts is not None:
                is_sound = packet.stream.type == "audio"
                copied = av.Packet(bytes(noise.integers(0, 128, packet.size, np.uint8))) if is_sound else packet
                if is_sound:
                    copied.pts, copied.dts, copied.time_base = packet.pts, packet.dts, packet.time_base
                copied.stream = streams[packet.stream.index]
                container.mux(copied)
    stretch = Stretch(str(source), 1.0, 1.5)
    found = sound_of(stretch)
    assert found.problem is not None
    report = encode_stretches([stretch], folder / "from_damaged.mp4", max_height=None, time_limit=60)
    assert report.problem == f"{source}: {found.problem}"
    frames, _ = frames_of(folder / "from_damaged.mp4")
    assert [number_of(frame) for frame in frames] == [10, 11, 12, 13, 14]


def test_what_cannot_be_copied_says_why(folder: Path) -> None:
    for name, ending, message in (
        ("mpeg4.avi", ".mp4", "packets of the container avi are not copied"),
        ("plain.mp4", ".webm", "webm does not take the codec h264"),
        ("plain.mp4", ".avi", r"\.avi is no container of copies"),
    ):
        with pytest.raises(CannotCopyError, match=message):
            copy_stretch(Stretch(str(made(folder, name)), 1.0, 2.0), folder / f"no{ending}", time_limit=60)


def test_a_stretch_behind_the_end_is_an_error(folder: Path) -> None:
    source = made(folder, "plain.mp4")
    with pytest.raises(VideoDecodingError, match="no frame appears from 9 s to 10 s"):
        copy_stretch(Stretch(str(source), 9.0, 10.0), folder / "none.mp4", time_limit=60)
    with pytest.raises(VideoDecodingError, match="no frame appears from 9 s to 10 s"):
        encode_stretches([Stretch(str(source), 9.0, 10.0)], folder / "none.mp4", max_height=None, time_limit=60)
    with pytest.raises(ValueError, match="ends after its start"):
        Stretch(str(source), 2.0, 1.0)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures with Linux's /proc")
def test_a_copy_holds_the_packets_of_its_stretch_and_not_of_the_film(tmp_path: Path) -> None:
    # What any copy takes is there after the first.
    copy_stretch(Stretch(str(write_media(tmp_path / "small.mov")), 1.0, 1.5), tmp_path / "first.mov", time_limit=60.0)
    film = tmp_path / "film.mov"
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    with av.open(str(film), "w") as container:
        stream = container.add_stream("mjpeg", rate=10, options={"qmin": "1", "qmax": "1"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        for _ in range(200):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = memory("VmRSS:")
    copy_stretch(Stretch(str(film), 5.0, 5.5), tmp_path / "cut.mov", time_limit=60.0)
    assert film.stat().st_size > 60 * 2**20
    assert memory("VmHWM:") - before < 30 * 2**20


def memory(kind: str) -> int:
    """Bytes that this process has, or had at most."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind)]
    return int(line.split()[1]) * 1024
