"""The weight files of a checkpoint: which of them are loaded, and whether they are whole."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from video_colbert.errors import ModelLoadError

# In the order in which transformers looks for them.
_KINDS = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
_GIT_LFS = b"version https://git-lfs.github.com/spec"
_HEADER_LENGTH_BYTES = 8
# No header of a real checkpoint comes near it, while a damaged length may ask for any amount of memory.
_LONGEST_HEADER = 10**8


def weight_file_names(names: Collection[str]) -> list[str]:
    """Names of the files that hold the weights that are loaded.

    Args:
        names: of all files of the checkpoint.

    Returns:
        One file, or an index with its shards, and an adapter's files; none if the checkpoint holds no weights.
    """
    adapter = [name for name in _ADAPTER_FILES if name in names]
    for whole, index in _KINDS:
        if whole in names:
            return [whole, *adapter]
        if index in names:
            stem, suffix = whole.rsplit(".", 1)
            shards = [name for name in names if name.startswith(f"{stem}-") and name.endswith(f".{suffix}")]
            return [index, *sorted(shards), *adapter]
    return adapter


def check_weight_files(folder: Path) -> None:
    """Looks whether the weights of a checkpoint are there and whole, without reading them.

    Args:
        folder: the checkpoint.

    Raises:
        ModelLoadError: there are no weights, a shard is missing, or a file is cut short or a Git LFS pointer; the
            message names it.
    """
    names = weight_file_names([path.name for path in folder.iterdir()])
    if not names:
        raise ModelLoadError(f"{folder} holds no weights: model.safetensors is missing")
    if names[0].endswith(".index.json"):
        for shard in _shards(folder / names[0]):
            if not (folder / shard).is_file():
                raise ModelLoadError(f"{folder} lacks {shard}, which {names[0]} names")
    for name in names:
        path = folder / name
        with path.open("rb") as file:
            if file.read(len(_GIT_LFS)) == _GIT_LFS:
                raise ModelLoadError(
                    f"{path} is a Git LFS pointer in place of the weights; fetch them with `git lfs pull`"
                )
        if path.suffix == ".safetensors":
            _check_length(path)


def _shards(index: Path) -> list[str]:
    try:
        return sorted({str(shard) for shard in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelLoadError(f"{index} is damaged: it names no shards by weight") from error


def _check_length(path: Path) -> None:
    """Compares the length of a safetensors file with what its header says (https://github.com/huggingface/safetensors).

    Raises:
        ModelLoadError: they differ, or there is no such header.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(_HEADER_LENGTH_BYTES), "little")
        if _HEADER_LENGTH_BYTES + header_length > size or header_length > _LONGEST_HEADER:
            raise ModelLoadError(f"{path} is cut short or no safetensors file: it has no whole header")
        try:
            header = json.loads(file.read(header_length))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
            expected = _HEADER_LENGTH_BYTES + header_length + max(ends, default=0)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
            raise ModelLoadError(f"{path} is damaged: its header is none of a safetensors file") from error
    if size != expected:
        raise ModelLoadError(f"{path} is cut short or damaged: it has {size} bytes, and {expected} by its header")
