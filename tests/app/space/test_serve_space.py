"""Who may ask a Space."""

from __future__ import annotations

import pytest

pytest.importorskip("gradio", reason="needs the extra [app]")

from video_colbert.app.access import Access
from video_colbert.app.space.serve_space import space_access

HOST = "me-video-search.hf.space"
IN_FRAME = {"host": HOST, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}


def test_the_hub_may_show_the_page_in_a_frame_and_no_other_server_may() -> None:
    access = space_access("Me-video-search.hf.space")
    assert access.refusal("GET", "/", IN_FRAME) is None
    assert "frame-ancestors https://huggingface.co" in access.policy()
    elsewhere = Access(names=(HOST,))
    assert elsewhere.refusal("GET", "/", IN_FRAME).status == 403
    assert "frame-ancestors 'none'" in elsewhere.policy()


def test_pages_of_other_sites_and_other_names_are_refused_by_a_space_too() -> None:
    access = space_access(HOST)
    assert access.refusal("GET", "/", {"host": "evil.example"}).status == 421
    asked = {"host": HOST, "origin": "https://evil.example"}
    assert access.refusal("POST", "/gradio_api/call/v2/search", asked).status == 403


def test_the_hubs_own_look_at_the_container_by_its_address_is_answered() -> None:
    assert space_access(None).refusal("GET", "/", {"host": "10.0.0.7:7860"}) is None
