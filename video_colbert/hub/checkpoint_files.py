"""Which files of a folder are the checkpoint: an allow-list, so that nothing else ever leaves the machine.

Optimizer and random states, pickles of any kind (`.bin`, `.pt`, `.pkl`) and whatever lies beside them are not on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transformers.dynamic_module_utils import get_relative_import_files

from video_colbert.errors import CheckpointError
from video_colbert.evaluation.mteb_models.task_results import MTEB_RESULTS_FILE
from video_colbert.hub.evaluation_files import EVALUATION_FILE
from video_colbert.hub.json_files import read_json_object
from video_colbert.modeling_video_colbert import VideoColBERTConfig

CONFIG_FILE = "config.json"
PROCESSOR_FILE = "processor_config.json"
TRAINING_FILE = "training_arguments.json"
TRAINING_RUN_FILE = "training_run.json"
WEIGHTS_FILE = "model.safetensors"
WEIGHTS_INDEX_FILE = "model.safetensors.index.json"
# By which sentence-transformers opens a checkpoint.
MULTI_VECTOR_FILES = ("modules.json", "config_sentence_transformers.json")

_REQUIRED = (CONFIG_FILE, PROCESSOR_FILE)
_OPTIONAL = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    TRAINING_FILE,
    TRAINING_RUN_FILE,
    EVALUATION_FILE,
    MTEB_RESULTS_FILE,
    *MULTI_VECTOR_FILES,
)
_AUTO_CLASSES = {CONFIG_FILE: ("AutoConfig", "AutoModel"), PROCESSOR_FILE: ("AutoProcessor",)}


@dataclass(frozen=True)
class CheckpointFiles:
    """The files of a checkpoint folder.

    Attributes:
        kept: names of those that belong to the checkpoint.
        left_out: names of the files and folders beside them.
    """

    kept: list[str]
    left_out: list[str]


def find_checkpoint_files(folder: Path) -> CheckpointFiles:
    """Finds what of a folder is the checkpoint: weights, settings, tokenizer, code, reports.

    Args:
        folder: where model and processor were saved.

    Raises:
        CheckpointError: the folder holds no complete Video-ColBERT checkpoint; the message names what is missing.
    """
    if not folder.is_dir():
        raise CheckpointError(f"there is no checkpoint folder {folder}")
    model_type = read_json_object(folder / CONFIG_FILE).get("model_type")
    if model_type != VideoColBERTConfig.model_type:
        raise CheckpointError(f"{folder} holds a {model_type!r} model, not a {VideoColBERTConfig.model_type!r} one")
    kept = {*_REQUIRED, *_weight_files(folder), *_code_files(folder)}
    kept |= {name for name in _OPTIONAL if (folder / name).is_file()}
    for name in sorted(kept):
        _check_is_inside(folder, name)
    return CheckpointFiles(sorted(kept), sorted({path.name for path in folder.iterdir()} - kept))


def _check_is_inside(folder: Path, name: str) -> None:
    """Refuses a file that is a link to somewhere else, but for those of the Hub's own cache.

    Raises:
        CheckpointError: it is such a link.
    """
    target = (folder / name).resolve()
    snapshot = folder.resolve()
    blobs = snapshot.parent.parent / "blobs"
    is_cached = snapshot.parent.name == "snapshots" and target.is_relative_to(blobs)
    if not target.is_relative_to(snapshot) and not is_cached:
        raise CheckpointError(
            f"{folder / name} is a link to {target}, outside of the checkpoint; put a copy in its place"
        )


def _weight_files(folder: Path) -> list[str]:
    if (folder / WEIGHTS_FILE).is_file():
        return [WEIGHTS_FILE]
    index = folder / WEIGHTS_INDEX_FILE
    if not index.is_file():
        raise CheckpointError(f"{folder} has no {WEIGHTS_FILE}; only safetensors weights are published")
    shards = sorted(set(read_json_object(index)["weight_map"].values()))
    for shard in shards:
        if Path(shard).suffix != ".safetensors" or Path(shard).name != shard:
            raise CheckpointError(f"{index} names {shard!r}, which is not a safetensors file beside it")
        if not (folder / shard).is_file():
            raise CheckpointError(f"{folder} has no {shard}, which {WEIGHTS_INDEX_FILE} names")
    return [WEIGHTS_INDEX_FILE, *shards]


def _code_files(folder: Path) -> set[str]:
    """The modules that a checkpoint's `auto_map`s name, and those that they import."""
    modules = set()
    for file, classes in _AUTO_CLASSES.items():
        auto_map = read_json_object(folder / file).get("auto_map", {})
        for name in classes:
            module = str(auto_map.get(name, "")).split(".")[0]
            if not module.isidentifier() or not (folder / f"{module}.py").is_file():
                raise CheckpointError(
                    f"{folder / file} does not say where the code of its {name} is, or the code is not in the "
                    "folder; save model and processor again with save_pretrained"
                )
            modules.add(f"{module}.py")
    try:
        imported = {Path(file) for module in modules for file in get_relative_import_files(folder / module)}
    except FileNotFoundError as error:
        lacking = Path(str(error.filename)).name
        raise CheckpointError(f"{folder} lacks the code {lacking}; save model and processor again") from error
    return modules | {path.name for path in imported}
