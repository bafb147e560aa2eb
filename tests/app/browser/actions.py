"""What a reader does on the page, and what is seen there."""

from __future__ import annotations

import re
import time
from pathlib import Path

from playwright.sync_api import Locator, Page

CARD = ".cards:not(.newest) > .card:not(.skeleton)"
"""The card of a hit; those of the opening are of no query."""


def wait_until(page: Page, condition: str, arg: object = None, *, timeout: float = 20.0) -> None:
    """Waits until a condition in JavaScript holds.

    Playwright's own way makes a function of a text within the page, which the page's policy forbids, as it should.
    """
    end = time.monotonic() + timeout
    while not page.evaluate(condition, arg):
        assert time.monotonic() < end, f"not within {timeout} s: {condition}"
        page.wait_for_timeout(30)


def search(page: Page, text: str) -> None:
    """Types a query as a reader does, and waits for its answer."""
    page.fill("#text", "")
    page.locator("#text").press_sequentially(text)
    wait_until(
        page,
        "text => document.querySelector('#results').dataset.query === text"
        " && !document.querySelector('#results').hasAttribute('aria-busy')",
        text,
    )


def names(page: Page) -> list[str]:
    """The names on the cards, best first."""
    return page.locator(f"{CARD} .name").all_text_contents()


def card_of(page: Page, name: str) -> Locator:
    """The card of a file."""
    return page.locator(CARD).filter(has=page.locator(".name", has_text=re.compile(f"^{re.escape(name)}$")))


def open_viewer(page: Page, name: str) -> None:
    """Opens a hit by its picture and waits until it plays."""
    card_of(page, Path(name).name).locator(".picture").click()
    wait_until_it_plays(page)


def wait_until_it_plays(page: Page) -> None:
    """Waits until the dialog's video has a frame."""
    wait_until(page, "document.querySelector('dialog video').readyState >= 2", timeout=30.0)


def current_second(page: Page) -> float:
    """Where the dialog's video stands."""
    return float(page.evaluate("document.querySelector('dialog video').currentTime"))
