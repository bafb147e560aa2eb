"""The stand-in's HTTP side, and what a test does with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from tests.hub_stand_in.endpoints import HubRequestHandler
from tests.hub_stand_in.storage import Repository, Storage, StoredFile
from tests.hub_stand_in.traffic import Faults, LoggedRequest

OWNER, OWNER_TOKEN = "tester", "hf_tester"
GUEST, GUEST_TOKEN = "guest", "hf_guest"


class HubServer(ThreadingHTTPServer):
    """An HTTP server that shares storage, faults and a log with its handlers."""

    daemon_threads = True

    def __init__(self, storage: Storage) -> None:
        super().__init__(("127.0.0.1", 0), HubRequestHandler)
        self.storage = storage
        self.faults = Faults()
        self.log: list[LoggedRequest] = []
        self.lock = threading.RLock()


class HubStandIn:
    """A Hub on this machine, with an owner `tester` and a `guest`, each with a token.

    The client reads its address on import, so it must run in a process of its own, in `environment()`.

    Example:
        with HubStandIn() as hub:
            subprocess.run(["video-colbert", "publish", folder, "tester/model"], env=hub.environment(cache))
            files = hub.repository("tester/model").resolve("main").files
    """

    owner, owner_token = OWNER, OWNER_TOKEN
    guest, guest_token = GUEST, GUEST_TOKEN

    def __init__(self) -> None:
        self.storage = Storage({OWNER_TOKEN: OWNER, GUEST_TOKEN: GUEST})
        self._server = HubServer(self.storage)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> HubStandIn:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def log(self) -> list[LoggedRequest]:
        """The requests so far, oldest first."""
        return self._server.log

    def settings(self, cache: Path, token: str | None = OWNER_TOKEN) -> dict[str, str]:
        """Variables that send a client here; an empty token is no token."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(cache),
            "HF_TOKEN": token or "",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "0",
        }

    def environment(self, cache: Path, token: str | None = OWNER_TOKEN) -> Mapping[str, str]:
        """This process's variables with `settings` over them.

        Args:
            cache: the client's home, where downloads are kept.
            token: the client's token; None for a client that is not logged in.
        """
        return {**os.environ, **self.settings(cache, token)}

    def repository(self, repo_id: str, kind: str = "model") -> Repository:
        return self.storage.repositories[kind, repo_id]

    def host(self, repo_id: str, folder: Path) -> Repository:
        """Puts a folder's files into a repository of another owner, public, as one more commit of it."""
        repository = self.storage.repositories.get(("model", repo_id))
        if repository is None:
            repository = self.storage.create("model", repo_id, False, repo_id.split("/")[0])
        files = {
            file.name: StoredFile(content := file.read_bytes(), StoredFile.would_be_large(file.name, len(content)))
            for file in sorted(folder.iterdir())
        }
        repository.add_commit("main", files, f"commit {len(repository.commits)}")
        return repository

    def drop_next_download(self, file_name: str, after_bytes: int) -> None:
        """Breaks the connection of the next download of a file when so many bytes of it are sent."""
        self._server.faults.dropped_downloads[file_name] = after_bytes
