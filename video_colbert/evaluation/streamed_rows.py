"""Evaluation of a split that is streamed: a part of its videos is on this machine at a time."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from video_colbert.data.opened.row_stream import RowStream
from video_colbert.encoding.encoded import BadVideo, EncodedVideo
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.embedding_cache import EmbeddingCache
from video_colbert.evaluation.encoded_split import encode_rows

_ROWS_AT_A_TIME = 256


def encode_stream(
    encoder: VideoColBERTEncoder,
    stream: RowStream,
    *,
    batch_size: int = 32,
    threads: int | None = None,
    cache: EmbeddingCache | None = None,
) -> tuple[list[dict[str, Any]], list[EncodedVideo | BadVideo]]:
    """Encodes the videos of a stream, and keeps what was encoded but not the videos.

    Args:
        encoder: What encodes.
        stream: The split.
        batch_size: Videos that go through the model together.
        threads: Decoding threads.
        cache: As `encode_rows` takes it.

    Returns:
        A row for each video, with the captions of all rows about it, and what was encoded of it.

    Raises:
        DatasetError: The data set cannot be read.
        OSError: A video cannot be written to the folder for temporary files.
    """
    rows: dict[object, dict[str, Any]] = {}
    videos: list[EncodedVideo | BadVideo] = []
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "videos"
        for part in _parts(iter(stream.once(kept))):
            new: list[dict[str, Any]] = []
            for row in part:
                key = row["video_id"], row["start"], row["end"]
                if key in rows:
                    rows[key]["captions"].extend(row["captions"])
                else:
                    rows[key] = row
                    new.append(row)
            videos += encode_rows(encoder, new, batch_size=batch_size, threads=threads, progress=True, cache=cache)
            shutil.rmtree(kept, ignore_errors=True)
    return list(rows.values()), videos


def _parts(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while part := list(itertools.islice(rows, _ROWS_AT_A_TIME)):
        yield part


__all__ = ["encode_stream"]
