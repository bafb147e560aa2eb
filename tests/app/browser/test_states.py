"""What the page says while there is no answer, and of the index."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from tests.app.browser.actions import CARD, card_of, search
from tests.app.browser.library import BROKEN, GONE

pytestmark = pytest.mark.browser

CALLS = "**/gradio_api/call/v2/search"
ANSWERS = "**/gradio_api/call/search/*"


def test_at_first_the_page_says_what_can_be_searched(page: Page) -> None:
    page.wait_for_selector(".message.welcome")
    assert "Search 9 videos" in page.locator(".message.welcome h2").text_content()
    assert page.locator("#text").evaluate("box => box === document.activeElement")


def test_while_an_answer_is_awaited_empty_cards_are_shown(page: Page, shoot: Callable[[Page, str], Path]) -> None:
    held: list[Route] = []
    page.route(CALLS, lambda route: held.append(route))
    page.fill("#text", "red ball")
    page.wait_for_selector(".card.skeleton")
    assert page.locator("#results").get_attribute("aria-busy") == "true"
    shoot(page, "loading")
    for route in held:
        route.continue_()
    page.wait_for_selector(CARD)
    assert page.locator(".card.skeleton").count() == 0


def test_a_refusal_is_told_in_the_servers_words_and_can_be_tried_again(
    page: Page, shoot: Callable[[Page, str], Path]
) -> None:
    page.route(ANSWERS, lambda route: route.fulfill(body=event("error", {"error": "The disk <b>is</b> full."})))
    page.fill("#text", "red ball")
    page.wait_for_selector(".message.error")
    assert page.locator(".message.error").get_attribute("role") == "alert"
    assert page.locator(".message.error p").text_content() == "The disk <b>is</b> full."
    shoot(page, "error")
    page.unroute(ANSWERS)
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(CARD)


def test_a_server_that_is_gone_is_told_and_its_return_is_noticed(
    page: Page, shoot: Callable[[Page, str], Path]
) -> None:
    page.route("**/gradio_api/**", lambda route: route.abort())
    page.fill("#text", "red ball")
    page.wait_for_selector("#banner:visible")
    assert "cannot be reached" in page.locator("#banner").text_content()
    shoot(page, "offline")
    page.unroute("**/gradio_api/**")
    page.wait_for_selector(CARD, timeout=40_000)
    assert page.locator("#banner").is_hidden()


def test_nothing_found_is_told(page: Page, shoot: Callable[[Page, str], Path]) -> None:
    search(page, "red ball")
    page.get_by_role("button", name="Filters", exact=True).click()
    page.get_by_label("Width, pixels, from").fill("99999")
    page.get_by_label("Width, pixels, from").blur()
    page.wait_for_selector(".message.none")
    shoot(page, "none")
    page.locator(".message.none").get_by_role("button", name="Clear filters").click()
    page.wait_for_selector(CARD)


def test_the_corner_names_what_could_not_be_read_and_what_is_gone(
    page: Page, shoot: Callable[[Page, str], Path]
) -> None:
    corner = page.locator("#status")
    assert "9 videos" in corner.text_content()
    page.locator(".status-toggle").click()
    corner.get_by_text("1 file could not be read").click()
    assert Path(BROKEN).name in corner.text_content()
    assert corner.locator(".files .fine").first.text_content() != ""
    corner.get_by_text("1 file gone").click()
    assert Path(GONE).name in corner.text_content()
    shoot(page, "status")
    page.keyboard.press("Escape")
    assert page.locator("#status-panel").is_hidden()


def test_a_hit_whose_file_is_gone_says_so_and_is_not_played(page: Page) -> None:
    search(page, "green ball then a purple ball")
    card = card_of(page, Path(GONE).name)
    assert "The file is gone" in card.locator(".picture").text_content()
    card.locator(".picture").click()
    page.wait_for_selector(".stage-state.failed")
    assert "The file is gone" in page.locator(".stage-state").text_content()


def test_names_and_passages_from_files_are_never_markup(page: Page, shoot: Callable[[Page, str], Path]) -> None:
    page.route(ANSWERS, lambda route: route.fulfill(body=event("complete", [hostile_answer()])))
    page.fill("#text", "photosynthesis")
    page.wait_for_selector(CARD)
    assert page.locator("#results b, #results script, #results img[src='x']").count() == 0
    assert page.locator(f"{CARD} .name").text_content() == HOSTILE
    quoted = page.locator(f"{CARD} .passage")
    assert quoted.locator("mark").all_text_contents() == ["<i>Leaves</i>", "light"]
    assert "Said 0:12.0" in quoted.text_content()
    assert page.locator(f"{CARD} .source").all_text_contents() == ["Said", "Seen"]
    shoot(page, "passage")


def test_a_model_that_tells_no_words_apart_is_named_as_such(page: Page) -> None:
    def zero_shot(route: Route) -> None:
        response = route.fetch()
        body = response.text().replace('"zero_shot": false', '"zero_shot": true')
        route.fulfill(response=response, body=body)

    page.route("**/gradio_api/call/info/*", zero_shot)
    page.reload()
    page.wait_for_selector("#model-note:visible")
    assert page.locator("#model-note").text_content() == "zero-shot: words are not told apart"


HOSTILE = "<b>bold</b><img src=x onerror=alert(1)>.mp4"


def event(kind: str, data: object) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"


def hostile_answer() -> dict[str, object]:
    text = "<i>Leaves</i> eat <script>alert(1)</script> light."
    parts = [("<i>Leaves</i>", True), (" eat <script>alert(1)</script> ", False), ("light", True), (".", False)]
    said = {
        "source": "speech",
        "kind": "speech",
        "rank": 1,
        "score": 21.5,
        "text": text,
        "start": 12.0,
        "end": 14.0,
        "matched": [],
        "parts": [{"text": part, "matched": matched} for part, matched in parts],
    }
    seen = {**said, "source": "video", "kind": None, "text": None, "start": None, "end": None, "parts": []}
    hit = {
        "rank": 1,
        "video": f"/videos/{HOSTILE}",
        "id": "0" * 64,
        "name": HOSTILE,
        "folder": "/videos",
        "modified": 1_795_000_000.0,
        "duration": 60.0,
        "playable": True,
        "gone": False,
        "start": 0.0,
        "end": 60.0,
        "score": 0.5,
        "relevance": 1.0,
        "level_scores": {},
        "ranges": [{"start": 10.0, "end": 16.0, "words": ["<u>leaf</u>"]}],
        "moments": [{"word": "<u>leaf</u>", "time": 12.0, "similarity": 0.9, "muted": False}],
        "sources": [said, seen],
        "windows": [],
    }
    return {"query": "photosynthesis", "index": "balls", "model": "m", "truncated": False, "hits": [hit]}
