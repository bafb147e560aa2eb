from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.index.made_clusters import MODEL, make_queries, make_videos
from tests.index.qdrant.qdrant_server import serve
from video_colbert.encoding.pretrained import ModelReference
from video_colbert.errors import IndexStoreError, ModelMismatchError
from video_colbert.index import Index
from video_colbert.index.index_location import create_index, index_exists, open_index
from video_colbert.index.qdrant.qdrant_index import QdrantIndex

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


def test_a_folder_and_a_collection_are_used_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    videos, queries = make_videos(20), make_queries(3)
    found = []
    with serve() as server:
        for location, kind in (
            (str(tmp_path / "index"), Index),
            (f"qdrant://127.0.0.1:{server.port}/x", QdrantIndex),
            (f"qdrant+local://{tmp_path}/qdrant", QdrantIndex),
        ):
            assert not index_exists(location)
            with pytest.raises(IndexStoreError, match="there is no index"):
                open_index(location)
            created = create_index(location, model=MODEL, num_frames=12)
            created.add(videos)
            assert index_exists(location)
            index = open_index(location, model=MODEL)
            assert isinstance(index, kind)
            with pytest.raises(ModelMismatchError):
                open_index(location, model=ModelReference("other/model", "b" * 40))
            assert (len(index), index.num_frames, index.model) == (20, 12, MODEL)
            assert index.location.startswith(location)
            found.append(index.search(queries, top_k=5))
    assert found[0] == found[1] == found[2]


def test_without_the_client_a_collection_says_what_to_install_and_a_folder_works(tmp_path: Path) -> None:
    script = f"""
import sys
sys.modules["qdrant_client"] = None
from video_colbert.errors import MissingExtraError
from video_colbert.index.index_location import index_exists
assert not index_exists({str(tmp_path)!r})
try:
    index_exists("qdrant://host/videos")
except MissingExtraError as error:
    assert "pip install 'video-colbert[qdrant]'" in str(error), error
else:
    raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
