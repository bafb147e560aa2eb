"""Embeddings on disk, so that a second evaluation of a model only scores.

What a video's tokens depend on is their key: the file's bytes, the window, the sampling and image settings, the
model's revision and number type, and this library's version. A file a video; the folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from video_colbert import __version__
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.media_files import content_digest
from video_colbert.evaluation.encoded_files import (
    DamagedFileError,
    read_queries,
    read_video,
    write_queries,
    write_video,
)
from video_colbert.processing import VideoSource

logger = logging.getLogger(__name__)


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
            "number_format": encoder.number_format,
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
        if clip.passages:
            key["passages"] = dict(sorted(clip.passages.items()))
        # The content stands first, so that what there is of a video can be found.
        return self._videos / f"{content}-{_digest_of(key)[:32]}.safetensors"

    def read_video(self, path: Path | None, clip: VideoClip) -> EncodedVideo | None:
        """The tokens of a clip; None if they are not there, or damaged, which is logged."""
        if path is None or not path.is_file():
            return None
        try:
            video = read_video(path, clip)
        except DamagedFileError as error:
            logger.warning("%s is damaged (%s) and is made anew", path, error)
            return None
        self.hits += 1
        return video

    def write_video(self, path: Path, video: EncodedVideo) -> None:
        """Writes the tokens of a clip.

        Raises:
            EncodingError: the file cannot be written, such as on a full disk.
        """
        write_video(path, video)

    def encode_queries(self, texts: Sequence[str], *, batch_size: int) -> EncodedQueries:
        """Encodes queries, or reads what the same list of queries gave before; arguments as the encoder's.

        Raises:
            ValueError: as `VideoColBERTEncoder.encode_queries`.
            EncodingError: likewise, or the file cannot be written.
        """
        # The token ids hold what the tokenizer's files decide.
        inputs = self._encoder.processor.process_queries(list(texts)) if texts else {}
        ids = hashlib.sha256(b"".join(np.ascontiguousarray(values).tobytes() for values in inputs.values()))
        path = self._queries / f"{_digest_of({'texts': list(texts), 'ids': ids.hexdigest()})}.safetensors"
        if path.is_file():
            try:
                return read_queries(path).to(self._encoder.model.device)
            except DamagedFileError as error:
                logger.warning("%s is damaged (%s) and is made anew", path, error)
        queries = self._encoder.encode_queries(texts, batch_size=batch_size, phrases=False)
        write_queries(path, queries)
        return queries


def forget_embeddings(directory: str | os.PathLike[str], contents: Iterable[str]) -> int:
    """Deletes the tokens of videos, of whichever model and settings.

    Args:
        directory: folder of the cache.
        contents: SHA-256 of the videos' files, in hexadecimal.

    Returns:
        How many entries were deleted.

    Raises:
        OSError: there is no such folder, or a file cannot be deleted.
    """
    wanted = frozenset(contents)
    if not Path(directory).is_dir():
        raise FileNotFoundError(f"there is no folder {os.fspath(directory)} of cached embeddings")
    found = [file for file in Path(directory).glob("*/videos/*-*") if file.name.partition("-")[0] in wanted]
    for file in found:
        file.unlink()
    return len(found)


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
    try:
        return content_digest(os.fspath(source))
    except OSError:
        # The decoder says what is wrong with it.
        return None
