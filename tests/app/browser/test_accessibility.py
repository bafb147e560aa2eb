"""The page for those who use it by keyboard, with a screen reader, in the dark or on a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("axe_playwright_python", reason="needs the extra [browser-test]")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.app.browser.actions import open_viewer, search
from tests.app.browser.library import PLAIN

pytestmark = pytest.mark.browser

QUERY = "red ball then a blue ball"


def serious_faults(page: Page) -> list[str]:
    """What axe-core finds that keeps somebody from using the page."""
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {fault['help']}: {node['html'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(open_page: Callable[..., Page], scheme: str) -> None:
    page = open_page(scheme=scheme)
    assert serious_faults(page) == []
    search(page, QUERY)
    page.get_by_role("button", name="Filters", exact=True).click()
    page.locator(".status-toggle").click()
    assert serious_faults(page) == []
    page.keyboard.press("Escape")
    open_viewer(page, PLAIN)
    page.evaluate("document.querySelector('dialog video').pause()")
    assert serious_faults(page) == []


def test_a_hit_is_found_played_and_left_by_keyboard_alone(page: Page) -> None:
    search(page, QUERY)
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('picture')"):
            break
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Play ")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.evaluate("document.activeElement.classList.contains('picture')")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "text"


def test_the_number_of_hits_is_read_out(page: Page) -> None:
    search(page, QUERY)
    summary = page.locator("#summary")
    assert summary.get_attribute("aria-live") == "polite"
    assert "9 videos" in summary.text_content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(
    open_page: Callable[..., Page], scheme: str, shoot: Callable[[Page, str], Path]
) -> None:
    page = open_page(size="phone", scheme=scheme)
    search(page, QUERY)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, f"phone_{scheme}")
    page.get_by_role("button", name="Filters", exact=True).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Filters", exact=True).click()
    open_viewer(page, PLAIN)
    assert page.evaluate("document.querySelector('dialog').scrollWidth") <= 390
    shoot(page, f"phone_viewer_{scheme}")


def test_in_the_dark_the_page_is_dark(open_page: Callable[..., Page], shoot: Callable[[Page, str], Path]) -> None:
    page = open_page(scheme="dark")
    search(page, QUERY)
    page.wait_for_load_state("networkidle")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    parts = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    assert max(parts) < 60
    shoot(page, "dark")
