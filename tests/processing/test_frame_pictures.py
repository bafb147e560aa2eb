"""Frames as players show them, against Pillow and formulas."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.processing.made_videos import decode_everything, drawn_frame, write_video
from video_colbert.processing import VideoColBERTVideoProcessor
from video_colbert.processing.video_decoding import decode_video
from video_colbert.processing.video_sources import VideoDecodingError


def picture(width: int = 80, height: int = 60) -> np.ndarray:
    """Grey, with a red corner at the top left and a ramp below."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    pixels[:20, :20] = (255, 0, 0)
    pixels[40:] = np.linspace(0, 255, width, dtype=np.uint8)[None, :, None]
    return pixels


def decode_image(folder: Path, name: str, save: Callable[[Path], None]) -> np.ndarray:
    """The only frame of a folder of frames that holds one image."""
    images = folder / f"folder of {name}"
    images.mkdir()
    save(images / name)
    [frame] = decode_video(images).frames
    return frame


def worst(frame: np.ndarray, expected: np.ndarray) -> int:
    assert frame.shape == expected.shape
    return int(np.abs(frame.astype(int) - expected).max())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_exif_orientation_says(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    saved = tmp_path / "1.jpg"
    Image.fromarray(picture()).save(saved, exif=exif, quality=95, subsampling=0)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(saved)).convert("RGB"))
    [frame] = decode_video(tmp_path).frames
    assert worst(frame, expected) <= 8


IMAGES: dict[str, tuple[Callable[[Image.Image], Image.Image], dict[str, object]]] = {
    "plain.tif": (lambda image: image, {}),
    "lzw.tiff": (lambda image: image, {"compression": "tiff_lzw"}),
    "plain.bmp": (lambda image: image, {}),
    "lossless.webp": (lambda image: image, {"lossless": True}),
    "grey.png": (lambda image: image.convert("L"), {}),
    "palette.png": (lambda image: image.convert("P", palette=Image.Palette.ADAPTIVE), {}),
    "bits.png": (lambda image: image.convert("1"), {}),
    "grey_alpha.png": (lambda image: image.convert("LA"), {}),
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_read_as_pillow_reads_it(tmp_path: Path, name: str) -> None:
    convert, options = IMAGES[name]
    image = convert(Image.fromarray(picture()))
    frame = decode_image(tmp_path, name, lambda path: image.save(path, **options))
    assert worst(frame, np.asarray(Image.open(tmp_path / f"folder of {name}" / name).convert("RGB"))) <= 1


def test_an_image_whose_name_is_a_pattern_is_that_image(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (9, 9, 9)).save(tmp_path / "1.png")
    frame = decode_image(tmp_path, "%d.png", lambda path: Image.new("RGB", (30, 20), (200, 9, 9)).save(path))
    assert frame[0, 0].tolist() == [200, 9, 9]


def test_hidden_files_beside_frames_are_no_frames(tmp_path: Path) -> None:
    for number in (1, 2):
        Image.new("RGB", (30, 20)).save(tmp_path / f"frame{number}.jpg")
    (tmp_path / "._frame1.jpg").write_bytes(b"\0\5\x16\7" + bytes(200))
    assert len(decode_video(tmp_path).frames) == 2


def blend_on_black(rgba: np.ndarray) -> np.ndarray:
    blended: np.ndarray = np.round(rgba[..., :3] * (rgba[..., 3:].astype(float) / 255))
    return blended


def test_what_is_transparent_lies_on_black(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (60, 80, 4), dtype=np.uint8)
    rgba[:20, :, 3], rgba[20:40, :, 3] = 0, 255
    frame = decode_image(tmp_path, "1.png", lambda path: Image.fromarray(rgba).save(path))
    assert worst(frame, blend_on_black(rgba)) <= 1
    assert (frame[:20] == 0).all()


def test_a_transparent_palette_lies_on_black(tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(80 * 60, dtype=np.uint16).reshape(60, 80).astype(np.uint8) % 4, mode="P")
    image.putpalette([0, 255, 0, 200, 0, 0, 0, 0, 200, 9, 9, 9])
    frame = decode_image(tmp_path, "1.png", lambda path: image.save(path, transparency=0))
    assert (frame[0, 0] == 0).all()
    assert frame[0, 1].tolist() == [200, 0, 0]


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_what_a_webm_holds_under_its_transparency_is_not_shown(tmp_path: Path, codec: str) -> None:
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[:, :32], rgba[:, 32:] = (255, 0, 0, 255), (0, 255, 0, 0)
    path = tmp_path / "v.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=5, options={"auto-alt-ref": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuva420p"
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for frame in decode_video(path, 3).frames:
        assert frame[32, 10].astype(int).tolist() == pytest.approx([255, 0, 0], abs=12)
        assert (frame[:, 40:] < 15).all()


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.gif"])
def test_an_animated_image_is_a_video_as_pillow_reads_it(tmp_path: Path, name: str) -> None:
    frames = [
        Image.fromarray(np.full((60, 80, 3), colour, np.uint8))
        for colour in ((250, 10, 10), (10, 250, 10), (9, 9, 250))
    ]
    for number, frame in enumerate(frames):
        frame.paste((255, 255, 255), (10 + 20 * number, 10, 20 + 20 * number, 30))
    options = {"lossless": True} if name == "a.webp" else {}
    path = tmp_path / name
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[50, 300, 1000], loop=0, **options)
    for source in (path, path.read_bytes()):
        decoded = decode_video(source)
        assert max(worst(frame, np.asarray(image)) for frame, image in zip(decoded.frames, frames, strict=True)) <= 1
        assert decoded.timestamps.tolist() == pytest.approx([0, 0.05, 0.35], abs=0.011)
        assert decoded.duration == pytest.approx(1.35, abs=0.011)


def test_a_damaged_or_large_animated_webp_is_one_error(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (80, 60), (25 * number, 9, 9)) for number in range(9)]
    path = tmp_path / "a.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(VideoDecodingError, match="9 frames of 80x60, more than max_pixels=2000"):
        decode_video(path, max_pixels=2000)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(VideoDecodingError):
        decode_video(path)


def write_anamorphic(path: Path, pixels: np.ndarray, aspect: Fraction, rotation: int = 0) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"qp": "0"})
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("size", "aspect", "shown"),
    [
        ((720, 576), Fraction(64, 45), (1024, 576)),
        ((720, 480), Fraction(8, 9), (640, 480)),
        ((360, 270), Fraction(4, 3), (480, 270)),
        ((352, 480), Fraction(20, 11), (640, 480)),
        ((96, 64), Fraction(1), (96, 64)),
        ((720, 576), Fraction(16, 15), (720, 576)),
        ((704, 480), Fraction(10, 11), (704, 480)),
        ((96, 64), Fraction(1000), (96, 64)),
    ],
)
def test_pixels_that_are_not_square_are_made_so_by_the_width(
    tmp_path: Path, size: tuple[int, int], aspect: Fraction, shown: tuple[int, int]
) -> None:
    pixels = picture(*size)
    path = write_anamorphic(tmp_path / "v.mp4", pixels, aspect)
    frame = decode_video(path, 1).frames[0]
    assert frame.shape == (shown[1], shown[0], 3)
    stored = decode_everything(path)[0]
    expected = np.asarray(Image.fromarray(stored).resize(shown, Image.Resampling.BICUBIC))
    assert np.abs(frame.astype(int) - expected).mean() < 2


def test_an_anamorphic_video_is_made_square_before_it_is_turned(tmp_path: Path) -> None:
    path = write_anamorphic(tmp_path / "v.mp4", picture(144, 108), Fraction(4, 3), rotation=90)
    frame = decode_video(path, 1).frames[0]
    assert frame.shape == (192, 108, 3)
    # Turned by a quarter against the clock, the red corner of the top left is at the bottom left.
    assert frame[-8, 8, 0] > 200
    assert frame[-8, 8, 1] < 60


def test_a_disc_of_an_anamorphic_video_is_round_for_the_model(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:288, 0:360]
    disc = ((columns - 180) * 64 / 45) ** 2 + (rows - 144) ** 2 < 100**2
    pixels = np.where(disc[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    path = write_anamorphic(tmp_path / "v.mp4", pixels, Fraction(64, 45))
    seen = VideoColBERTVideoProcessor().resize_and_crop(decode_video(path, 1).frames)[0, 0].numpy() > 128
    assert seen.any(axis=0).sum() / seen.any(axis=1).sum() == pytest.approx(1, abs=0.03)


def write_changing_sizes(path: Path, sizes: list[tuple[int, int]], frames: int = 10) -> Path:
    """What a browser records of a call: VP8 whose frames are of another size from some frame on."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height = sizes[0]
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 1000)
        time = 0
        for part, (width, height) in enumerate(sizes):
            encoder = av.CodecContext.create("libvpx", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.time_base, encoder.options = Fraction(1, 10), {"deadline": "realtime", "cpu-used": "8"}
            packets = []
            for number in range(frames):
                pixels = np.full((height, width, 3), 60 + 60 * part, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 10)
                packets += encoder.encode(frame)
            for packet in [*packets, *encoder.encode()]:
                packet.pts = packet.dts = time
                packet.time_base, packet.stream = Fraction(1, 10), stream
                container.mux(packet)
                time += 1
    return path


@pytest.mark.parametrize("num_frames", [1, 2, 4, 12, None])
def test_frames_of_another_size_are_scaled_to_the_first(tmp_path: Path, num_frames: int | None) -> None:
    path = write_changing_sizes(tmp_path / "call.webm", [(160, 90), (320, 180), (160, 90)])
    decoded = decode_video(path, num_frames)
    assert decoded.frames.shape == (min(num_frames or 30, 30), 90, 160, 3)
    expected = [60 + 60 * int(time) for time in decoded.timestamps]
    np.testing.assert_allclose(decoded.frames.mean(axis=(1, 2, 3)), expected, atol=2)


def test_a_late_window_is_scaled_to_the_first_frame_too(tmp_path: Path) -> None:
    path = write_changing_sizes(tmp_path / "call.webm", [(160, 90), (320, 180)])
    assert decode_video(path, 3, start=1.5).frames.shape == (3, 90, 160, 3)


def test_a_sound_file_with_a_cover_says_that_it_has_one(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as song:
        sound, cover = song.add_stream("mp3", rate=44100), song.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), format="fltp", layout="mono")
        silence.sample_rate, silence.pts = 44100, 0
        image = av.VideoFrame.from_ndarray(drawn_frame(0), format="rgb24")
        for packet in [*cover.encode(image), *cover.encode(), *sound.encode(silence), *sound.encode()]:
            song.mux(packet)
    with pytest.raises(VideoDecodingError, match=r"has no video stream \(it holds audio and a cover picture\)"):
        decode_video(path)


def test_whole_and_seeking_decoding_give_equal_pictures(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", codec="ffv1", num_frames=8)
    np.testing.assert_array_equal(decode_video(path).frames, decode_everything(path))
