"""What the page opens with: the videos of the index, before anything is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.app.browser.actions import CARD, current_second, search, wait_until, wait_until_it_plays
from tests.app.browser.library import FORMATS, GONE, LONG, PLAIN

pytestmark = pytest.mark.browser

LISTED = ".newest > .card"
NAMES = {Path(name).name for name in (*FORMATS.values(), PLAIN, LONG, GONE)}


def listed_names(page: Page) -> list[str]:
    return page.locator(f"{LISTED} .name").all_text_contents()


def test_the_page_opens_with_a_card_of_every_video(page: Page, shoot: Callable[[Page, str], Path]) -> None:
    page.wait_for_selector(LISTED)
    assert set(listed_names(page)) == NAMES
    assert len(listed_names(page)) == len(NAMES)
    assert page.locator("#summary").text_content() == "9 videos, the newest first"
    assert page.locator(".newest").get_attribute("aria-label") == "Newest videos"
    # Nothing is said of a query that nobody asked.
    assert page.locator(f"{LISTED} .relevance, {LISTED} .time-line, {LISTED} .badge.at").count() == 0
    durations = page.locator(LISTED).filter(has_text=Path(PLAIN).name).locator(".duration")
    assert durations.text_content() == "0:04"
    heights = page.locator(LISTED).evaluate_all("cards => cards.map((card) => card.getBoundingClientRect().height)")
    assert len({round(height) for height in heights}) == 1
    wait_until(
        page,
        "[...document.querySelectorAll('.newest .card:not(.gone) img')].slice(0, 7)"
        ".every((picture) => picture.complete && picture.naturalWidth > 0)",
    )
    shoot(page, "welcome")


def test_a_video_of_the_opening_is_played_from_its_beginning_by_keyboard(page: Page) -> None:
    page.wait_for_selector(LISTED)
    page.locator(LISTED).filter(has_text=Path(PLAIN).name).locator(".picture").focus()
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label == f"Play {Path(PLAIN).name}"
    page.keyboard.press("Enter")
    wait_until_it_plays(page)
    page.evaluate("document.querySelector('dialog video').pause()")
    assert current_second(page) < 2.0
    assert page.locator("dialog .lit-words").is_hidden()
    first = page.locator("#viewer-name").text_content()
    page.keyboard.press("k" if listed_names(page).index(Path(PLAIN).name) else "j")
    assert page.locator("#viewer-name").text_content() != first
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_filters_narrow_the_opening(page: Page) -> None:
    page.wait_for_selector(LISTED)
    page.get_by_role("button", name="Filters", exact=True).click()
    page.get_by_label("Height, pixels, from").fill("2000")
    page.get_by_label("Height, pixels, from").blur()
    wait_until(page, "document.querySelectorAll('.newest > .card').length === 1")
    assert listed_names(page) == [Path(FORMATS["4K"]).name]
    page.get_by_label("Height, pixels, from").fill("9999")
    page.get_by_label("Height, pixels, from").blur()
    page.wait_for_selector(".message.none")
    page.locator(".message.none").get_by_role("button", name="Clear filters").click()
    page.wait_for_selector(LISTED)
    assert set(listed_names(page)) == NAMES


def test_an_answer_takes_the_place_of_the_opening_and_gives_it_back(page: Page) -> None:
    page.wait_for_selector(LISTED)
    search(page, "red ball then a blue ball")
    assert page.locator(LISTED).count() == 0
    assert page.locator(CARD).count() > 5
    page.fill("#text", "")
    page.wait_for_selector(LISTED)
    assert page.locator(CARD).count() == 0


def test_like_a_video_of_the_opening_others_are_found(page: Page) -> None:
    page.wait_for_selector(LISTED)
    card = page.locator(LISTED).filter(has_text=Path(PLAIN).name)
    card.get_by_role("button", name="More like this video").click()
    page.wait_for_selector(CARD)
    assert Path(PLAIN).name not in page.locator(f"{CARD} .name").all_text_contents()
