"""Choices of a number format in the user's cache folder, by model and processor; safe to delete."""

from __future__ import annotations

import hashlib
import json
import logging
from importlib import metadata
from pathlib import Path
from typing import get_args

import torch

from video_colbert.cache_folder import cache_folder
from video_colbert.encoding.passes.choose_format import LEAST_COSINE, FormatChoice, choose_format
from video_colbert.encoding.passes.number_formats import Backend, NumberFormat, formats_of, with_image_tower_in
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processor_identity import processor_identity
from video_colbert.whole_files import write_whole

logger = logging.getLogger(__name__)

_VERSION = 1


def in_fastest_format(model: VideoColBERTModel, revision: str) -> tuple[FormatChoice, VideoColBERTModel]:
    """Puts a model into the fastest format there is for it here: as it was chosen before, else chosen now and kept.

    Args:
        model: float32, in evaluation mode, on its device.
        revision: the Hub's commit, or the digest of a local folder's content.

    Returns:
        The choice, and the model in that format.
    """
    kept = read_choice(revision, "torch")
    if kept is not None and kept.number_format in formats_of(model.device):
        return kept, with_image_tower_in(model, kept.number_format)
    choice, fastest = choose_format(model)
    if choice.is_new:
        keep_choice(choice, revision)
    return choice, fastest


def keep_choice(choice: FormatChoice, revision: str) -> None:
    """Keeps a choice for the next process; a cache folder that cannot be written is logged.

    Args:
        choice: as it was made.
        revision: the Hub's commit, or the digest of a local folder's content.
    """
    path = choice_file(revision, choice.backend)
    content = {"number_format": choice.number_format, "speeds": choice.speeds, "cosines": choice.cosines}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        logger.warning("the choice of a number format is not kept and will be made again: %s", error)


def read_choice(revision: str, backend: Backend) -> FormatChoice | None:
    """A kept choice; None where there is none, or what is there is none that could have been made.

    Args:
        revision: the Hub's commit, or the digest of a local folder's content.
        backend: what computes.
    """
    try:
        content = json.loads(choice_file(revision, backend).read_text(encoding="utf-8"))
        name = content["number_format"]
        speeds = {str(key): float(value) for key, value in content["speeds"].items()}
        cosines = {str(key): float(value) for key, value in content["cosines"].items()}
        if name not in get_args(NumberFormat) or (name != "float32" and not cosines[name] >= LEAST_COSINE):
            return None
        return FormatChoice(name, speeds, cosines, backend=backend)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def choice_file(revision: str, backend: Backend) -> Path:
    """Where the choice for a model on this machine is kept, or would be.

    Args:
        revision: the Hub's commit, or the digest of a local folder's content.
        backend: what computes.
    """
    release = metadata.version(backend)
    key = json.dumps([_VERSION, revision, processor_identity(), torch.get_num_threads(), backend, release])
    return cache_folder() / "number_formats" / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.json"
