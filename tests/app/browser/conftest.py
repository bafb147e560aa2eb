"""A library of clips, its server, and a browser that looks at its page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs the extra [browser-test]")
pytest.importorskip("gradio", reason="needs the extra [app]")

from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from tests.app.browser.ball_checkpoint import save_ball_checkpoint
from tests.app.browser.library import GONE, metadata, write_library
from video_colbert import VideoColBERTEncoder, open_index

REPOSITORY = Path(__file__).parents[3]
SCREENSHOTS = REPOSITORY / "runs" / "screenshots"
SIZES = {"desk": {"width": 1280, "height": 860}, "phone": {"width": 390, "height": 844}}


@dataclass(frozen=True)
class Library:
    """Clips with an index over them."""

    videos: Path
    index: Path
    checkpoint: Path


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    address: str
    library: Library


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("library")
    videos = write_library(folder / "videos")
    checkpoint = save_ball_checkpoint(folder / "checkpoint")
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint)
    with open_index(folder / "balls", encoder) as index:
        report = index.add([videos], metadata=metadata(), workers=1)
    assert [Path(bad.source).name for bad in report.bad] == ["broken.mp4"]
    (videos / GONE).unlink()
    return Library(videos, folder / "balls", checkpoint)


@pytest.fixture(scope="session")
def served(library: Library) -> Iterator[Served]:
    """The server as a user starts it, in a process of its own."""
    command = [sys.executable, "-m", "video_colbert", "serve", "--index", str(library.index), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        yield Served(_address(process), library)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium where there is one, else Playwright's own."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        if chromium is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("there is no Chromium here, neither Debian's nor Playwright's")
        # As root, as in a container, it has no sandbox.
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        opened = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    """Opens the page; whatever it asks for must be of its own server, and none of its scripts may fail."""
    contexts: list[BrowserContext] = []
    requests: list[str] = []
    failures: list[str] = []

    def open_it(*, size: str = "desk", scheme: str = "light", path: str = "") -> Page:
        context = browser.new_context(
            viewport=SIZES[size], color_scheme=scheme, accept_downloads=True, permissions=["clipboard-write"]
        )
        contexts.append(context)
        context.on("request", lambda request: requests.append(_host(request)))
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(served.address + path)
        page.wait_for_selector("#results > *")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert requests
    assert set(requests) == {served.address.rstrip("/")}
    assert failures == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()


@pytest.fixture
def shoot() -> Callable[[Page, str], Path]:
    """Keeps a picture of what the page shows."""

    def keep(page: Page, name: str) -> Path:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        page.screenshot(path=path)
        return path

    return keep


def _host(request: Request) -> str:
    found = re.match(r"https?://[^/]+", request.url)
    # What the page itself holds, such as a picture that was dropped on it, has no host.
    return found[0] if found else re.sub(r"^blob:(https?://[^/]+).*", r"\1", request.url)


def _address(process: subprocess.Popen[str]) -> str:
    told = []
    assert process.stdout is not None
    for line in process.stdout:
        told.append(line)
        if found := re.search(r"http://[\w.:]+/?", line):
            return found[0].rstrip("/") + "/"
    raise AssertionError("".join(told))
