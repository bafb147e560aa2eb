"""Filters, and queries that are more than words."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.app.browser.actions import CARD, card_of, names, search, wait_until
from tests.app.browser.balls import draw
from tests.app.browser.conftest import Served
from tests.app.browser.library import FORMATS, GONE, LONG, PLAIN, metadata, scene_of

pytestmark = pytest.mark.browser

DROP = """([name, type, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const drop = { dataTransfer: transfer, bubbles: true, cancelable: true };
  document.querySelector("#text").dispatchEvent(new DragEvent("drop", drop));
}"""


def answered(page: Page) -> None:
    """Waits for the answer to what has just changed."""
    page.wait_for_timeout(400)
    page.wait_for_selector("#results:not([aria-busy])")


def drop(page: Page, name: str, media_type: str, content: bytes) -> None:
    page.evaluate(DROP, [name, media_type, base64.b64encode(content).decode()])
    page.wait_for_selector(".chip:visible")
    page.wait_for_selector(CARD)
    answered(page)


def picture_of(name: str, share: float) -> bytes:
    picture = io.BytesIO()
    Image.fromarray(draw(scene_of(name), share, 320, 180)).save(picture, "PNG")
    return picture.getvalue()


def test_filters_are_those_of_the_indexs_columns_and_narrow_the_hits(
    page: Page, shoot: Callable[[Page, str], Path]
) -> None:
    search(page, "red ball")
    everything = set(names(page))
    page.get_by_role("button", name="Filters", exact=True).click()
    page.get_by_label("season").select_option("summer")
    answered(page)
    known = {Path(name).name: values for name, values in metadata().items()}
    assert set(names(page)) == {name for name in everything if known[name]["season"] == "summer"}
    shoot(page, "filters")
    page.get_by_label("season").select_option("")
    page.get_by_label("year, from").fill("2020")
    page.get_by_label("year, to").fill("2021")
    page.get_by_label("year, to").blur()
    answered(page)
    assert set(names(page)) == {name for name in everything if 2020 <= known[name]["year"] <= 2021}
    page.get_by_role("button", name="Clear filters").click()
    answered(page)
    assert set(names(page)) == everything


def test_duration_date_and_folder_narrow_the_hits(page: Page, served: Served) -> None:
    search(page, "red ball")
    everything = set(names(page))
    page.get_by_role("button", name="Filters", exact=True).click()
    page.get_by_label("Duration, seconds, from").fill("60")
    page.get_by_label("Duration, seconds, from").blur()
    answered(page)
    assert names(page) == [Path(LONG).name]
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("Folder", exact=True).select_option(str(served.library.videos))
    answered(page)
    assert set(names(page)) == everything
    page.get_by_label("Date, from").fill("2099-01-01")
    page.get_by_label("Date, from").blur()
    answered(page)
    assert page.locator(".message.none").count() == 1
    assert "No video passes the filters" in page.locator(".message.none").text_content()


def test_a_picture_that_is_dropped_finds_its_clip(page: Page, shoot: Callable[[Page, str], Path]) -> None:
    name = FORMATS["mkv"]
    drop(page, "found on the way.png", "image/png", picture_of(name, 0.3))
    first = names(page)[0]
    assert "white" in first
    assert page.locator(".chip-label").text_content() == "found on the way.png"
    shoot(page, "picture")


def test_a_clip_that_is_dropped_finds_itself(page: Page, served: Served) -> None:
    drop(page, "mine.avi", "video/x-msvideo", (served.library.videos / FORMATS["avi"]).read_bytes())
    assert names(page)[0] == Path(FORMATS["avi"]).name


def test_words_and_a_picture_count_by_their_weights(page: Page) -> None:
    drop(page, "white.png", "image/png", picture_of(FORMATS["mkv"], 0.3))
    page.fill("#text", "purple ball")
    page.wait_for_selector(".weighing:visible")
    firsts = {}
    for share in (0, 100):
        page.evaluate(
            """(share) => {
              const slider = document.querySelector('#text-weight');
              slider.value = share;
              slider.dispatchEvent(new Event('change'));
            }""",
            share,
        )
        answered(page)
        firsts[share] = names(page)[0]
    assert "white" in firsts[0]
    assert "purple" in firsts[100] or firsts[100] in (Path(LONG).name, Path(GONE).name)


def test_more_like_this_moment_leaves_the_moment_itself_out(page: Page) -> None:
    search(page, "red ball then a blue ball")
    card_of(page, Path(PLAIN).name).get_by_role("button", name="More like this moment").click()
    page.wait_for_selector(".chip:visible")
    answered(page)
    assert page.input_value("#text") == ""
    assert page.locator(CARD).count() >= 3
    assert Path(PLAIN).name not in names(page)
    page.get_by_role("button", name="Do not search by").click()
    page.wait_for_selector(".message.welcome")


def test_what_is_neither_picture_nor_video_is_refused_in_words(page: Page) -> None:
    page.evaluate(DROP, ["notes.txt", "text/plain", base64.b64encode(b"words").decode()])
    page.wait_for_selector("#toast.shown")
    assert page.locator("#toast").text_content() == "notes.txt is neither a picture nor a video."
    page.evaluate(DROP, ["broken.png", "image/png", base64.b64encode(b"no picture").decode()])
    wait_until(page, "document.querySelector('#toast').textContent.includes('broken.png')")
