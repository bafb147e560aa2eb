"""Encoded videos and queries as safetensors files, each with a digest of its content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, QueryBags, VideoClip
from video_colbert.errors import EncodingError
from video_colbert.processing import QueryWord


class DamagedFileError(Exception):
    """A file of embeddings is not what was written."""


def write_video(path: Path, video: EncodedVideo) -> None:
    """Writes the tokens of a clip, but not which clip it is.

    Raises:
        EncodingError: the file cannot be written, such as on a full disk.
    """
    tensors = {"timestamps": torch.as_tensor(video.timestamps)}
    tensors |= {f"embeds/{level}": bag for level, bag in video.embeds.items()}
    tensors |= {f"token_weights/{level}": weights for level, weights in video.token_weights.items()}
    fields = {"duration": video.duration, "levels": list(video.embeds), "stored_range": video.stored_range}
    _write(path, tensors, fields)


def read_video(path: Path, clip: VideoClip) -> EncodedVideo:
    """Reads the tokens of a clip.

    Raises:
        DamagedFileError: the file is not what was written.
    """
    tensors, fields = _read(path)
    return EncodedVideo(
        clip=clip,
        duration=fields["duration"],
        timestamps=tensors["timestamps"].numpy(),
        embeds={level: tensors[f"embeds/{level}"] for level in fields["levels"]},
        token_weights={
            level: tensors[f"token_weights/{level}"]
            for level in fields["levels"]
            if f"token_weights/{level}" in tensors
        },
        stored_range=fields["stored_range"],
    )


def write_queries(path: Path, queries: EncodedQueries) -> None:
    """Writes queries.

    Raises:
        EncodingError: the file cannot be written, such as on a full disk.
    """
    tensors: dict[str, Tensor] = {}
    for encoder, bags in queries.bags.items():
        tensors |= {f"{encoder}/embeds": bags.embeds, f"{encoder}/mask": bags.mask}
        if bags.token_weights is not None:
            tensors[f"{encoder}/token_weights"] = bags.token_weights
    fields = {
        field.name: getattr(queries, field.name) for field in dataclasses.fields(queries) if field.name != "bags"
    }
    words = {
        encoder: [[dataclasses.asdict(word) for word in of_query] for of_query in bags.words]
        for encoder, bags in queries.bags.items()
    }
    _write(path, tensors, fields | {"words": words})


def read_queries(path: Path) -> EncodedQueries:
    """Reads queries, on the CPU.

    Raises:
        DamagedFileError: the file is not what was written.
    """
    tensors, fields = _read(path)
    bags = {
        encoder: QueryBags(
            tensors[f"{encoder}/embeds"],
            tensors[f"{encoder}/mask"],
            [[QueryWord(**word) for word in of_query] for of_query in words],
            tensors.get(f"{encoder}/token_weights"),
        )
        for encoder, words in fields.pop("words").items()
    }
    return EncodedQueries(bags=bags, **fields)


def _write(path: Path, tensors: Mapping[str, Tensor], fields: Mapping[str, Any]) -> None:
    stored = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(fields)
    content = save(stored, metadata={"fields": text, "digest": _digest(stored, text)})
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise EncodingError(f"{path} cannot be written: {error.strerror}") from error


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            text, digest = metadata["fields"], metadata["digest"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 # no mapping
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise DamagedFileError(str(error) or type(error).__name__) from error
    if _digest(tensors, text) != digest:
        raise DamagedFileError("its content does not have the digest that was written with it")
    return tensors, json.loads(text)


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """BLAKE2 of names, types, shapes and bytes of tensors, and of a text."""
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
