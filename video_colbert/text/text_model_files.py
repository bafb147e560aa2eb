"""The files of a text model by name: those of a local folder, or of one commit on the Hub."""

from __future__ import annotations

import hashlib
import json
import os
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download

from video_colbert.encoding.stored_model.kept_digests import kept_digest
from video_colbert.encoding.stored_model.model_files import CONFIG_FILE, ModelFiles
from video_colbert.errors import HubError, MissingExtraError, ModelLoadError
from video_colbert.hub_errors import hub_errors

MODULES_FILE = "modules.json"
"""Names the modules of a checkpoint of sentence-transformers or PyLate."""

# Settings, vocabularies and weights; the settings of Stanford's checkpoints are in artifact.metadata.
_SETTINGS = ("*.json", "*.txt", "*.model", "artifact.metadata")
_SAFE_WEIGHTS, _OLD_WEIGHTS = "*.safetensors", "*.bin"
# The same weights for other libraries.
_LEFT_OUT = ("onnx/*", "openvino/*")


def check_text_extra() -> None:
    """Checks that what loads text models is installed, without importing it.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("sentence_transformers") is None:
        raise MissingExtraError(
            "text models need the package sentence-transformers 6.2 or later, which is not installed: "
            "pip install 'video-colbert[text]'"
        )


def find_text_model(name_or_path: str | os.PathLike[str], revision: str | None = None) -> ModelFiles:
    """Finds a text model's files, and downloads what is not in the Hub's cache.

    Args:
        name_or_path: local folder, or Hub id.
        revision: branch, tag or commit on the Hub; the main branch by default.

    Returns:
        The files; the revision of a folder is a digest of all that decides its vectors, its projection among them.

    Raises:
        ModelLoadError: there is no such model, it holds no weights, or a revision is given for a folder.
    """
    name = os.fspath(name_or_path)
    folder = Path(name)
    if folder.is_dir():
        if revision is not None:
            raise ModelLoadError(f"model {name!r} is a folder, which has no revision {revision!r}; leave it out")
        _check_files(folder, name)
        return ModelFiles(str(folder.absolute()), _digest(folder), folder)
    patterns = [*_SETTINGS, _SAFE_WEIGHTS]
    try:
        with hub_errors(f"there is no text model {name!r} here, and none is loaded from the Hub"):
            options: dict[str, Any] = {"revision": revision, "ignore_patterns": list(_LEFT_OUT)}
            folder = Path(snapshot_download(name, allow_patterns=patterns, **options))
            if not any(folder.glob(_SAFE_WEIGHTS)):
                folder = Path(snapshot_download(name, allow_patterns=[*patterns, _OLD_WEIGHTS], **options))
    except HubError as error:
        raise ModelLoadError(str(error)) from error
    _check_files(folder, name)
    return ModelFiles(name, folder.name, folder)


def has_trained_projection(folder: Path) -> bool:
    """Whether a checkpoint holds a projection of tokens; where it does not, sentence-transformers adds a random one.

    Args:
        folder: the checkpoint.

    Raises:
        ModelLoadError: a file of it is damaged.
    """
    architectures = _read_json(folder / CONFIG_FILE, {}).get("architectures") or []
    if any(each == "HF_ColBERT" or each.endswith("ForRetrieval") for each in architectures):
        return True
    modules = _read_json(folder / MODULES_FILE, [])
    return any(str(module.get("type", "")).rpartition(".")[2] == "Dense" for module in modules)


def _read_json(path: Path, default: Any) -> Any:
    if not path.is_file():
        return default
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, type(default)):
            raise ValueError(f"it holds no {type(default).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} is damaged: {error}") from error
    return found


def _check_files(folder: Path, name: str) -> None:
    names = [path.name for path in folder.rglob("*") if path.is_file()]
    if not any(fnmatch(each, pattern) for each in names for pattern in (_SAFE_WEIGHTS, _OLD_WEIGHTS)):
        raise ModelLoadError(
            f"text model {name!r} holds no weights: model.safetensors is missing; it must be a ColBERT checkpoint of "
            "PyLate, Stanford or sentence-transformers, or any text encoder"
        )


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        is_left_out = any(fnmatch(name, pattern) for pattern in _LEFT_OUT)
        if path.is_file() and not is_left_out and _decides_vectors(path.name):
            digest.update(f"{name}\0{kept_digest(path)}\0".encode())
    return digest.hexdigest()


def _decides_vectors(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in (*_SETTINGS, _SAFE_WEIGHTS, _OLD_WEIGHTS))
