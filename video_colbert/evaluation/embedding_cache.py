"""Embeddings on disk, so that a second evaluation of a model only scores.

What a video's tokens depend on is their key: the file's bytes, the window, the sampling and image settings, the
model's revision and number type, and this library's version. A file a video; the folder may be deleted at any time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from video_colbert import __version__
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.processing import QueryWord, VideoSource

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 2**20
_Encoded = TypeVar("_Encoded", EncodedVideo, EncodedQueries)


class EmbeddingCache:
    """The embeddings of one model in a folder.

    Args:
        directory: folder of the cache; made if need be. Several models may share it.
        encoder: whose embeddings these are.

    Attributes:
        hits: videos that were read from the cache so far.
    """

    def __init__(self, directory: str | os.PathLike[str], encoder: VideoColBERTEncoder) -> None:
        self._encoder = encoder
        reference = encoder.reference
        self._settings = {
            "version": __version__,
            # A local folder is told by the digest of its content, wherever it lies.
            "model": None if Path(reference.name).is_absolute() else reference.name,
            "revision": reference.revision,
            "dtype": str(encoder.model.dtype),
        }
        model_key = _digest_of(self._settings)[:16]
        self._videos = Path(directory) / model_key / "videos"
        self._queries = Path(directory) / model_key / "queries"
        for folder in (self._videos, self._queries):
            folder.mkdir(parents=True, exist_ok=True)
        self.hits = 0

    def video_path(self, clip: VideoClip) -> Path | None:
        """Where the tokens of a clip are or would be; None for what is no file and no bytes, or cannot be read."""
        content = _content_digest(clip.source)
        if content is None:
            return None
        settings = self._encoder.processor.video_processor.to_dict()
        key = {"content": content, "start": clip.start, "end": clip.end, "video_processor": settings}
        return self._videos / f"{_digest_of(key)}.safetensors"

    def read_video(self, path: Path | None, clip: VideoClip) -> EncodedVideo | None:
        """The tokens of a clip; None if they are not there, or damaged, which is logged."""
        fields = None if path is None else _read(path)
        if fields is None:
            return None
        self.hits += 1
        return EncodedVideo(clip=clip, **{**fields, "timestamps": fields["timestamps"].numpy()})

    def write_video(self, path: Path, video: EncodedVideo) -> None:
        """Writes the tokens of a clip.

        Raises:
            OSError: the file cannot be written.
        """
        _write(path, video, leave_out=("clip",))

    def encode_queries(self, texts: Sequence[str], *, batch_size: int) -> EncodedQueries:
        """Encodes queries, or reads what the same list of queries gave before; arguments as the encoder's.

        Raises:
            ValueError: as `VideoColBERTEncoder.encode_queries`.
            OSError: the file cannot be written.
        """
        # The token ids hold what the tokenizer's files decide.
        inputs = self._encoder.processor.process_queries(list(texts)) if texts else {}
        ids = hashlib.sha256(b"".join(np.ascontiguousarray(values).tobytes() for values in inputs.values()))
        path = self._queries / f"{_digest_of({'texts': list(texts), 'ids': ids.hexdigest()})}.safetensors"
        fields = _read(path)
        if fields is not None:
            device = self._encoder.model.device
            words = [[QueryWord(**word) for word in of_query] for of_query in fields["words"]]
            tensors = {name: value.to(device) for name, value in fields.items() if isinstance(value, torch.Tensor)}
            return EncodedQueries(
                **{**fields, **tensors, "words": words, "score_levels": tuple(fields["score_levels"])}
            )
        queries = self._encoder.encode_queries(texts, batch_size=batch_size)
        _write(path, queries, leave_out=())
        return queries


def _write(path: Path, encoded: _Encoded, *, leave_out: Sequence[str]) -> None:
    tensors: dict[str, torch.Tensor] = {}
    others: dict[str, Any] = {}
    for field in dataclasses.fields(encoded):
        value = getattr(encoded, field.name)
        if field.name in leave_out:
            continue
        if isinstance(value, torch.Tensor | np.ndarray):
            tensors[field.name] = torch.as_tensor(value).cpu().contiguous()
        else:
            others[field.name] = value
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    save_file(tensors, temporary, metadata={"fields": json.dumps(others, default=dataclasses.asdict)})
    temporary.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            fields: dict[str, Any] = json.loads(file.metadata()["fields"])
            return fields | {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 # no mapping
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s is damaged (%s) and is made anew", path, error)
        return None


def _digest_of(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _content_digest(source: VideoSource) -> str | None:
    if isinstance(source, Mapping):
        content = source.get("bytes") if source.get("bytes") is not None else source.get("path")
        return None if content is None else _content_digest(content)
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if not isinstance(source, str | os.PathLike) or not Path(source).is_file():
        return None
    digest = hashlib.sha256()
    try:
        with Path(source).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError:
        # The decoder says what is wrong with it.
        return None
    return digest.hexdigest()
