from __future__ import annotations

import socket
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from qdrant_client import models

from tests.index.made_clusters import MODEL, make_queries, make_videos
from tests.index.qdrant.qdrant_server import QdrantServer, serve
from video_colbert.errors import IndexStoreError
from video_colbert.index.qdrant import changes
from video_colbert.index.qdrant.qdrant_index import QdrantIndex

pytestmark = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect", "ignore:Batch upload failed", "ignore:Api key is used with an insecure"
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[QdrantServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(changes, "_PAUSES", (0.01, 0.01))
    with serve() as server:
        yield server


def address(server: QdrantServer, options: str = "") -> str:
    return f"qdrant://127.0.0.1:{server.port}/videos{options}"


def test_over_the_network_hits_are_those_of_the_local_mode(server: QdrantServer) -> None:
    videos, queries = make_videos(40), make_queries(5)
    index = QdrantIndex.create(address(server), model=MODEL, num_frames=12)
    index.add(videos)
    assert QdrantIndex.exists(address(server))
    opened = QdrantIndex.open(address(server), model=MODEL)
    local = QdrantIndex.open("qdrant://host/videos", client=server.local)
    assert opened.search(queries) == local.search(queries)
    assert opened.videos == local.videos
    opened.move({videos[0][0].id: "/new/path.mp4"})
    assert opened.remove([videos[1][0].id]) == 1
    assert len(opened) == 39
    assert "/new/path.mp4" in {video.path for video in opened.videos}


def test_an_index_exists_once_it_is_made(server: QdrantServer) -> None:
    assert not QdrantIndex.exists(address(server))
    QdrantIndex.create(address(server), model=MODEL, num_frames=12)
    assert QdrantIndex.exists(address(server))
    assert QdrantIndex.open(address(server), model=MODEL).search(make_queries(2)) == [[], []]


def test_the_layout_is_as_the_address_asks(server: QdrantServer) -> None:
    options = "?shards=6&replicas=2&write_consistency=2&quantization=int8&token_quantization=4bit&on_disk=true"
    index = QdrantIndex.create(address(server, options), model=MODEL, num_frames=12)
    collection = server.bodies["PUT /collections/videos"]
    shards = (collection[name] for name in ("shard_number", "replication_factor", "write_consistency_factor"))
    assert tuple(shards) == (6, 2, 2)
    placed = []
    update = server.local.update_collection

    def recorded(name: str, **changes: Any) -> bool:
        placed.append(changes["vectors_config"])
        return update(name, **changes)

    server.local.update_collection = recorded  # type: ignore[method-assign]
    index.add(make_videos(2))
    assert {
        name: vector.size for name, vector in server.local.get_collection("videos").config.params.vectors.items()
    } == {"pooled": 32, "frame_tokens": 16, "video_tokens": 16}
    [vectors] = [config for config in placed if config]
    assert set(vectors) == {"pooled", "frame_tokens", "video_tokens"}
    for name in ("frame_tokens", "video_tokens"):
        made = server.bodies[f"PUT /collections/videos/vectors/{name}"]["dense"]
        assert (made["multivector_config"], made["datatype"]) == ({"comparator": "max_sim"}, "float16")
        assert vectors[name].hnsw_config.m == 0
        assert vectors[name].memory == models.Memory.COLD
        assert vectors[name].quantization_config.turbo.bits == models.TurboQuantBitSize.BITS4
    assert vectors["pooled"].quantization_config.scalar.memory == models.Memory.PINNED
    assert len(QdrantIndex.open(address(server, options))) == 2


def test_a_batch_of_queries_is_one_request_for_scores_and_one_for_tokens(server: QdrantServer) -> None:
    index = QdrantIndex.create(address(server), model=MODEL, num_frames=12)
    index.add(make_videos(30))
    server.requests.clear()
    index.search(make_queries(8))
    assert server.requests == {
        "POST /collections/videos/points/query/batch": 1,
        "POST /collections/videos/points": 1,
    }


@pytest.mark.parametrize(("half_done", "uploads"), [(False, 7), (True, 4)])
def test_a_dropped_connection_is_tried_again_and_what_was_stored_is_not_sent_again(
    server: QdrantServer, half_done: bool, uploads: int
) -> None:
    videos = make_videos(20)
    index = QdrantIndex.create(address(server), model=MODEL, num_frames=12)
    # The client itself gives up after the fourth.
    server.drops, server.half_done = 6, half_done
    index.add(videos)
    assert len(index) == 20
    assert server.requests["PUT /collections/videos/points"] == uploads
    assert {video.id for video in index.videos} == {video.id for video, _ in videos}


def test_a_server_that_stays_away_ends_the_upload_with_one_clear_error(server: QdrantServer) -> None:
    index = QdrantIndex.create(address(server), model=MODEL, num_frames=12)
    server.drops = 10**6
    with pytest.raises(
        IndexStoreError, match=rf"qdrant://127.0.0.1:{server.port}/videos: the Qdrant server cannot be"
    ):
        index.add(make_videos(5))
    server.drops = 0
    index.add(make_videos(5))
    assert len(index) == 5


def test_several_processes_upload(server: QdrantServer) -> None:
    index = QdrantIndex.create(address(server, "?parallel=2"), model=MODEL, num_frames=12)
    videos = make_videos(150)
    index.add(videos)
    assert {video.id for video in index.videos} == {video.id for video, _ in videos}
    assert server.requests["PUT /collections/videos/points"] >= 3


def test_a_refused_request_is_not_tried_again(server: QdrantServer, monkeypatch: pytest.MonkeyPatch) -> None:
    index = QdrantIndex.create(address(server), model=MODEL, num_frames=12)
    index.add(make_videos(1))
    server.status = 400
    before = server.requests.total()
    with pytest.raises(IndexStoreError, match=r"the server answered 400 \(as the test asks\)"):
        index.add(make_videos(3))
    assert server.requests.total() - before == 1


def test_a_refused_key_says_where_to_put_the_right_one(server: QdrantServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", "wrong")
    server.status = 401
    with pytest.raises(IndexStoreError, match="refused the request's API key; set the environment variable QDRANT"):
        QdrantIndex.open(address(server))


@pytest.mark.parametrize("options", ["", "?grpc_port=CLOSED"])
def test_a_refused_connection_is_one_clear_error(options: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"qdrant://127.0.0.1:{port}/videos{options.replace('CLOSED', str(port))}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for call in (QdrantIndex.exists, QdrantIndex.open):
            with pytest.raises(
                IndexStoreError, match=rf"127.0.0.1:{port}/videos: the Qdrant server cannot be reached"
            ):
                call(uri)
        with pytest.raises(IndexStoreError, match="check host, port and that it runs"):
            QdrantIndex.create(uri, model=MODEL, num_frames=12)


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"<html>hello</html>", b'{"result": 1}'])
def test_a_server_of_another_kind_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as other:
        thread = threading.Thread(target=other.serve_forever, daemon=True)
        thread.start()
        for call in (QdrantIndex.exists, QdrantIndex.open):
            with pytest.raises(IndexStoreError, match="what answers there is no Qdrant server") as raised:
                call(f"qdrant://127.0.0.1:{other.server_port}/videos")
            assert "\n" not in str(raised.value)
        other.shutdown()
        thread.join()
