"""What programs send as a question, in JSON, as a question of the service; whatever is of another form is refused."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from video_colbert.app.service_query import ServiceQuery, StoredMoment
from video_colbert.errors import QueryError


def read_query(
    *,
    text: Any,
    index: Any,
    where: Any,
    sources: Any,
    top_k: Any,
    image: Any,
    clip: Any,
    clip_file: Any,
    text_weight: Any,
) -> ServiceQuery:
    """A question as it was sent, checked for its form.

    Args:
        text: what to look for, in words.
        index: name of the index; empty for the first.
        where: a condition; empty for none.
        sources: names of sources; None or none for all.
        top_k: hits, at most.
        image: a file of a picture in base64; empty for none.
        clip: a moment of the index, as `{"video": id, "start": seconds, "end": seconds}`; None for none.
        clip_file: a file of a video in base64; empty for none.
        text_weight: the share of words, from 0 to 1.

    Raises:
        QueryError: something is of another form.
    """
    if sources is not None and (not isinstance(sources, list) or not all(isinstance(each, str) for each in sources)):
        raise QueryError('sources must be a list of names, such as ["video", "speech"]')
    return ServiceQuery(
        text=_text("text", text),
        image=_bytes("image", image),
        moment=None if clip is None else _moment(clip),
        clip=_bytes("clip_file", clip_file),
        text_weight=_number("text_weight", text_weight),
        index=_text("index", index),
        where=_text("where", where),
        sources=tuple(sources or ()),
        top_k=top_k,
    )


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise QueryError(f"{name} must be a text, got {type(value).__name__}")
    return value


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise QueryError(f"{name} must be a number, got {type(value).__name__}")
    return float(value)


def _bytes(name: str, value: Any) -> bytes | None:
    """The bytes of a file; a browser's `data:` address of it will do too."""
    text = _text(name, value or "")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError) as error:
        raise QueryError(f"{name} must be a file in base64") from error


def _moment(value: Any) -> StoredMoment:
    if not isinstance(value, dict) or not value.keys() <= {"video", "start", "end"}:
        raise QueryError('clip must be {"video": id, "start": seconds, "end": seconds}')
    start, end = (None if value.get(name) is None else _number(name, value[name]) for name in ("start", "end"))
    return StoredMoment(_text("video", value.get("video")), start, end)
