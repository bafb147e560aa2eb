"""High dynamic range against the standards' formulas."""

from pathlib import Path

import numpy as np
import pytest

from tests.processing.made_videos import HDR_CODES, write_grey, write_video
from video_colbert.processing import VideoColBERTVideoProcessor
from video_colbert.processing.frame_pictures import HdrTransfer, tone_mapped
from video_colbert.processing.video_decoding import decode_video


def mapped_grey(nits: float, transfer: HdrTransfer) -> int:
    code = round(65535 * HDR_CODES[transfer](nits))
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


@pytest.mark.parametrize("transfer", ["PQ", "HLG"])
def test_a_file_is_taken_as_stored_unless_it_is_asked_for(tmp_path: Path, transfer: HdrTransfer) -> None:
    path = write_grey(tmp_path / "v.mkv", 203, transfer)
    stored = decode_video(path, 1)
    assert stored.transfer == transfer
    assert stored.frames[0, 32, 32].tolist() == pytest.approx([255 * HDR_CODES[transfer](203)] * 3, abs=3)
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
