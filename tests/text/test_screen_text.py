from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from video_colbert.text.screen_text import ScreenTextReader


def slide(*lines: str) -> np.ndarray:
    image = Image.new("RGB", (640, 360), (245, 245, 235))
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((40, 60 + 80 * number), line, fill=(20, 20, 60), font=ImageFont.load_default(36))
    return np.asarray(image)


def write_slides(path: Path, slides: list[np.ndarray], seconds: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.height, stream.width = slides[0].shape[:2]
        stream.bit_rate = 4_000_000
        for picture in slides:
            for _ in range(5 * seconds):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def reader() -> ScreenTextReader:
    return ScreenTextReader()


@pytest.mark.models
def test_slides_are_read_each_with_its_span(reader: ScreenTextReader, tmp_path: Path) -> None:
    slides = [slide("Solar panels", "make electricity"), slide(), slide("Invoice 4711")]
    found = reader.read(str(write_slides(tmp_path / "a.mp4", slides, seconds=3)))
    assert found.problem is None
    first, second = found.passages
    assert first.text.replace(" ", "").lower() == "solarpanelsmakeelectricity"
    assert (first.start, first.end) == pytest.approx((0.0, 3.0), abs=1.0)
    assert second.text.replace(" ", "") == "Invoice4711"
    assert (second.start, second.end) == pytest.approx((6.0, 9.0), abs=1.0)


@pytest.mark.models
def test_a_title_stays_while_the_lines_below_it_change(reader: ScreenTextReader, tmp_path: Path) -> None:
    slides = [slide("Energy", "wind turbines"), slide("Energy", "water and dams")]
    found = reader.read(str(write_slides(tmp_path / "a.mp4", slides, seconds=2)))
    spans = {passage.text.lower(): (passage.start, passage.end) for passage in found.passages}
    assert spans["energy"] == pytest.approx((0.0, 4.0), abs=1.0)
    assert len(spans) == 3


@pytest.mark.models
def test_pictures_without_text_have_no_passages(reader: ScreenTextReader, tmp_path: Path) -> None:
    found = reader.read(str(write_slides(tmp_path / "a.mp4", [slide()], seconds=2)))
    assert (list(found.passages), found.problem) == ([], None)


@pytest.mark.models
def test_a_file_that_is_no_video_is_a_problem(reader: ScreenTextReader, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    found = reader.read(str(tmp_path / "a.mp4"))
    assert not found.passages
    assert found.problem is not None


@pytest.mark.models
def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="every must be above 0"):
        ScreenTextReader(every=0.0)
