"""The stand-in's answers: one method for each endpoint."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.hub_stand_in.storage import Commit, Repository, RequestRefusedError, StoredFile, folders_of
from tests.hub_stand_in.traffic import LoggedRequest

if TYPE_CHECKING:
    from tests.hub_stand_in.server import HubServer

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., None])
_ROUTES: list[tuple[str, re.Pattern[str], str]] = []
_REPOSITORY = r"/api/(?P<kind>model|dataset|space)s/(?P<repo_id>[^/]+/[^/]+)"
_DATE = "2025-01-01T00:00:00.000Z"


def route(methods: str, pattern: str) -> Callable[[_Endpoint], _Endpoint]:
    """Makes a method answer the requests whose path is of this form; its named groups are the arguments."""

    def register(endpoint: _Endpoint) -> _Endpoint:
        _ROUTES.extend((method, re.compile(pattern), endpoint.__name__) for method in methods.split())
        return endpoint

    return register


class HubRequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self) -> None:
        address = urlsplit(self.path)
        self.query = parse_qs(address.query)
        self.body = self._read_body()
        self.server.log.append(LoggedRequest(self.command, self.path, self.headers.get("Range")))
        try:
            for method, pattern, name in _ROUTES:
                # Matched before unquoting: a branch may hold a slash, which arrives quoted.
                if method == self.command and (match := pattern.fullmatch(address.path)):
                    arguments = {key: unquote(value) for key, value in match.groupdict(default="").items()}
                    with self.server.lock:
                        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip() or None
                        self.user = self.server.storage.user(token)
                        getattr(self, name)(**arguments)
                    return
            raise RequestRefusedError(404, f"the stand-in does not know {self.command} {self.path}")
        except RequestRefusedError as refusal:
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message}
            self.send(
                {"error": refusal.message, **refusal.details},
                refusal.status,
                {name: it for name, it in headers.items() if it},
            )

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names that http.server calls

    # Accounts and repositories.

    @route("GET", "/api/whoami-v2")
    def whoami(self) -> None:
        if self.user is None:
            raise RequestRefusedError(401, "Invalid username or password.")
        self.send({"type": "user", "name": self.user, "fullname": self.user, "orgs": []})

    @route("GET", "/api/agent-harnesses")
    def agent_harnesses(self) -> None:
        self.send([])

    @route("POST", "/api/validate-yaml")
    def validate_yaml(self) -> None:
        self.send({"errors": [], "warnings": []})

    @route("POST", "/api/repos/create")
    def create_repository(self) -> None:
        wanted = json.loads(self.body)
        kind, repo_id = wanted.get("type") or "model", f"{wanted.get('organization') or self.user}/{wanted['name']}"
        url = f"{self.endpoint}/{'' if kind == 'model' else kind + 's/'}{repo_id}"
        if (kind, repo_id) in self.server.storage.repositories:
            raise RequestRefusedError(409, "You already created this repo", url=url)
        self.server.storage.create(kind, repo_id, wanted.get("visibility") == "private", self.user)
        self.send({"url": url, "id": repo_id})

    @route("GET", _REPOSITORY)
    @route("GET", _REPOSITORY + "/revision/(?P<revision>[^/]+)")
    def information(self, kind: str, repo_id: str, revision: str = "main") -> None:
        repository = self.readable(kind, repo_id)
        commit = repository.resolve(revision)
        self.send(
            {
                "_id": "0" * 24,
                "id": repo_id,
                "modelId": repo_id,
                "author": repository.owner,
                "sha": commit.oid,
                "lastModified": _DATE,
                "createdAt": _DATE,
                "private": repository.is_private,
                "gated": False,
                "disabled": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": [{"rfilename": path} for path in sorted(commit.files)],
                "cardData": _card_data(commit),
            }
        )

    @route("GET", _REPOSITORY + "/refs")
    def references(self, kind: str, repo_id: str) -> None:
        repository = self.readable(kind, repo_id)

        def listed(names: dict[str, str], prefix: str) -> list[dict[str, str]]:
            return [
                {"name": name, "ref": prefix + name, "targetCommit": oid}
                for name, oid in names.items()
                if not name.startswith("refs/")
            ]

        branches, tags = listed(repository.branches, "refs/heads/"), listed(repository.tags, "refs/tags/")
        self.send({"branches": branches, "tags": tags, "converts": [], "pullRequests": []})

    @route("GET", _REPOSITORY + "/commits/(?P<revision>[^/]+)")
    def commits(self, kind: str, repo_id: str, revision: str) -> None:
        history = self.readable(kind, repo_id).history(revision)
        self.send([{"id": it.oid, "title": it.title, "message": "", "date": _DATE, "authors": []} for it in history])

    @route("POST", _REPOSITORY + "/branch/(?P<branch>[^/]+)")
    def create_branch(self, kind: str, repo_id: str, branch: str) -> None:
        repository = self.writable(kind, repo_id)
        if branch in repository.branches:
            raise RequestRefusedError(409, "Reference already exists")
        start = json.loads(self.body).get("startingPoint") or "main"
        repository.branches[branch] = repository.resolve(start).oid
        self.send({}, 201)

    @route("POST", _REPOSITORY + "/tag/(?P<revision>[^/]+)")
    def create_tag(self, kind: str, repo_id: str, revision: str) -> None:
        repository, tag = self.writable(kind, repo_id), json.loads(self.body)["tag"]
        if tag in repository.tags:
            raise RequestRefusedError(409, "Tag reference exists already.")
        repository.tags[tag] = repository.resolve(revision).oid
        self.send({}, 201)

    # Uploads.

    @route("POST", _REPOSITORY + "/preupload/(?P<revision>[^/]+)")
    def upload_modes(self, kind: str, repo_id: str, revision: str) -> None:
        known = self.readable(kind, repo_id).resolve(revision).files
        self.send(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if StoredFile.would_be_large(file["path"], file["size"]) else "regular",
                        "shouldIgnore": False,
                        "oid": known[file["path"]].oid if file["path"] in known else None,
                    }
                    for file in json.loads(self.body)["files"]
                ]
            }
        )

    @route("POST", r"/(?:(?P<kind>dataset|space)s/)?(?P<repo_id>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
    def large_file_actions(self, kind: str, repo_id: str) -> None:
        self.readable(kind or "model", repo_id)
        objects = json.loads(self.body)["objects"]
        for wanted in objects:
            if wanted["oid"] not in self.server.storage.large_files:
                wanted["actions"] = {"upload": {"href": f"{self.endpoint}/large-files/{wanted['oid']}"}}
        self.send({"transfer": "basic", "objects": objects})

    @route("PUT", "/large-files/(?P<oid>[0-9a-f]{64})")
    def store_large_file(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise RequestRefusedError(400, "the content does not have this hash")
        self.server.storage.large_files[oid] = self.body
        self.send({})

    @route("POST", _REPOSITORY + "/commit/(?P<branch>[^/]+)")
    def add_commit(self, kind: str, repo_id: str, branch: str) -> None:
        is_pull_request = "create_pr" in self.query
        repository = self.readable(kind, repo_id) if is_pull_request else self.writable(kind, repo_id)
        if self.user is None:
            raise RequestRefusedError(401, "Invalid username or password.")
        head = repository.resolve(branch)
        files, title = dict(head.files), ""
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "header":
                title = value["summary"]
                if value.get("parentCommit") not in (None, head.oid):
                    raise RequestRefusedError(412, "A commit has happened since. Please refresh and try again.")
            elif operation["key"] == "file":
                files[value["path"]] = StoredFile(base64.b64decode(value["content"]))
            elif operation["key"] == "lfsFile":
                content = self.server.storage.large_files.get(value["oid"])
                if content is None:
                    raise RequestRefusedError(400, f"large file {value['path']} was not uploaded")
                files[value["path"]] = StoredFile(content, is_large=True)
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
            else:
                raise RequestRefusedError(400, f"the stand-in does not know the operation {operation['key']}")
        answer: dict[str, Any] = {"success": True}
        if is_pull_request:
            number = len(repository.pull_requests) + 1
            branch = f"refs/pr/{number}"
            repository.branches[branch] = head.oid
            answer["pullRequestUrl"] = f"{self.endpoint}/{repo_id}/discussions/{number}"
        commit = repository.add_commit(branch, files, title)
        self.send({**answer, "commitOid": commit.oid, "commitUrl": f"{self.endpoint}/{repo_id}/commit/{commit.oid}"})

    # Downloads.

    @route("GET", _REPOSITORY + "/tree/(?P<revision>[^/]+)(?:/(?P<folder>.*))?")
    def tree(self, kind: str, repo_id: str, revision: str, folder: str) -> None:
        files = self.readable(kind, repo_id).resolve(revision).files
        inside = {path: file for path, file in files.items() if path.startswith(f"{folder}/" if folder else "")}
        if folder and not inside:
            raise RequestRefusedError(404, f"{folder} does not exist", "EntryNotFound")
        is_whole = self.query.get("recursive", ["false"])[0].lower() == "true"
        depth = folder.count("/") + 1 if folder else 0
        entries = [self.tree_entry(path, file) for path, file in sorted(inside.items())]
        entries += [
            {"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in folders_of(inside, depth)
        ]
        self.send([entry for entry in entries if is_whole or entry["path"].count("/") == depth])

    @route("POST", _REPOSITORY + "/paths-info/(?P<revision>[^/]+)")
    def paths_information(self, kind: str, repo_id: str, revision: str) -> None:
        files = self.readable(kind, repo_id).resolve(revision).files
        wanted = parse_qs(self.body.decode()).get("paths", [])
        self.send([self.tree_entry(path, files[path]) for path in wanted if path in files])

    @route(
        "GET HEAD",
        r"/(?:(?P<kind>dataset|space)s/)?(?P<repo_id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)",
    )
    def download(self, kind: str, repo_id: str, revision: str, path: str) -> None:
        repository = self.readable(kind or "model", repo_id)
        commit = repository.resolve(revision)
        if path not in commit.files:
            raise RequestRefusedError(404, "Entry not found", "EntryNotFound")
        self._send_file(path, commit.files[path], commit)

    def readable(self, kind: str, repo_id: str) -> Repository:
        return self.server.storage.readable(kind, repo_id, self.user)

    def writable(self, kind: str, repo_id: str) -> Repository:
        repository = self.readable(kind, repo_id)
        if self.user != repository.owner:
            raise RequestRefusedError(403, "You don't have the rights to write to this repository")
        return repository

    @staticmethod
    def tree_entry(path: str, file: StoredFile) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(file.content), "oid": file.oid}
        if file.is_large:
            entry["lfs"] = {"oid": file.oid, "size": len(file.content), "pointerSize": 134}
        return entry

    @property
    def endpoint(self) -> str:
        return f"http://{self.headers['Host']}"

    def send(self, content: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(json.dumps(content).encode(), status, {"Content-Type": "application/json", **(headers or {})})

    def _send_file(self, path: str, file: StoredFile, commit: Commit) -> None:
        content, status = file.content, 200
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{file.oid}"', "Accept-Ranges": "bytes"}
        if file.is_large:
            headers |= {"X-Linked-Etag": f'"{file.oid}"', "X-Linked-Size": str(len(content))}
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
            if first >= len(content):
                self._send_bytes(b"", 416, {"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            content, status = content[first : last + 1], 206
        drop_after = self.server.faults.dropped_downloads.pop(path, None) if self.command == "GET" else None
        self._send_bytes(content, status, headers, drop_after)

    def _send_bytes(self, content: bytes, status: int, headers: dict[str, str], drop_after: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:drop_after])
        # The headers have promised all of it, so the client sees a connection that broke.
        self.close_connection = drop_after is not None

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)


def _card_data(commit: Commit) -> dict[str, Any]:
    """The metadata of a repository's card."""
    card = commit.files.get("README.md")
    found = re.match(r"---\n(.*?)\n---", card.content.decode(), re.DOTALL) if card else None
    return yaml.safe_load(found[1]) if found else {}
