"""What the stand-in keeps: repositories of commits, large files, users."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

_LARGE_FILE_NAMES = re.compile(r"\.(safetensors|bin|pt|npz|zip|tar|mp4|parquet|arrow|model)$")
_LARGE_FILE_BYTES = 10_000_000


class RequestRefusedError(Exception):
    """A request that the Hub answers with an error.

    Args:
        status: the HTTP status.
        message: for people.
        code: the Hub's own code of the error, which the client turns into an exception class.
        **details: what the answer holds beside the message.
    """

    def __init__(self, status: int, message: str, code: str = "", **details: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.details = details


def folders_of(paths: Iterable[str], depth: int) -> list[str]:
    """The folders that files lie in, of those below a number of others."""
    folders = {parent.as_posix() for path in paths for parent in PurePosixPath(path).parents if parent.name}
    return sorted(folder for folder in folders if folder.count("/") >= depth)


@dataclass(frozen=True)
class StoredFile:
    """A file of a commit, in git or in the store of large files (LFS)."""

    content: bytes
    is_large: bool = False

    @property
    def oid(self) -> str:
        """What the Hub names the content by: SHA-256 of a large file, git's own SHA-1 of another."""
        if self.is_large:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()  # noqa: S324 - as git does

    @staticmethod
    def would_be_large(path: str, size: int) -> bool:
        return bool(_LARGE_FILE_NAMES.search(path)) or size > _LARGE_FILE_BYTES


@dataclass(frozen=True)
class Commit:
    oid: str
    title: str
    files: Mapping[str, StoredFile]
    parent: str | None


@dataclass
class Repository:
    """A repository; pull requests are branches named `refs/pr/N`."""

    kind: str
    id: str
    is_private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add_commit("main", {}, "initial commit")

    @property
    def owner(self) -> str:
        return self.id.split("/")[0]

    @property
    def pull_requests(self) -> list[str]:
        return [branch for branch in self.branches if branch.startswith("refs/pr/")]

    def resolve(self, revision: str) -> Commit:
        """The commit that a branch, a tag or a hash of at least 7 digits stands for."""
        oid = self.branches.get(revision) or self.tags.get(revision)
        if oid is None and len(revision) >= 7:
            oid = next((known for known in self.commits if known.startswith(revision)), None)
        if oid is None:
            raise RequestRefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[oid]

    def add_commit(self, branch: str, files: Mapping[str, StoredFile], title: str) -> Commit:
        parent = self.branches.get(branch)
        content = repr((self.id, branch, title, parent, [(path, file.oid) for path, file in sorted(files.items())]))
        oid = hashlib.sha1(content.encode()).hexdigest()  # noqa: S324 - as git does
        self.commits[oid] = Commit(oid, title, dict(files), parent)
        self.branches[branch] = oid
        return self.commits[oid]

    def history(self, revision: str) -> list[Commit]:
        """Commits from a revision back to the first."""
        commits = [self.resolve(revision)]
        while (parent := commits[-1].parent) is not None:
            commits.append(self.commits[parent])
        return commits


@dataclass
class Storage:
    """All that the Hub knows."""

    users_by_token: dict[str, str]
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    large_files: dict[str, bytes] = field(default_factory=dict)

    def user(self, token: str | None) -> str | None:
        """Who a token belongs to; None without a token."""
        if token is None:
            return None
        if token not in self.users_by_token:
            raise RequestRefusedError(401, "Invalid credentials in Authorization header")
        return self.users_by_token[token]

    def create(self, kind: str, repo_id: str, is_private: bool, user: str | None) -> Repository:
        if user is None:
            raise RequestRefusedError(401, "Invalid username or password.")
        if repo_id.split("/")[0] != user:
            raise RequestRefusedError(403, f"You don't have the rights to create a {kind} under this namespace")
        repository = self.repositories[kind, repo_id] = Repository(kind, repo_id, is_private)
        return repository

    def readable(self, kind: str, repo_id: str, user: str | None) -> Repository:
        """A repository, if there is one that the user may read; the Hub does not tell the two cases apart."""
        repository = self.repositories.get((kind, repo_id))
        if repository is None or (repository.is_private and repository.owner != user):
            raise RequestRefusedError(401 if user is None else 404, "Repository not found", "RepoNotFound")
        return repository
