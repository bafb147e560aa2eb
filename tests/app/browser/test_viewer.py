"""The dialog that plays a hit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.app.browser.actions import card_of, current_second, open_viewer, search, wait_until, wait_until_it_plays
from tests.app.browser.library import FORMATS, LONG, PLAIN

pytestmark = pytest.mark.browser

QUERY = "red ball then a blue ball"


def moment_of(page: Page, word: str) -> float:
    """The second of a word by the tip of its mark in the dialog."""
    title = page.locator(f"dialog .mark[title^='{word} ']").first.get_attribute("title")
    minutes, seconds = title.split()[1].split(":")
    return 60 * int(minutes) + float(seconds)


def pause(page: Page) -> None:
    page.evaluate("document.querySelector('dialog video').pause()")


def hold_still(page: Page) -> None:
    """Lets the video stand where it is put, so that its second can be compared."""
    page.evaluate("document.querySelector('dialog video').play = () => Promise.resolve()")


def test_a_click_plays_from_the_moment(page: Page, shoot: Callable[[Page, str], Path]) -> None:
    search(page, QUERY)
    # The second at which the video is first heard of, since it plays on.
    page.evaluate(
        """() => {
          const video = document.querySelector('dialog video');
          video.addEventListener('seeked', () => { window.firstSecond ??= video.currentTime; });
        }"""
    )
    shown = card_of(page, Path(PLAIN).name).locator(".badge.at").text_content()
    open_viewer(page, PLAIN)
    wait_until(page, "window.firstSecond !== undefined")
    minutes, seconds = shown.split(":")
    assert page.evaluate("window.firstSecond") == pytest.approx(60 * int(minutes) + float(seconds), abs=0.3)
    wait_until(page, "!document.querySelector('dialog video').paused || document.querySelector('dialog video').ended")
    shoot(page, "viewer")


def test_words_are_lit_as_they_match(page: Page) -> None:
    search(page, QUERY)
    hold_still(page)
    open_viewer(page, PLAIN)
    lit = "[...document.querySelectorAll('.lit-word.lit')].map((word) => word.textContent)"
    for word, other in (("red", "blue"), ("blue", "red")):
        page.locator("dialog .lit-word", has_text=word).click()
        wait_until(page, f"{lit}.includes('{word}')")
        assert other not in page.evaluate(lit)
        assert current_second(page) == pytest.approx(moment_of(page, word), abs=0.3)


def test_keys_go_to_the_next_and_previous_moment_and_video(page: Page) -> None:
    search(page, QUERY)
    hold_still(page)
    open_viewer(page, PLAIN)
    red, blue = moment_of(page, "red"), moment_of(page, "blue")
    page.evaluate("document.querySelector('dialog video').currentTime = 0")
    wait_until(page, "document.querySelector('dialog video').currentTime < 0.05")
    visited = {"n": [], "p": []}
    for key, seconds in visited.items():
        for _ in range(3):
            before = current_second(page)
            page.keyboard.press(key)
            wait_until(page, "before => document.querySelector('dialog video').currentTime !== before", before)
            seconds.append(current_second(page))
    for moment in (red, blue):
        assert any(second == pytest.approx(moment, abs=0.3) for second in visited["n"])
    assert visited["n"][0] < visited["n"][1]
    assert visited["p"][0] < visited["n"][2]
    name = page.locator("#viewer-name").text_content()
    page.keyboard.press("j")
    wait_until(page, "name => document.querySelector('#viewer-name').textContent !== name", name)
    page.keyboard.press("k")
    wait_until(page, "name => document.querySelector('#viewer-name').textContent === name", name)
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


@pytest.mark.parametrize("kind", FORMATS)
def test_every_kind_of_file_shows_a_picture_and_plays(
    page: Page, kind: str, shoot: Callable[[Page, str], Path]
) -> None:
    name = Path(FORMATS[kind])
    one, other = name.stem.split("-")
    search(page, f"{one} ball then a {other} ball")
    card = card_of(page, name.name)
    card.scroll_into_view_if_needed()
    picture = card.locator(".picture img")
    wait_until(page, "image => image.complete && image.naturalWidth > 0", arg=picture.element_handle())
    card.locator(".picture").click()
    wait_until_it_plays(page)
    pause(page)
    page.evaluate("document.querySelector('dialog video').currentTime = 0")
    page.evaluate("document.querySelector('dialog video').play()")
    wait_until(page, "document.querySelector('dialog video').currentTime > 0.4")
    width, height = page.evaluate(
        "(({videoWidth, videoHeight}) => [videoWidth, videoHeight])(document.querySelector('dialog video'))"
    )
    assert (width < height) == (kind == "portrait")
    assert min(width, height) > 50
    shoot(page, f"plays_{kind}")


def test_further_windows_are_played_from_the_dialog(page: Page) -> None:
    search(page, "purple ball")
    open_viewer(page, LONG)
    pause(page)
    windows = page.locator("dialog .windows button")
    assert windows.count() >= 2
    before = current_second(page)
    windows.last.click()
    wait_until(page, "before => Math.abs(document.querySelector('dialog video').currentTime - before) > 3", arg=before)


def test_path_and_time_are_copied(page: Page) -> None:
    search(page, QUERY)
    page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    card = card_of(page, Path(PLAIN).name)
    card.get_by_role("button", name="Copy path and time").click()
    wait_until(page, "window.copied !== undefined")
    path, second = page.evaluate("window.copied").rsplit("@", 1)
    assert path.endswith(PLAIN)
    assert 0 <= float(second) <= 4
    assert path in page.locator("#toast").text_content()
