"""Models and processors by name: Video-ColBERT checkpoints, and plain CLIP or SigLIP ones zero-shot."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from transformers import PreTrainedConfig

from video_colbert.errors import ModelLoadError
from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor

logger = logging.getLogger(__name__)

DType = Literal["float32", "bfloat16", "float16"]
"""Number type of a model's weights and activations."""

# The files of a checkpoint that decide what vectors it makes of a video.
_DECIDING_FILES = ("config.json", "*.safetensors", "*processor_config.json")
_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class ModelReference:
    """Which weights made a vector.

    Attributes:
        name: Hub id, or the absolute path of a local folder.
        revision: the Hub's commit, or the digest of a local folder's weights and settings.
    """

    name: str
    revision: str

    def __str__(self) -> str:
        return f"{self.name} at revision {self.revision[:12]}"


@dataclass(frozen=True)
class PretrainedPair:
    """A model in evaluation mode with its processor.

    Attributes:
        model: the model, on its device.
        processor: the processor that makes the model's inputs.
        reference: where both came from.
        is_zero_shot: whether this is a plain CLIP or SigLIP checkpoint, which scores its pooled text vector
            against frame vectors.
    """

    model: VideoColBERTModel
    processor: VideoColBERTProcessor
    reference: ModelReference
    is_zero_shot: bool


def load_pretrained(
    name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: DType = "float32",
) -> PretrainedPair:
    """Loads a model and its processor.

    Args:
        name_or_path: Hub id or local folder, of a Video-ColBERT checkpoint or of any CLIP or SigLIP checkpoint;
            the latter is used zero-shot, which is logged as a warning.
        revision: branch, tag or commit on the Hub; the main branch by default.
        device: a torch device such as "cpu" or "cuda:1"; by default the best one there is.
        dtype: number type of weights and activations.

    Raises:
        ModelLoadError: there is no such model, its kind is not supported, a part of it is missing, or there is
            no such device or number type.
    """
    if dtype not in get_args(DType):
        raise ModelLoadError(f"dtype must be one of {', '.join(get_args(DType))}, got {dtype!r}")
    place = _device(device)
    name = os.fspath(name_or_path)
    is_local = Path(name).is_dir()
    try:
        config, _ = PreTrainedConfig.get_config_dict(name, revision=revision)
    except (OSError, ValueError) as error:
        raise ModelLoadError(
            f"there is no model {name!r}: it is neither a folder with a config.json nor a model found on the "
            f"Hub ({_first_line(error)})"
        ) from error
    if "model_type" not in config:
        raise ModelLoadError(f"there is no model in {name!r}: it holds no config.json with a model_type")
    if is_local:
        reference = ModelReference(str(Path(name).absolute()), _folder_digest(Path(name)))
    else:
        # Everything that follows is read from the very commit whose config was read.
        revision = config.get("_commit_hash") or revision
        reference = ModelReference(name, revision or "main")
    is_zero_shot = config.get("model_type") != VideoColBERTConfig.model_type
    revision = revision or "main"
    torch_dtype = getattr(torch, dtype)
    try:
        if is_zero_shot:
            model = VideoColBERTModel.from_backbone(name, zero_shot=True, revision=revision, dtype=torch_dtype)
            processor = VideoColBERTProcessor.from_backbone(name, zero_shot=True, revision=revision)
        else:
            model = VideoColBERTModel.from_pretrained(name, revision=revision, dtype=torch_dtype)
            processor = VideoColBERTProcessor.from_pretrained(name, revision=revision)
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"model {name!r} cannot be loaded: {_first_line(error)}") from error
    if is_zero_shot:
        logger.warning(
            "%s is a %s checkpoint, not a Video-ColBERT one: searching zero-shot, with its pooled text vector "
            "against its frame vectors.",
            name,
            config.get("model_type"),
        )
    return PretrainedPair(model.to(place).eval(), processor, reference, is_zero_shot)


def _device(name: str | None) -> torch.device:
    """The device of that name, or the best one there is, once a tensor was put on it."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelLoadError(f"device {name!r} cannot be used: {_first_line(error)}") from error
    return device


def _folder_digest(folder: Path) -> str:
    """Digest of what a local checkpoint's video vectors depend on, so that a retrained folder is another model."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _DECIDING_FILES for path in folder.glob(pattern)}):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
