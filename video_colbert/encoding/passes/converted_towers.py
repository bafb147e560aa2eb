"""Image towers converted for OpenVINO, in the user's cache folder; safe to delete, since they are made again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn

from video_colbert.cache_folder import cache_folder
from video_colbert.encoding.media_files import content_digest
from video_colbert.errors import ModelLoadError

logger = logging.getLogger(__name__)

_VERSION = 1
_MADE_BY = ("openvino", "torch", "transformers")
_MODEL, _WEIGHTS, _DIGESTS = "tower.xml", "tower.bin", "digests.json"


class _PooledVectors(nn.Module):
    """What is converted: pixels to pooled vectors."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixel_values: Tensor) -> Tensor:
        pooled: Tensor = self.tower(pixel_values=pixel_values, return_dict=True).pooler_output
        return pooled


def converted_tower(tower: nn.Module, side: int, revision: str) -> Path:
    """The file of a converted tower: the one in the cache if it is whole, else made now.

    Args:
        tower: float32, in evaluation mode, on the CPU.
        side: height and width of its pixels.
        revision: the Hub's commit, or the digest of a local folder's content.

    Raises:
        ModelLoadError: it cannot be converted or written.
    """
    folder = converted_folder(revision)
    if _is_whole(folder):
        return folder / _MODEL
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".unfinished", dir=folder.parent))
        try:
            _convert(tower, side, unfinished)
            _put(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise ModelLoadError(f"the model cannot be converted for OpenVINO into {folder}: {error}") from error
    return folder / _MODEL


def converted_folder(revision: str) -> Path:
    """Where a model's converted tower is, or will be; another release of what converts it has another.

    Args:
        revision: the Hub's commit, or the digest of a local folder's content.
    """
    key = json.dumps([_VERSION, revision, *(metadata.version(name) for name in _MADE_BY)])
    return cache_folder() / "openvino" / hashlib.sha256(key.encode()).hexdigest()[:20]


def _convert(tower: nn.Module, side: int, folder: Path) -> None:
    """Writes a converted tower and the digests of its files.

    OpenVINO's frontend is called directly, since its own converter reports to its makers.
    """
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    pixels = torch.zeros(2, 3, side, side)
    with torch.no_grad(), warnings.catch_warnings():
        # A trace says of each condition that it is taken as it is for this input; they are about sizes, which stay.
        warnings.simplefilter("ignore")
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(_PooledVectors(tower), example_input=(pixels,))
        try:
            converted = frontend.convert(frontend.load(decoder))
        except RuntimeError as error:
            raise ModelLoadError(f"OpenVINO cannot convert the model: {str(error).splitlines()[0]}") from error
    converted.reshape(openvino.PartialShape([-1, 3, side, side]))
    openvino.save_model(converted, folder / _MODEL, compress_to_fp16=False)
    digests = {name: content_digest(str(folder / name)) for name in (_MODEL, _WEIGHTS)}
    (folder / _DIGESTS).write_text(json.dumps(digests), encoding="utf-8")
    for name in (_MODEL, _WEIGHTS, _DIGESTS):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())


def _put(unfinished: Path, folder: Path) -> None:
    """Gives a whole folder its name, unless another process has by now."""
    if folder.exists() and not _is_whole(folder):
        shutil.rmtree(folder)
    try:
        unfinished.rename(folder)
    except OSError:
        if not _is_whole(folder):
            raise


def _is_whole(folder: Path) -> bool:
    """Whether all of a converted tower is there as it was written."""
    try:
        digests = json.loads((folder / _DIGESTS).read_text(encoding="utf-8"))
        whole = all(digests[name] == content_digest(str(folder / name)) for name in (_MODEL, _WEIGHTS))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        logger.warning("the converted model in %s is damaged and is made again", folder)
    return whole
