"""The export of a hit as a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.sync_api import Page

from tests.app.browser.actions import card_of, search, wait_until
from tests.app.browser.balls import RATE
from tests.app.browser.conftest import Served
from tests.app.browser.library import PLAIN

pytestmark = pytest.mark.browser


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def test_an_exported_clip_has_the_frames_of_its_range(
    page: Page, served: Served, tmp_path: Path, shoot: Callable[[Page, str], Path]
) -> None:
    search(page, "red ball then a blue ball")
    card_of(page, Path(PLAIN).name).get_by_role("button", name="Export this moment").click()
    form = page.locator("form.export")
    form.get_by_label("from").fill("1.0")
    form.get_by_label("to").fill("2.5")
    with page.expect_download() as download:
        form.get_by_role("button", name="Export").click()
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    assert saved.suffix == ".mp4"
    wait_until(page, "document.querySelector('.export-state').textContent.startsWith('Saved')")
    shoot(page, "exported")
    got, whole = frames_of(saved), frames_of(served.library.videos / PLAIN)
    wanted = whole[RATE : round(2.5 * RATE)]
    assert len(got) == len(wanted)
    for place, (one, other) in enumerate(zip(got, wanted, strict=True)):
        of_all = [np.abs(one - frame).mean() for frame in whole]
        # Encoded again, a frame is not the same to the last bit, yet nearer to its own than to a neighbour.
        assert np.abs(one - other).mean() == min(of_all), place


def test_a_range_that_ends_before_it_starts_is_refused_in_words(page: Page) -> None:
    search(page, "red ball then a blue ball")
    card_of(page, Path(PLAIN).name).get_by_role("button", name="Export this moment").click()
    form = page.locator("form.export")
    form.get_by_label("from").fill("2")
    form.get_by_label("to").fill("1")
    form.get_by_role("button", name="Export").click()
    assert page.locator(".export-state").text_content() == "The end must be after the start."
