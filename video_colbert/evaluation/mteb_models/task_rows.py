"""Rows of an mteb task as this package takes them: texts of queries, and videos in any of the forms of its columns.

Videos of mteb are in a column "video" of a data set of `datasets`: as the feature `Video`, which decodes by torchcodec
what it hands out, or as rows of `path` and `bytes`. Here a column is never decoded by `datasets`, so that an
evaluation decodes as every other one of this package does, and needs no torchcodec.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from video_colbert.encoding.media_files import content_digest

if TYPE_CHECKING:
    from datasets import Dataset

VIDEO_COLUMN = "video"
TEXT_COLUMN = "text"


def undecoded(rows: Dataset) -> Dataset:
    """The rows with their videos as files rather than as decoders.

    Args:
        rows: a corpus or queries; without a column of the feature `Video` they stay as they are.
    """
    from datasets import Video

    feature = rows.features.get(VIDEO_COLUMN)
    if isinstance(feature, Video) and feature.decode:
        return rows.cast_column(VIDEO_COLUMN, Video(decode=False))
    return rows


def video_sources(rows: Dataset) -> Iterator[Any]:
    """The videos of rows, one by one, as the processor takes them.

    Raises:
        ValueError: the rows have no videos, or one is in a form that is not known.
    """
    if VIDEO_COLUMN not in rows.column_names:
        raise ValueError(f"the rows have the columns {', '.join(rows.column_names)}, and no {VIDEO_COLUMN!r}")
    return (as_source(row[VIDEO_COLUMN]) for row in undecoded(rows).select_columns([VIDEO_COLUMN]))


def as_source(video: Any) -> Any:
    """A video of a column, or of a batch of mteb's, as the processor takes it.

    Args:
        video: a path or URL, bytes, a mapping of `path` and `bytes`, uint8 frames `[T, H, W, 3]` or `[T, 3, H, W]`, or
            a decoder that `datasets` made of a file, which knows the file.

    Raises:
        ValueError: it is nothing of these.
    """
    encoded = getattr(video, "_hf_encoded", None)
    if isinstance(encoded, Mapping):
        video = encoded
    if isinstance(video, Mapping):
        data, path = video.get("bytes"), video.get("path")
        if data is None and path is None:
            raise ValueError("a row's video has neither a path nor bytes")
        return path if data is None else data
    if isinstance(video, list):
        video = np.asarray(video, dtype=np.uint8)
    if isinstance(video, str | bytes | np.ndarray) or hasattr(video, "detach"):
        return video
    raise ValueError(
        f"a row's video is a {type(video).__name__}; it must be a path, bytes, a mapping of both, or uint8 frames"
    )


def source_digest(source: Any) -> str:
    """SHA-256 of a video's content, in hexadecimal.

    Args:
        source: what `as_source` returned.

    Raises:
        OSError: a file cannot be read.
    """
    if isinstance(source, str):
        return content_digest(source)
    if isinstance(source, bytes):
        return content_digest(io.BytesIO(source))
    frames = source.detach().cpu().numpy() if hasattr(source, "detach") else source
    digest = hashlib.sha256(f"{frames.shape} {frames.dtype}".encode())
    digest.update(np.ascontiguousarray(frames).tobytes())
    return digest.hexdigest()


def query_texts(rows: Dataset) -> list[str]:
    """The texts of queries, each followed by its instruction where the task has some, as mteb joins them.

    Raises:
        ValueError: the queries have no texts, or conversations in their place.
    """
    if TEXT_COLUMN not in rows.column_names:
        raise ValueError(f"the queries have the columns {', '.join(rows.column_names)}, and no {TEXT_COLUMN!r}")
    texts = list(rows[TEXT_COLUMN])
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"a query is a {type(text).__name__}; a text is needed, conversations are not taken")
    if "instruction" not in rows.column_names:
        return texts
    return [
        text if instruction is None else f"{text} {instruction}"
        for text, instruction in zip(texts, rows["instruction"], strict=True)
    ]
