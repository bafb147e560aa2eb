"""What a run is: the settings, data and model that decide its results, so that a resumed run is the same one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.training_data import Rows, TrainingData

# Arguments that decide what a step does. Sizes of batches and the number of steps are given as what comes of them.
_DECIDING_ARGUMENTS = (
    "seed",
    "config_overrides",
    "processor_overrides",
    "caption_sampling",
    "num_frames",
    "random_frames",
    "learning_rate",
    "backbone_learning_rate",
    "logit_learning_rate",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "lr_scheduler_type",
    "warmup_ratio",
    "max_grad_norm",
    "freeze",
    "mixed_precision",
)
_DIGEST = "sha256:"
_PART_BYTES = 2**16
_WHOLE_BYTES = 2**20
_READERS = 16


def run_identity(
    arguments: TrainingArguments, data: TrainingData, model: ModelReference, **sizes: int
) -> dict[str, Any]:
    """Collects what must be the same for a resumed run to continue one.

    Args:
        arguments: Of the run.
        data: Its rows. Of a video file over 1 MiB three parts are looked at: its start, middle and end.
        model: The model that training starts from.
        **sizes: Of the run: examples, batch, steps, processes.

    Returns:
        Values by name, in types that JSON has.
    """
    settings: dict[str, Any] = {name: getattr(arguments, name) for name in _DECIDING_ARGUMENTS}
    cached_frames = arguments.frame_cache_frames_per_segment if arguments.frame_cache is not None else None
    identity = {
        **settings,
        **sizes,
        "cached_frames_per_segment": cached_frames,
        "the model that training starts from": _DIGEST + model.commit,
        **_training_digests(data),
        "the captions of the validation videos": _captions_digest(data.validation),
        "the validation videos": _videos_digest(data.validation),
    }
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain


def _training_digests(data: TrainingData) -> dict[str, str]:
    if data.stream is not None:
        return {"the streamed data set": _DIGEST + hashlib.sha256(data.stream.identity.encode()).hexdigest()}
    return {
        "the captions of the training videos": _captions_digest(data.train),
        "the training videos": _videos_digest(data.train),
    }


def identity_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Says in what two runs differ.

    Args:
        before: The identity of the run that is to be continued.
        now: That of the run which would continue it.

    Returns:
        A part of a sentence for each difference, in the order of `now`.
    """
    return [
        f"{name} changed"
        if str(value).startswith(_DIGEST) and name in before
        else f"{name} was {before.get(name)!r} and is {value!r}"
        for name, value in now.items()
        if before.get(name) != value
    ]


def _captions_digest(rows: Rows) -> str:
    digest = hashlib.sha256()
    for row in rows:
        line = json.dumps([row["video_id"], list(row["captions"]), row["start"], row["end"]])
        digest.update(line.encode() + b"\n")
    return _DIGEST + digest.hexdigest()


def _videos_digest(rows: Rows) -> str:
    digest = hashlib.sha256()
    with ThreadPoolExecutor(_READERS) as executor:
        for part in executor.map(_video_digest, (row["video"] for row in rows)):
            digest.update(part)
    return _DIGEST + digest.hexdigest()


def _video_digest(video: object) -> bytes:
    """Digest of a row's video: of a file's content, or of its name where it is no file."""
    if isinstance(video, Mapping):
        video = video["bytes"] if video.get("bytes") is not None else video.get("path")
    if isinstance(video, bytes):
        return hashlib.sha256(video).digest()
    digest = hashlib.sha256()
    if video is None or not Path(str(video)).is_file():
        digest.update(str(video).encode("utf-8", "surrogateescape"))
        return digest.digest()
    with Path(str(video)).open("rb") as file:
        size = file.seek(0, 2)
        digest.update(str(size).encode())
        starts = [0] if size <= _WHOLE_BYTES else [0, size // 2, size - _PART_BYTES]
        for start in starts:
            file.seek(start)
            digest.update(file.read(_WHOLE_BYTES if len(starts) == 1 else _PART_BYTES))
    return digest.digest()


__all__ = ["identity_differences", "run_identity"]
