"""Who may ask a server what, request by request."""

from __future__ import annotations

import pytest

from video_colbert.app.access import MOST_BYTES, MOST_BYTES_OF_A_CALL, Access

TOKEN = "correct horse battery"  # noqa: S105 - of these tests alone
HOST = {"host": "127.0.0.1:7860"}


def status(access: Access, path: str = "/", method: str = "GET", **headers: str) -> int | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    refusal = access.refusal(method, path, {**HOST, **named})
    return None if refusal is None else refusal.status


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:7860", "localhost:80", "LOCALHOST:7860", "[::1]:7860"])
def test_the_server_s_own_names_are_answered(host: str) -> None:
    assert status(Access(), host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:7860",
        "127.0.0.1:7860:80",
        "evil.example@127.0.0.1",
        "127.0.0.1/",
        "192.168.1.5:7860",
        "127.0.0.1, evil.example",
        "[::1",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert status(Access(), host=host) == 421


def test_a_server_on_all_addresses_is_reached_by_any_address_and_by_no_other_name() -> None:
    access = Access({"localhost", "videos.example"}, any_address=True)
    assert [status(access, host=host) for host in ("192.168.1.5:7860", "[fe80::1]:7860", "videos.example")] == [
        None
    ] * 3
    assert status(access, host="evil.example") == 421


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1:8000", "http://localhost:7860", "null", "", "file://"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_of_other_origins_are_refused(origin: str, method: str) -> None:
    assert status(Access(), "/gradio_api/call/search", method, origin=origin) == 403


def test_the_server_s_own_page_may_ask_also_behind_a_proxy_with_tls() -> None:
    assert status(Access(), "/gradio_api/call/search", "POST", origin="http://127.0.0.1:7860") is None
    assert status(Access(), "/gradio_api/call/search", "POST", origin="https://127.0.0.1:7860") is None


def test_another_site_may_lead_to_the_page_and_to_nothing_else() -> None:
    opens = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert status(Access(), "/", **opens) is None
    assert status(Access(), "/media/clips/abc/file", **opens) == 403
    assert status(Access(), "/", **{**opens, "sec_fetch_dest": "iframe"}) == 403
    assert status(Access(), "/media/clips/abc/picture", sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403
    assert status(Access(), "/media/clips/abc/picture", sec_fetch_site="same-origin", sec_fetch_mode="no-cors") is None


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"],
)
def test_without_the_token_nothing_is_told_apart(header: str) -> None:
    access = Access(token=TOKEN)
    for path in ("/", "/gradio_api/call/search", "/media/a/b/file", "/nowhere"):
        assert status(access, path, authorization=header) == 401


def test_the_token_lets_in_by_its_header_or_cookie() -> None:
    access = Access(token=TOKEN)
    name, value = access.cookie("127.0.0.1:7860")
    assert TOKEN not in value
    assert status(access, authorization=f"Bearer {TOKEN}") is None
    assert status(access, authorization=f"bearer  {TOKEN}") is None
    assert status(access, cookie=f"a=b; {name}={value}") is None
    assert status(access, cookie=f"odd[name]=\x01; =; {name}={value}; other") is None
    assert status(access, cookie=f"{name}={value}x") == 401
    assert status(access, cookie=f"{name}={TOKEN}") == 401
    assert Access(token=f"{TOKEN}x").cookie("127.0.0.1:7860") != (name, value)


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/proxy=http://evil.example/",
        "/gradio_api/upload",
        "/gradio_api/component_server",
        "/gradio_api/vibe-code",
        "/gradio_api/call/v2/other",
        "/media/../../etc/passwd",
        "/media/clips/../file",
        "/media/clips/a/b/file",
        "/page/../../pyproject.toml",
        "/static/x.js",
        "/assets/x.js",
        "//evil.example/",
        "/docs",
        "/monitoring",
    ],
)
def test_addresses_that_are_not_needed_are_not_there(path: str) -> None:
    assert status(Access(), path) == 404


def test_methods_that_nothing_takes_are_refused() -> None:
    assert {status(Access(), "/", method) for method in ("PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT")} == {405}


def test_only_a_call_may_be_long() -> None:
    access = Access()
    assert access.most_bytes("/gradio_api/call/v2/search") == MOST_BYTES_OF_A_CALL == 20 * 2**20
    assert access.most_bytes("/gradio_api/mcp/") == MOST_BYTES_OF_A_CALL
    assert access.most_bytes("/gradio_api/cancel") == access.most_bytes("/") == MOST_BYTES == 2**20


def test_the_policy_names_no_other_host() -> None:
    policy = Access().policy()
    assert "http" not in policy
    assert "*" not in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'self';" in policy
    assert policy.endswith("frame-ancestors 'none'")
    assert Access(framed_by=("https://huggingface.co",)).policy().endswith("frame-ancestors https://huggingface.co")
