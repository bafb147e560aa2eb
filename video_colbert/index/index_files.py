"""The two files of an index: the list of its videos (JSON lines) and their tokens (safetensors)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from video_colbert.errors import IndexStoreError
from video_colbert.index.atomic_files import replace_file
from video_colbert.pretrained import ModelReference

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class IndexedVideo:
    """What an index knows of one video, or of one window of a video.

    Attributes:
        path: absolute path of the file.
        digest: SHA-256 of the file's bytes, in hexadecimal.
        duration: of the whole video, in seconds.
        timestamps: when each encoded frame appears, in seconds.
        start: start of the window in seconds, or None.
        end: end of the window in seconds, or None.
    """

    path: str
    digest: str
    duration: float
    timestamps: tuple[float, ...]
    start: float | None = None
    end: float | None = None

    @property
    def id(self) -> str:
        """The content's digest, with the window if there is one: equal content has equal ids."""
        if self.start is None and self.end is None:
            return self.digest
        return f"{self.digest}@{self.start or 0.0:.3f}-{'' if self.end is None else format(self.end, '.3f')}"


@dataclass(frozen=True)
class TokensHeader:
    """What a file of tokens says of itself.

    Attributes:
        model: which weights made the tokens.
        num_frames: frames sampled from each video; None for as many as there are.
        ids: id of the video of each token bag, in the order of the bags.
    """

    model: ModelReference
    num_frames: int | None
    ids: list[str]


def write_videos(path: Path, videos: Sequence[IndexedVideo], model: ModelReference) -> None:
    """Writes the list of videos atomically; each row names the model, so that the list says what it is of.

    Raises:
        IndexStoreError: the file cannot be written; the old one is kept.
    """
    rows = [
        {"id": video.id, **dataclasses.asdict(video), "model": model.name, "revision": model.revision}
        for video in videos
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    replace_file(path, write)


def read_videos(path: Path) -> tuple[IndexedVideo, ...]:
    """Reads the list of videos.

    Raises:
        IndexStoreError: the file cannot be read or a line does not describe a video.
    """
    names = [field.name for field in dataclasses.fields(IndexedVideo)]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise IndexStoreError(f"{path} cannot be read ({error})") from error
    videos = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            values = {name: row[name] for name in names}
            videos.append(IndexedVideo(**values | {"timestamps": tuple(row["timestamps"])}))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise IndexStoreError(f"{path} is damaged: line {number} does not describe a video") from error
    return tuple(videos)


def write_tokens(path: Path, header: TokensHeader, tensors: dict[str, Tensor]) -> None:
    """Writes tokens atomically.

    Args:
        path: the file.
        header: what to say of them.
        tensors: tokens and offsets by name.

    Raises:
        IndexStoreError: the file cannot be written; the old one is kept.
    """
    metadata = {
        "schema_version": str(SCHEMA_VERSION),
        "model": header.model.name,
        "revision": header.model.revision,
        "num_frames": json.dumps(header.num_frames),
        "ids": json.dumps(header.ids),
    }

    def write(temporary: Path) -> None:
        save_file(tensors, temporary, metadata)

    replace_file(path, write)


def read_tokens(path: Path) -> tuple[TokensHeader, dict[str, Tensor]]:
    """Reads tokens and what is said of them.

    Raises:
        IndexStoreError: the file is missing or damaged, or of another schema version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (OSError, SafetensorError) as error:
        raise IndexStoreError(f"{path} is missing or damaged ({error})") from error
    version = metadata.get("schema_version")
    if version != str(SCHEMA_VERSION):
        raise IndexStoreError(
            f"{path} has schema version {version}, this release reads {SCHEMA_VERSION}; index the videos again"
        )
    model = ModelReference(metadata["model"], metadata["revision"])
    return TokensHeader(model, json.loads(metadata["num_frames"]), json.loads(metadata["ids"])), tensors


def file_stamp(path: Path) -> tuple[int, int] | None:
    """What tells one version of a file from the next; None where there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino
