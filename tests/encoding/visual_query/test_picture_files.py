from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.video_files import write_clip
from video_colbert.encoding.visual_query import picture_files
from video_colbert.encoding.visual_query.picture_files import read_picture
from video_colbert.errors import EncodingError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "ppm"])
def test_pictures_are_read_from_files_and_from_bytes(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"a.{kind}"
    Image.fromarray(PIXELS).save(file)
    for source in (file, str(file), file.read_bytes()):
        np.testing.assert_array_equal(np.asarray(read_picture(source)), PIXELS)


@pytest.mark.parametrize("kind", ["jpeg", "webp", "gif"])
def test_lossy_pictures_are_read_too(tmp_path: Path, kind: str) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a", kind)
    assert read_picture(tmp_path / "a").size == (8, 6)


def test_what_is_no_picture_is_named_in_a_sentence(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", 0)
    damaged = tmp_path / "b.png"
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "png")
    damaged.write_bytes(buffer.getvalue()[:60])
    postscript = tmp_path / "c.eps"
    postscript.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    for file, message in (
        (video, "is no picture (JPEG, PNG, WebP, GIF, BMP, TIFF, PPM or AVIF); a video is given as a clip"),
        (postscript, "is no picture"),
        (damaged, "cannot be read: "),
        (tmp_path / "none.png", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        with pytest.raises(EncodingError, match=f"^{re.escape(f'{file}: {message}')}"):
            read_picture(file)
    with pytest.raises(EncodingError, match=r"^<3 bytes>: is no picture"):
        read_picture(b"abc")


def test_a_picture_of_too_many_pixels_or_bytes_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(file)
    monkeypatch.setattr(picture_files, "DEFAULT_MAX_PIXELS", 47)
    with pytest.raises(EncodingError, match="its 8x6 pixels are more than the limit of 47"):
        read_picture(file)
    monkeypatch.setattr(picture_files, "_MAX_BYTES", 20)
    with pytest.raises(EncodingError, match="cannot be read: is larger than"):
        read_picture(file)
