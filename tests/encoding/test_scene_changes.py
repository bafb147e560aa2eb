"""Scene changes of films that are made on the spot, of pictures that are textured as photographs are."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from tests.processing.made_videos import write_video
from tests.video_files import copy_real_clips
from video_colbert.encoding.scene_changes import find_scene_changes
from video_colbert.processing import OpenVideoFile

RATE = 5
Picture = npt.NDArray[np.uint8]


@cache
def scenery(seed: int, width: int = 96) -> Picture:
    """Blots of a few colours, 48 high, as uneven as an encoder needs to tell one from another."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:48, 0:width]
    picture = np.broadcast_to(generator.integers(0, 256, 3), (48, width, 3)).astype(np.uint8)
    for _ in range(width // 4):
        row, column = generator.integers(0, 48), generator.integers(0, width)
        picture[(rows - row) ** 2 + (columns - column) ** 2 < generator.integers(4, 14) ** 2] = generator.choice(
            palette(seed)
        )
    return np.clip(picture + generator.normal(0.0, 20.0, picture.shape), 0, 255).astype(np.uint8)


@cache
def palette(seed: int) -> npt.NDArray[np.integer]:
    return np.random.default_rng(seed + 1000).integers(0, 256, (4, 3))


def film_of(bounds: list[float]) -> Callable[[int], Picture]:
    """Scenes that begin at these seconds, within which a square moves."""

    def draw(number: int) -> Picture:
        picture = scenery(int(np.searchsorted(bounds, number / RATE + 1e-6)))[:, :64].copy()
        left = number * 2 % 48
        picture[16:32, left : left + 16] = 255
        return picture

    return draw


def changes_in(path: Path) -> list[float]:
    with OpenVideoFile(str(path), path.name) as video:
        return list(find_scene_changes(video, video.duration()))


def keyframes_in(path: Path) -> list[float]:
    with av.open(path) as container:
        [stream] = container.streams.video
        packets = [packet for packet in container.demux(stream) if packet.size and packet.is_keyframe]
        return [float(packet.pts * packet.time_base) for packet in packets]


BOUNDS = [7.4, 15.0, 22.8, 24.6, 40.2, 51.4]


def shown_changes(path: Path) -> list[float]:
    """The first keyframe of each scene, on a clock that starts with the film."""
    times = keyframes_in(path)
    return sorted({min(time - times[0] for time in times if time - times[0] > bound - 1e-3) for bound in BOUNDS})


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_scene_changes_at_which_an_encoder_put_keyframes_are_found_to_the_frame(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"film{suffix}", 60 * RATE, rate=RATE, gop_size=10 * RATE, draw=film_of(BOUNDS))
    found = changes_in(path)
    assert found == pytest.approx(shown_changes(path), abs=1e-3)
    assert {15.0, 24.6} <= {round(time, 3) for time in found}


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".avi", "mpeg4"), (".webm", "libvpx")])
def test_with_keyframes_at_fixed_times_a_change_is_found_at_the_next(tmp_path: Path, suffix: str, codec: str) -> None:
    options = {"libx264": {"sc_threshold": "0"}, "mpeg4": {"sc_threshold": "1000000000"}, "libvpx": {}}[codec]
    film = tmp_path / f"film{suffix}"
    path = write_video(film, 60 * RATE, codec, rate=RATE, gop_size=5 * RATE, options=options, draw=film_of(BOUNDS))
    assert changes_in(path) == pytest.approx(shown_changes(path), abs=0.01)


def moving(number: int) -> Picture:
    picture = scenery(3)[:, :64].copy()
    top, left = number * 3 % 28, number * 5 % 44
    picture[top : top + 20, left : left + 20] = (230, 30, 30)
    return picture


def panning(number: int) -> Picture:
    left = number // 3
    return scenery(4, 300)[:, left : left + 64]


def flickering(number: int) -> Picture:
    light = 0.8 + 0.2 * math.sin(number * 1.7)
    return (scenery(5)[:, :64] * light).astype(np.uint8)


@pytest.mark.parametrize("draw", [moving, panning, flickering])
@pytest.mark.parametrize("gop_size", [1, 2 * RATE, 10 * RATE])
def test_motion_slow_pans_and_flicker_within_a_scene_are_no_changes(
    tmp_path: Path, draw: Callable[[int], Picture], gop_size: int
) -> None:
    path = write_video(tmp_path / "film.mp4", 60 * RATE, rate=RATE, gop_size=gop_size, draw=draw)
    assert len(keyframes_in(path)) >= 300 // max(gop_size, 1) - 1
    assert changes_in(path) == []


def test_damaged_keyframe_is_passed_over(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", 60 * RATE, rate=RATE, gop_size=5 * RATE, draw=film_of([20.0, 40.0]))
    assert changes_in(path) == [20.0, 40.0]
    with av.open(path) as container:
        packet = next(
            packet
            for packet in container.demux(video=0)
            if packet.is_keyframe and packet.pts is not None and packet.pts * packet.time_base == 20
        )
        content = bytearray(path.read_bytes())
        content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(content)
    with OpenVideoFile(str(path), path.name) as video:
        assert 20.0 not in [time for time, _ in video.keyframes(0.5)]
    assert changes_in(path) == [25.0, 40.0]


def test_of_keyframes_that_follow_fast_the_last_of_each_stretch_is_looked_at(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", 20 * RATE, rate=RATE, gop_size=1, draw=film_of([4.2, 11.0]))
    with OpenVideoFile(str(path), path.name) as video:
        times = [time for time, _ in video.keyframes(1.0)]
        assert times == pytest.approx([second + 0.8 for second in range(20)])
        assert find_scene_changes(video, video.duration()) == pytest.approx((4.4, 11.4))


@pytest.mark.parametrize(("suffix", "codec"), [(".ts", "mpeg2video"), (".mkv", "ffv1"), (".avi", "mpeg4")])
def test_times_of_keyframes_are_those_of_the_frames(tmp_path: Path, suffix: str, codec: str) -> None:
    path = write_video(tmp_path / f"film{suffix}", 30, codec, rate=25, gop_size=6)
    with OpenVideoFile(str(path), path.name) as video:
        frame_times, _ = video.frame_times()
        times = [time for time, _ in video.keyframes(1e-3)]
    assert len(times) >= 5
    assert all(abs(frame_times - time).min() < 1e-3 for time in times)


def test_cuts_of_real_clips_are_found_and_nothing_else(tmp_path: Path) -> None:
    rabbit, bikes = copy_real_clips(tmp_path)
    # Frames 30, 76, 137, 187 and 242 of 25 a second, as one sees when stepping through them.
    assert changes_in(bikes) == pytest.approx([1.2, 3.04, 5.48, 7.48, 9.68])
    assert changes_in(rabbit) == []
