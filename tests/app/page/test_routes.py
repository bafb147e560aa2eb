"""The page as a browser gets it."""

import re
from pathlib import Path

import pytest

import video_colbert.app

pytest.importorskip("starlette", reason="needs the extra [app]")

from starlette.applications import Starlette
from starlette.testclient import TestClient

from video_colbert.app.page.page_files import page_files
from video_colbert.app.page.routes import page_routes

STATIC = Path(video_colbert.app.__path__[0]) / "page" / "static"
# What names another file of the page: attributes, imports of scripts, pictures of a style.
REFERENCE = re.compile(r"""(?:src|href)="([^"#]+)|from "\./([^"]+)"|page/([\w.]+\.svg)|url\(([^)]+)\)""")


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=page_routes()))


def test_the_page_is_at_the_root_and_its_files_below_it(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for name, media_type in {
        "main.js": "text/javascript",
        "page.css": "text/css",
        "icon.svg": "image/svg+xml",
    }.items():
        got = client.get(f"/page/{name}")
        assert got.status_code == 200
        assert got.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert got.content == (STATIC / name).read_bytes()


def test_a_file_that_a_browser_has_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/page/main.js")
    again = client.get("/page/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/page/main.js", headers={"If-None-Match": '"another"'}).content == first.content


@pytest.mark.parametrize(
    "path", ["/page/..%2Froutes.py", "/page/routes.py", "/page/%2e%2e/%2e%2e/service.py", "/page/"]
)
def test_nothing_but_the_pages_files_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_every_file_that_the_page_names_is_there_and_no_other_host_is_named() -> None:
    named = set()
    for name, file in page_files().items():
        text = file.content.decode()
        named |= {next(filter(None, found)).removeprefix("page/") for found in REFERENCE.findall(text)}
        hosts = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[\w/]*", text))
        # The name of a language, which no browser loads.
        assert hosts <= {"http://www.w3.org/2000/svg"}, name
    assert len(named) > 10
    assert named <= page_files().keys()


def test_no_script_reads_a_text_as_markup() -> None:
    ways = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser", "new Function")
    scripts = {name: file.content.decode() for name, file in page_files().items() if name.endswith(".js")}
    assert "elements.js" in scripts
    assert [(name, way) for name, text in scripts.items() for way in ways if way in text] == []


def test_what_the_page_loads_is_in_few_small_files() -> None:
    lines = {name: file.content.count(b"\n") for name, file in page_files().items()}
    assert max(lines.values()) <= 300, lines
