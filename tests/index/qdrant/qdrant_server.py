"""A small Qdrant server for tests: the HTTP requests that an index makes, answered by the client's local mode."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import TypeAdapter
from qdrant_client import QdrantClient, models

QUERIES: TypeAdapter[list[models.QueryRequest]] = TypeAdapter(list[models.QueryRequest])
OPERATIONS: TypeAdapter[list[models.UpdateOperation]] = TypeAdapter(list[models.UpdateOperation])


class QdrantServer:
    """The server, and the faults it shall have.

    Attributes:
        port: where it listens on this machine.
        requests: how often each method and path was asked for, failed ones included.
        bodies: the last body of each.
        drops: uploads whose connection is closed without an answer before one is answered again.
        half_done: whether such an upload was carried out all the same.
        status: an HTTP status to answer everything with; None for proper answers.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.bodies: dict[str, Any] = {}
        self.drops = 0
        self.half_done = False
        self.status: int | None = None
        self.local = QdrantClient(":memory:", force_disable_check_same_thread=True)
        self.lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self.http.server_address[1]

    def answer(self, method: str, path: str, body: Any) -> Any:
        """The result of a request, as a model or plain data."""
        if path == "/":
            return self.local.info()
        _, _, name, *rest = path.split("/")
        local = self.local
        match method, "/".join(rest):
            case "GET", "exists":
                return {"exists": local.collection_exists(name)}
            case "GET", "":
                return local.get_collection(name)
            case "PUT", "":
                config = models.CreateCollection.model_validate(body)
                vectors: Any = config.vectors
                return local.create_collection(
                    name,
                    vectors_config=vectors,
                    metadata=config.metadata,
                )
            case "DELETE", "":
                return local.delete_collection(name)
            case "PATCH", "":
                change = models.UpdateCollection.model_validate(body)
                return local.update_collection(name, metadata=change.metadata, vectors_config=change.vectors)
            case "PUT", vector if vector.startswith("vectors/"):
                created = models.DenseVectorNameConfig.model_validate(body)
                return local.create_vector_name(name, vector.removeprefix("vectors/"), created)
            case "PUT", "points":
                return local.upsert(name, models.PointsList.model_validate(body).points)
            case "POST", "points":
                wanted = models.PointRequest.model_validate(body)
                return local.retrieve(name, wanted.ids, wanted.with_payload or False, wanted.with_vector or False)
            case "POST", "points/query/batch":
                return local.query_batch_points(name, QUERIES.validate_python(body["searches"]))
            case "POST", "points/scroll":
                scroll = models.ScrollRequest.model_validate(body)
                points, offset = local.scroll(
                    name,
                    scroll.filter,
                    scroll.limit or 10,
                    offset=scroll.offset,
                    with_payload=scroll.with_payload or False,
                )
                return {"points": [point.model_dump(mode="json") for point in points], "next_page_offset": offset}
            case "POST", "points/count":
                return local.count(name, models.CountRequest.model_validate(body).filter)
            case "POST", "points/delete":
                chosen = models.FilterSelector if "filter" in body else models.PointIdsList
                return local.delete(name, chosen.model_validate(body))
            case "POST", "facet":
                return local.facet(name, body["key"], exact=body["exact"])
            case "POST", "points/batch":
                return local.batch_update_points(name, OPERATIONS.validate_python(body["operations"]))
            case "PUT", "index":
                if isinstance(body["field_schema"], dict) and "scoring" in body["field_schema"]:
                    words = models.TextIndexParams.model_validate(body["field_schema"])
                    return local.create_payload_index(name, body["field_name"], words)
                return models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)
        raise KeyError(f"{method} {path} is no request that this server knows")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self) -> None:
                path = self.path.partition("?")[0]
                length = int(self.headers.get("Content-Length") or 0)
                text = self.rfile.read(length)
                with server.lock:
                    body = json.loads(text) if text else None
                    server.requests[f"{self.command} {path}"] += 1
                    server.bodies[f"{self.command} {path}"] = body
                    self._respond(path, body)

            def _respond(self, path: str, body: Any) -> None:
                is_upload = self.command == "PUT" and path.endswith("/points")
                if is_upload and server.drops > 0:
                    server.drops -= 1
                    if server.half_done:
                        server.answer(self.command, path, body)
                    self.close_connection = True
                    return
                if server.status is not None:
                    self._send(server.status, {"status": {"error": "as the test asks"}})
                    return
                result = server.answer(self.command, path, body)
                plain = TypeAdapter(Any).dump_python(result, mode="json")
                # Service information comes without the envelope that everything else has.
                self._send(200, plain if path == "/" else {"result": plain, "status": "ok", "time": 0.0})

            def _send(self, status: int, content: Any) -> None:
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        method: Callable[[Handler], None] = Handler.respond
        for verb in ("GET", "PUT", "POST", "PATCH", "DELETE"):
            setattr(Handler, f"do_{verb}", method)
        return Handler


@contextmanager
def serve() -> Iterator[QdrantServer]:
    """Runs a server for as long as the context lasts."""
    server = QdrantServer()
    thread = threading.Thread(target=server.http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()
        server.local.close()
