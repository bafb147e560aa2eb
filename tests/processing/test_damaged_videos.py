"""Only damage that a wanted frame shows is an error, in every path of decoding."""

import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from tests.processing.made_videos import (
    ReferenceFrame,
    decode_everything,
    decode_leniently,
    drawn_frame,
    move_header_first,
    write_sound,
    write_video,
)
from video_colbert.processing import frame_pictures
from video_colbert.processing.video_decoding import decode_video
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.processing.video_stream import OpenVideoFile

TS_PACKET_BYTES = 188
CLOSED = {"x264-params": "keyint=25:min-keyint=25:scenecut=0:bframes=2"}
TS_ENCODERS = {
    "h264": ("libx264", CLOSED),
    "h264 open groups": ("libx264", {"x264-params": "open-gop=1:keyint=25:min-keyint=25:bframes=3:scenecut=0"}),
    "h264 intra refresh": ("libx264", {"x264-params": "intra-refresh=1:keyint=25:bframes=0"}),
    "mpeg2": ("mpeg2video", {"bf": "2"}),
    "mpeg4": ("mpeg4", {}),
}


def write_broadcast(path: Path, encoder: str) -> bytearray:
    codec, options = TS_ENCODERS[encoder]
    draw = lambda number: drawn_frame(number, 160, 120)  # noqa: E731 # a name for one argument of one call
    return bytearray(write_video(path, num_frames=100, codec=codec, options=options, rate=25, draw=draw).read_bytes())


def packet_position(content: bytes, share: float) -> int:
    return int(len(content) * share) // TS_PACKET_BYTES * TS_PACKET_BYTES


def damages(content: bytearray) -> dict[str, bytes]:
    middle, third, cut = (packet_position(content, share) for share in (0.5, 0.33, 0.4))
    noise = np.random.default_rng(0).integers(0, 256, 20 * TS_PACKET_BYTES, dtype=np.uint8).tobytes()
    return {
        "a lost packet": bytes(content[:middle] + content[middle + TS_PACKET_BYTES :]),
        "noise": bytes(content[:third] + noise + content[third + len(noise) :]),
        "cut into": bytes(content[cut:]),
    }


def assert_equals_whole_decoding(path: Path, reference: list[ReferenceFrame], num_frames: int) -> None:
    """Frames are those of the reference, and only a wanted frame that it calls damaged is an error."""
    count = min(num_frames, len(reference))
    bounds = [k * len(reference) // count for k in range(count + 1)]
    middles = [(first + stop - 1) // 2 for first, stop in itertools.pairwise(bounds)]
    ticks: list[int] = []
    for frame in reference:
        ticks.append(frame.pts if frame.pts is not None else ticks[-1] + 3600)
    in_order = np.argsort(ticks, kind="stable")[middles].tolist()
    wanted = [reference[index] for index in in_order]
    if any(frame.is_corrupt for frame in wanted):
        with pytest.raises(VideoDecodingError, match="is damaged: the frame at"):
            decode_video(path, num_frames)
        return
    decoded = decode_video(path, num_frames)
    np.testing.assert_array_equal(decoded.frames, [frame.pixels for frame in wanted])
    steps = np.diff([ticks[index] for index in in_order]) / 90000
    np.testing.assert_allclose(np.diff(decoded.timestamps), steps, atol=1e-6)


@pytest.mark.parametrize("encoder", TS_ENCODERS)
def test_a_damaged_broadcast_gives_the_frames_that_whole_decoding_gives(tmp_path: Path, encoder: str) -> None:
    content = write_broadcast(tmp_path / "whole.ts", encoder)
    for damage, damaged in damages(content).items():
        path = tmp_path / f"{damage}.ts"
        path.write_bytes(damaged)
        reference = decode_leniently(path)
        assert len(reference) > 40
        for num_frames in (1, 4, 12):
            assert_equals_whole_decoding(path, reference, num_frames)


def damaged_keyframe(folder: Path) -> tuple[Path, np.ndarray]:
    """An mp4 of 60 frames whose third keyframe of five, frame 24, is wiped out, and its frames before that."""
    options = {"x264-params": "keyint=12:min-keyint=12:scenecut=0"}
    path = move_header_first(write_video(folder / "v.mp4", num_frames=60, options=options), folder / "first.mp4")
    reference = np.stack(decode_everything(path))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keyframes = [packet for packet in packets if packet.is_keyframe]
    assert len(keyframes) == 5
    position, size = keyframes[2].pos, keyframes[2].size
    content = bytearray(path.read_bytes())
    content[position + 8 : position + size - 4] = bytes(size - 12)
    path.write_bytes(content)
    return path, reference


def decode_picked(path: Path, indices: list[int]) -> np.ndarray:
    with OpenVideoFile(str(path), str(path)) as opened:
        return np.stack(opened.decode(lambda _times, _duration: np.array(indices)).frames)


def test_a_frame_that_does_not_come_is_an_error_and_the_others_are_not(tmp_path: Path) -> None:
    path, reference = damaged_keyframe(tmp_path)
    for good in ([0, 11, 23], [36, 59]):
        np.testing.assert_array_equal(decode_picked(path, good), reference[good])
    came = {frame.pts // 512 for frame in decode_leniently(path) if frame.pts is not None}
    lost = sorted(set(range(60)) - came)
    assert 24 in lost
    for bad in ([24], [3, lost[-1]], [0, lost[1], 59]):
        with pytest.raises(VideoDecodingError, match=r"first\.mp4: is damaged: the frame at"):
            decode_picked(path, bad)
    with pytest.raises(VideoDecodingError, match=r"first\.mp4: is damaged"):
        decode_video(path)
    # Frames that the decoder gives after the damage, without calling them damaged, are taken.
    after = sorted(number for number in came if 24 < number < 36)
    [expected] = [frame.pixels for frame in decode_leniently(path) if frame.pts == after[-1] * 512]
    np.testing.assert_array_equal(decode_picked(path, [after[-1]])[0], expected)


def test_a_file_that_ends_within_its_last_frame_gives_the_others(tmp_path: Path) -> None:
    whole = move_header_first(write_video(tmp_path / "v.mp4"), tmp_path / "first.mp4")
    expected = decode_video(whole, 3)
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[:-40])
    np.testing.assert_array_equal(decode_video(path, 3).frames, expected.frames)
    with pytest.raises(VideoDecodingError, match=r"cut\.mp4: is (damaged|truncated)"):
        decode_video(path)


def test_a_truncated_file_gives_the_frames_that_are_there_and_no_others(tmp_path: Path) -> None:
    whole = move_header_first(write_video(tmp_path / "v.mp4"), tmp_path / "first.mp4")
    expected = decode_video(whole)
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.8)])
    window = decode_video(path, start=0.0, end=1.0)
    np.testing.assert_array_equal(window.frames, expected.frames[:24])
    assert window.duration == pytest.approx(expected.duration, abs=0.2)
    with pytest.raises(VideoDecodingError, match=r"is truncated: \d+ of 60 video packets"):
        decode_video(path, 12)


def test_a_video_of_which_nothing_is_shown_is_one_error(tmp_path: Path) -> None:
    content = bytearray(write_video(tmp_path / "v.mp4").read_bytes())
    # The edit list begins after the last frame: all packets are there to be thrown away.
    media_time = content.find(b"elst") + 16
    content[media_time : media_time + 4] = (10**6).to_bytes(4, "big")
    with pytest.raises(VideoDecodingError, match="without any frame"):
        decode_video(bytes(content), 3)


def test_a_stream_that_the_header_does_not_declare_changes_nothing(tmp_path: Path) -> None:
    picture = write_video(tmp_path / "v.ts")
    both = tmp_path / "both.ts"
    write_sound(tmp_path / "sound.m4a")
    with (
        av.open(str(tmp_path / "sound.m4a")) as sound,
        av.open(str(picture)) as video,
        av.open(str(both), "w", format="mpegts") as out,
    ):
        streams = {
            "audio": out.add_stream_from_template(sound.streams.audio[0]),
            "video": out.add_stream_from_template(video.streams.video[0]),
        }
        for packet in [*sound.demux(audio=0), *video.demux(video=0)]:
            if packet.dts is not None:
                packet.stream = streams[packet.stream.type]
                out.mux(packet)
    # Long enough that FFmpeg does not see the second part when it looks for streams.
    joined = tmp_path / "joined.ts"
    joined.write_bytes(picture.read_bytes() * 30 + both.read_bytes())
    assert len(decode_video(joined, 5).frames) == 5


@pytest.mark.parametrize("error", [ValueError("31 is not a valid Type"), IndexError(), MemoryError(), KeyError("x")])
def test_whatever_decoding_raises_is_the_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    path = write_video(tmp_path / "v.mp4")
    monkeypatch.setattr(frame_pictures, "_upright", fail)
    with pytest.raises(VideoDecodingError) as caught:
        decode_video(path, 3)
    assert caught.value.reason
