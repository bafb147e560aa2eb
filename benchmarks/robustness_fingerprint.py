"""What something was made with, by content: digests that say whether what is kept is what would be made."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from video_colbert.dataset_builders import MovingShapesConfig

_DIGITS = 16
_BYTES_AT_ONCE = 2**22


def fingerprint(settings: Mapping[str, Any]) -> str:
    """A digest of settings, in hexadecimal; equal settings have equal ones, in whatever order they are named.

    Raises:
        TypeError: a setting is none that JSON can say.
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def weights_digest(checkpoint: Path) -> str:
    """A digest of a checkpoint's weights, in hexadecimal.

    Raises:
        FileNotFoundError: it has none.
    """
    digest = hashlib.sha256()
    files = sorted(checkpoint.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{checkpoint} holds no file of weights, *.safetensors")
    for file in files:
        with file.open("rb") as content:
            while part := content.read(_BYTES_AT_ONCE):
                digest.update(part)
    return digest.hexdigest()[:_DIGITS]


def clips_settings(config: MovingShapesConfig) -> dict[str, Any]:
    """How clips are made: the fields that are this configuration's own, not those of `datasets`."""
    return {name: getattr(config, name) for name in MovingShapesConfig.__annotations__}


def recipe_settings(files: Iterable[Path]) -> list[Any]:
    """What recipes say, without their comments."""
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
