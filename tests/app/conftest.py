"""A small index with a service over it, and a server of that, made once for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.video_files import write_clip
from video_colbert import Index, VideoColBERTEncoder, open_index
from video_colbert.app.service import SearchService

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class Served:
    """A service, an index of its own over what it serves, to compare with, and the folder of the videos."""

    service: SearchService
    index: Index
    encoder: VideoColBERTEncoder
    videos: Path


@pytest.fixture(scope="session")
def encoder(checkpoint_folder: Path) -> VideoColBERTEncoder:
    return VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, encoder: VideoColBERTEncoder) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    videos = folder / "videos"
    for seed in range(3):
        write_clip(videos / f"{seed}.mp4", seed)
    write_clip(videos / "holiday" / "long.mp4", 7, frames=32)
    (videos / "bad.mp4").write_text("no video")
    index = open_index(folder / "index", encoder, windows=4.0)
    index.add(videos, metadata={"0.mp4": {"year": 2020}, "1.mp4": {"year": 2021}})
    service = SearchService(
        {"clips": str(folder / "index")}, load_encoder=lambda stored: encoder, device="cpu", may_add=True
    )
    yield Served(service, index, encoder, videos)
    service.close()


@pytest.fixture(scope="session")
def server(served: Served) -> Iterator[str]:
    """The address of a server that asks for a token and offers tools to assistants."""
    pytest.importorskip("gradio", reason="needs the extra [app]")
    from tests.app.running_server import TOKEN, running_server
    from video_colbert.app.access import Access

    with running_server(served.service, Access(token=TOKEN), mcp=True) as address:
        yield address


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    """A client with the token."""
    import httpx

    from tests.app.running_server import BEARER

    with httpx.Client(base_url=server, headers=BEARER, timeout=60.0) as client:
        yield client
