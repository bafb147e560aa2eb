"""High dynamic range against the standards' formulas."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.processing.made_videos import write_video
from video_colbert.processing import VideoColBERTVideoProcessor
from video_colbert.processing.tone_mapping import HdrTransfer, tone_mapped
from video_colbert.processing.video_decoding import decode_video

TRANSFERS = {"PQ": 16, "HLG": 18}


def pq_code(nits: float) -> float:
    """SMPTE ST 2084, the inverse of the curve."""
    light = (nits / 10000) ** (2610 / 16384)
    return float(((3424 / 4096 + 2413 / 128 * light) / (1 + 2392 / 128 * light)) ** (2523 / 32))


def hlg_code(nits: float) -> float:
    """ITU-R BT.2100, for grey on a display of 1,000 cd/m2."""
    scene = (nits / 1000) ** (1 / 1.2)
    return float(np.sqrt(3 * scene) if scene <= 1 / 12 else 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073)


CODES = {"PQ": pq_code, "HLG": hlg_code}


def mapped_grey(nits: float, transfer: HdrTransfer) -> int:
    code = round(65535 * CODES[transfer](nits))
    [[levels]] = tone_mapped(np.full((1, 1, 3), code, np.uint16), transfer).tolist()
    assert max(levels) - min(levels) <= 1
    return int(levels[1])


def documented_level(nits: float) -> float:
    """The curve of the docstring, in double precision."""
    paper = ((230 / 255 + 0.055) / 1.055) ** 2.4
    light = nits / 203
    excess = max(light - 1, 0) * paper / (1 - paper)
    shown = min(light, 1) * paper + (1 - paper) * excess / (1 + excess)
    return 255 * (12.92 * shown if shown <= 0.0031308 else 1.055 * shown ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("transfer", ["PQ", "HLG"])
@pytest.mark.parametrize("nits", [0, 0.1, 1, 10, 50, 100, 203, 300, 500, 1000])
def test_greys_follow_the_documented_curve(nits: float, transfer: HdrTransfer) -> None:
    assert mapped_grey(nits, transfer) == pytest.approx(documented_level(nits), abs=1)


def test_paper_is_230_and_the_brightest_is_white() -> None:
    assert mapped_grey(203, "PQ") == 230
    assert mapped_grey(10000, "PQ") == 255


def test_colours_keep_their_hue_and_stay_in_range() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 65536, (20, 20, 3)).astype(np.uint16)
    before = pixels.copy()
    assert tone_mapped(pixels, "PQ").dtype == np.uint8
    np.testing.assert_array_equal(pixels, before)
    red = tone_mapped(np.array([[[40000, 36000, 36000]]], np.uint16), "PQ")[0, 0].tolist()
    assert red[0] > red[1] + 20
    assert abs(red[1] - red[2]) < 30


def write_grey(path: Path, nits: float, transfer: HdrTransfer) -> Path:
    """A 10-bit video of one grey in limited range, tagged BT.2020 and PQ or HLG."""
    luma = round(64 + 876 * CODES[transfer](nits))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = (
            TRANSFERS[transfer],
            9,
            9,
            1,
        )
        for number in range(3):
            frame = av.VideoFrame(64, 64, "yuv420p10le")
            for plane, value in zip(frame.planes, (luma, 512, 512), strict=True):
                plane.update(np.full(plane.buffer_size // 2, value, "<u2").tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("transfer", ["PQ", "HLG"])
def test_a_file_is_taken_as_stored_unless_it_is_asked_for(tmp_path: Path, transfer: HdrTransfer) -> None:
    path = write_grey(tmp_path / "v.mkv", 203, transfer)
    stored = decode_video(path, 1)
    assert stored.transfer == transfer
    assert stored.frames[0, 32, 32].tolist() == pytest.approx([255 * CODES[transfer](203)] * 3, abs=3)
    mapped = decode_video(path, 1, tone_map=True)
    assert mapped.transfer == transfer
    assert mapped.frames[0, 32, 32].tolist() == pytest.approx([230] * 3, abs=3)
    ordinary = write_video(tmp_path / "v.mp4")
    assert decode_video(ordinary, 1).transfer is None
    np.testing.assert_array_equal(decode_video(ordinary, 3, tone_map=True).frames, decode_video(ordinary, 3).frames)


def test_the_processors_field_is_saved_and_used(tmp_path: Path) -> None:
    path = write_grey(tmp_path / "v.mkv", 203, "PQ")
    VideoColBERTVideoProcessor(num_frames=1, tone_map=True, do_normalize=False).save_pretrained(tmp_path)
    loaded = VideoColBERTVideoProcessor.from_pretrained(tmp_path)
    assert loaded.tone_map
    assert loaded(path)["pixel_values_videos"].mean().item() == pytest.approx(230 / 255, abs=0.01)
