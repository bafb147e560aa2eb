"""What mteb is told of a model: its `ModelMeta`, from the model itself and from what lies beside its weights."""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_colbert.encoding.stored_model.model_files import ModelFiles
from video_colbert.encoding.stored_model.weight_files import weight_file_names

if TYPE_CHECKING:
    from mteb.models import ModelMeta

    from video_colbert.encoding.encoder import VideoColBERTEncoder

TASKS_OF_DATASET = {
    "activitynet": ("ActivityNetCaptionsT2VRetrieval", "ActivityNetCaptionsV2TRetrieval"),
    "didemo": ("DiDeMoT2VRetrieval", "DiDeMoV2TRetrieval", "DiDeMoT2VRetrieval.v2", "DiDeMoV2TRetrieval.v2"),
    "msrvtt": ("MSRVTTT2V", "MSRVTTV2T"),
    "msvd": ("MSVDT2VRetrieval", "MSVDV2TRetrieval"),
    "vatex": ("VATEXT2VRetrieval", "VATEXV2TRetrieval", "VATEXT2VRetrieval.v2", "VATEXV2TRetrieval.v2"),
}
"""By name of a data set that models are trained on, mteb's tasks over it: by them mteb tells what a model has seen."""

_CITATION = """@inproceedings{reddy2025videocolbert,
  title = {Video-ColBERT: Contextualized Late Interaction for Text-to-Video Retrieval},
  author = {Reddy, Arun and Martin, Alexander and Yang, Eugene and Yates, Andrew and Sanders, Kate and Murray, Kenton
    and Kriz, Reno and de Melo, Celso M. and Van Durme, Benjamin and Chellappa, Rama},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2025},
}"""
_REFERENCE = "https://arxiv.org/abs/2503.19009"
_TRAINING_FILE = "training_arguments.json"
_CARD_FILE = "README.md"
_BYTES_OF_MEGABYTE = 2**20
_MAX_SIMS = ("mean_max_sim", "max_sim")


def build_model_meta(
    encoder: VideoColBERTEncoder,
    files: ModelFiles,
    loader: Callable[..., Any],
    overrides: Mapping[str, Any] | None = None,
) -> ModelMeta:
    """Builds the `ModelMeta` of a model.

    The revision is the commit on the Hub, or the digest of a folder's content, so that mteb never takes results of
    one for another's; with a mark where the processor's settings were changed. A plain CLIP, MetaCLIP 2 or
    SigLIP checkpoint is an experiment of its own, apart from what mteb measures of it with one vector a video.

    Args:
        encoder: the model.
        files: where it was loaded from.
        loader: what loads it, by its name or folder and then mteb's own arguments.
        overrides: fields of `ModelMeta` in place of what is found, such as `license` or `languages`.

    Raises:
        ValueError: a field of `overrides` does not exist, or a value is not one that mteb knows.
    """
    from mteb.models import ModelMeta
    from mteb.models.model_meta import ScoringFunction

    model, config = encoder.model, encoder.model.config
    training = _json_object(files.folder / _TRAINING_FILE)
    card = _card_metadata(files.folder / _CARD_FILE)
    parameters = list(model.parameters())
    backbone = config.backbone if isinstance(config.backbone, str) and config.backbone.count("/") == 1 else None
    datasets = _listed(card.get("datasets"))
    fields: dict[str, Any] = {
        "loader": functools.partial(loader, files.name),
        "name": f"local/{Path(files.name).name}" if files.is_local else files.name,
        "revision": encoder.reference.revision,
        "release_date": _release_date(files),
        "languages": ["eng-Latn"],
        "n_parameters": sum(parameter.numel() for parameter in parameters),
        "n_embedding_parameters": sum(parameter.numel() for parameter in model.get_input_embeddings().parameters()),
        "memory_usage_mb": sum(each.numel() * each.element_size() for each in parameters) / _BYTES_OF_MEGABYTE,
        "max_tokens": encoder.processor.query_length,
        "embed_dim": config.projection_dim,
        "license": _license(card.get("license")),
        "open_weights": True,
        "public_training_code": None,
        "public_training_data": f"https://huggingface.co/datasets/{datasets[0]}" if datasets else None,
        "framework": ["Transformers", "PyTorch", "safetensors", "Sentence Transformers"],
        "similarity_fn_name": ScoringFunction.MAX_SIM if config.interaction in _MAX_SIMS else ScoringFunction.CUSTOM,
        "use_instructions": False,
        "training_datasets": None if encoder.is_zero_shot else _seen_tasks(training),
        "adapted_from": None if encoder.is_zero_shot else backbone,
        "reference": _REFERENCE if files.is_local else f"https://huggingface.co/{files.name}",
        "modalities": ["text", "video"],
        "model_type": ["late-interaction"],
        "citation": _CITATION,
        "experiment_kwargs": {"scoring": "zero_shot_frames"} if encoder.is_zero_shot else None,
    }
    given = dict(overrides or {})
    if unknown := given.keys() - ModelMeta.model_fields.keys():
        raise ValueError(f"meta has {', '.join(sorted(unknown))}; mteb's ModelMeta has no such field")
    return ModelMeta(**{**fields, **given})


def _seen_tasks(training: Mapping[str, Any]) -> set[str] | None:
    """The tasks of mteb over the data that a model was trained on; None where that is not recorded."""
    dataset = training.get("dataset")
    return set(TASKS_OF_DATASET.get(dataset, ())) if isinstance(dataset, str) else None


def _license(name: object) -> str | None:
    """A licence as mteb takes it; None for one that it does not know."""
    from typing import get_args

    from mteb.types import Licenses

    return name if isinstance(name, str) and name in get_args(Licenses) else None


def _release_date(files: ModelFiles) -> str | None:
    """The day of a model's first commit on the Hub, if the Hub tells, or on which a folder's weights were written."""
    from mteb.models import ModelMeta

    if not files.is_local:
        day: str | None = ModelMeta.fetch_release_date(files.name)
        return day
    weights = weight_file_names({path.name for path in files.folder.iterdir()})
    times = [(files.folder / name).stat().st_mtime for name in weights]
    return datetime.datetime.fromtimestamp(max(times), datetime.UTC).date().isoformat() if times else None


def _json_object(path: Path) -> dict[str, Any]:
    """An object from a file that may be missing; one that is damaged tells nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _card_metadata(path: Path) -> dict[str, Any]:
    """What stands above the text of a model card; nothing without one."""
    from huggingface_hub import ModelCard

    if not path.is_file():
        return {}
    data = ModelCard(path.read_text(encoding="utf-8"), ignore_metadata_errors=True).data
    fields: dict[str, Any] = data.to_dict()  # type: ignore[no-untyped-call] # of the Hub's client
    return fields


def _listed(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value] if isinstance(value, list) else []
