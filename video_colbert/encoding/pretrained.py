"""Models and processors by name: Video-ColBERT checkpoints, and plain CLIP, SigLIP or VideoPrism ones zero-shot."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, get_args

import torch
from transformers import PreTrainedConfig
from transformers.utils import logging as transformers_logging

from video_colbert.encoding.passes.choose_format import FormatChoice
from video_colbert.encoding.passes.kept_choices import in_fastest_format
from video_colbert.encoding.passes.number_formats import Backend, DType, NumberFormat, into_format
from video_colbert.encoding.stored_model.model_files import ModelFiles, check_tokenizer_files, find_model_files
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.encoding.stored_model.query_model import QueryModel, load_backbone_query_model
from video_colbert.encoding.stored_model.weight_files import check_weight_files
from video_colbert.errors import HubError, ModelLoadError
from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel
from video_colbert.modeling_video_colbert.towers_video_colbert import frame_side, tower_family
from video_colbert.processing import VideoColBERTProcessor

logger = logging.getLogger(__name__)

_NAMED_WEIGHTS = 3


@dataclass(frozen=True)
class PretrainedPair:
    """A model in evaluation mode with its processor.

    Attributes:
        model: the model, on its device.
        processor: the processor that makes the model's inputs.
        reference: where both came from.
        is_zero_shot: whether this is a plain CLIP, SigLIP or VideoPrism checkpoint, which scores its pooled text
            vector against frame vectors.
        differences: one sentence for each kind of weight that is unfit for the model.
        choice: the number format that videos are encoded in, and why.
    """

    model: VideoColBERTModel
    processor: VideoColBERTProcessor
    reference: ModelReference
    is_zero_shot: bool = False
    differences: list[str] = field(default_factory=list)
    choice: FormatChoice = field(default_factory=lambda: FormatChoice("float32"))


def load_pretrained(
    name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: DType = "float32",
    backend: Backend = "torch",
    for_videos: bool = True,
) -> PretrainedPair:
    """Loads a model and its processor; no code of theirs is ever run.

    Args:
        name_or_path: Hub id or local folder, of a Video-ColBERT checkpoint or of any CLIP, SigLIP or VideoPrism
            checkpoint; the latter is used zero-shot, which is logged as a warning.
        revision: branch, tag or commit on the Hub; the main branch by default.
        device: a torch device such as "cpu" or "cuda:1"; by default the best one there is.
        dtype: number format: `float32`, `bfloat16` or `float16` for the whole model, `int8` for its image tower; or
            `auto` for the fastest of them on this machine whose vectors are those of `float32`, which is measured
            once for a model and kept in the user's cache folder. What is not chosen among stays in float32: queries,
            and everything on an accelerator.
        backend: what computes the image tower: `torch`, or `openvino` on a CPU, in float32 or bfloat16. A model is
            converted on its first use and kept in the user's cache folder.
        for_videos: whether it is to encode videos; else only what queries need is loaded, the text tower and its head.

    Raises:
        MissingExtraError: the `openvino` extra is not installed.
        ModelLoadError: there is no such model, its kind is not supported, a part of it is missing or damaged, its
            weights do not fit its config, or there is no such device or number type.
    """
    if dtype not in get_args(DType):
        raise ModelLoadError(f"dtype must be one of {', '.join(get_args(DType))}, got {dtype!r}")
    if backend not in get_args(Backend):
        raise ModelLoadError(f"backend must be one of {', '.join(get_args(Backend))}, got {backend!r}")
    place = _device("cpu" if device is None and backend == "openvino" else device)
    try:
        files = find_model_files(name_or_path, revision=revision)
    except HubError as error:
        raise ModelLoadError(str(error)) from error
    pair = load_model_files(files, for_videos=for_videos)
    if pair.differences:
        raise ModelLoadError(f"model {files.name!r} cannot be used: there are {'; '.join(pair.differences)}")
    if pair.is_zero_shot:
        logger.warning(
            "%s is a %s checkpoint, not a Video-ColBERT one: searching zero-shot, with its pooled text vector "
            "against %s.",
            files.name,
            _model_type(files),
            "its one vector of a video" if pair.model.config.video_tokens == "tower" else "its frame vectors",
        )
    model = pair.model.to(place)
    if not for_videos:
        # Queries are float32 wherever the format of the image tower is another.
        of_texts: NumberFormat = "float32" if dtype == "auto" or dtype == "int8" or backend == "openvino" else dtype
        choice, model = FormatChoice(of_texts), into_format(model, of_texts)
    elif backend == "openvino":
        from video_colbert.encoding.passes.openvino_tower import with_openvino_tower

        choice, model = with_openvino_tower(model, files.revision, dtype)
    elif dtype == "auto":
        choice, model = in_fastest_format(model, files.revision)
    else:
        choice, model = FormatChoice(dtype), into_format(model, dtype)
    return dataclasses.replace(pair, model=model, choice=choice)


def load_model_files(files: ModelFiles, *, for_videos: bool = True) -> PretrainedPair:
    """Loads a model of float32 and its processor on the CPU and says which weights are unfit.

    Args:
        files: what `find_model_files` returned.
        for_videos: as of `load_pretrained`.

    Raises:
        ModelLoadError: a part of it is missing or damaged, or its kind is not supported.
    """
    is_zero_shot = _model_type(files) != VideoColBERTConfig.model_type
    loading: dict[str, Any] = {}
    try:
        check_model_files(files)
        with _quiet_transformers():
            if is_zero_shot:
                # A folder's name means nothing elsewhere; the Hub's does.
                backbone = None if files.is_local else files.name
                model = (
                    VideoColBERTModel.from_backbone(
                        files.folder, zero_shot=True, dtype=torch.float32, backbone=backbone
                    )
                    if for_videos
                    else load_backbone_query_model(files.folder, backbone, dtype=torch.float32)
                )
                processor = VideoColBERTProcessor.from_backbone(files.folder, zero_shot=True)
            else:
                model_class = VideoColBERTModel if for_videos else QueryModel
                model, loading = model_class.from_pretrained(
                    files.folder,
                    dtype=torch.float32,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,
                    trust_remote_code=False,
                )
                processor = VideoColBERTProcessor.from_pretrained(files.folder, trust_remote_code=False)
        _check_fit(model, processor)
    # Whatever a damaged file makes a parser raise: it does not load, and the reason says which part.
    except Exception as error:
        raise ModelLoadError(f"model {files.name!r} cannot be loaded: {_first_line(error)}") from error
    reference = ModelReference(files.name, files.revision)
    return PretrainedPair(model.eval(), processor, reference, is_zero_shot, _differences(loading, model))


def check_model_files(files: ModelFiles) -> None:
    """Looks whether a model is of a supported kind and its weights and tokenizer are there and whole.

    Args:
        files: what `find_model_files` returned.

    Raises:
        ModelLoadError: it is not; the message names the file.
    """
    model_type = _model_type(files)
    if model_type != VideoColBERTConfig.model_type:
        try:
            tower_family(model_type)
        except ValueError as error:
            raise ModelLoadError(_first_line(error)) from error
    check_weight_files(files.folder)
    check_tokenizer_files(files.folder)


def settings_digest(processor: VideoColBERTProcessor) -> str:
    """Digest of all settings of a processor that decide a model's inputs: size, crop, mean, frames, query length.

    Args:
        processor: any; the content of its tokenizer is not looked at.

    Returns:
        12 hexadecimal digits.
    """
    fields = processor.to_dict()
    # It decides which videos have a vector, and no vector.
    fields["video_processor"] = {**fields["video_processor"], "max_pixels": None}
    settings = json.dumps(fields, sort_keys=True, default=str)
    return hashlib.sha256(settings.encode()).hexdigest()[:12]


def _model_type(files: ModelFiles) -> str:
    """The kind of model that a config names.

    Raises:
        ModelLoadError: there is none, or it is damaged.
    """
    try:
        config, _ = PreTrainedConfig.get_config_dict(files.folder)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadError(f"there is no model in {files.name!r}: {_first_line(error)}") from error
    if "model_type" not in config:
        raise ModelLoadError(f"there is no model in {files.name!r}: it holds no config.json with a model_type")
    return str(config["model_type"])


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


def _check_fit(model: VideoColBERTModel, processor: VideoColBERTProcessor) -> None:
    """Checks that a processor makes what a model's towers take.

    Raises:
        ValueError: its queries have more tokens than the text tower has positions, or its frames another size than
            the image tower's.
    """
    positions = model.config.text_config.max_position_embeddings
    if processor.query_length > positions:
        raise ValueError(
            f"its processor makes queries of {processor.query_length} tokens, and its text tower takes {positions}"
        )
    video = processor.video_processor
    size = video.crop_size if video.do_center_crop else video.size
    config = model.config.vision_config
    if hasattr(config, "num_patches"):
        if size.get("patch_size") != config.patch_size:
            raise ValueError(
                f"its processor makes frames of {size}, and its image tower takes any of whole patches of "
                f"{config.patch_size} pixels"
            )
        return
    side = frame_side(config)
    if size != {"height": side, "width": side}:
        raise ValueError(f"its processor makes frames of {size}, and its image tower takes {side} by {side}")


def _differences(loading: dict[str, Any], model: VideoColBERTModel) -> list[str]:
    """What is wrong with a model's weights, in sentences."""
    lacking = [str(name) for name in loading.get("missing_keys") or ()]
    other = [
        f"{name} ({list(stored)} in place of {list(expected)})"
        for name, stored, expected in loading.get("mismatched_keys") or ()
    ]
    unknown = [str(name) for name in loading.get("unexpected_keys") or ()]
    # A sum takes a tenth of the time; where it overflows, or is not finite, the weights are looked at one by one.
    broken = [
        name
        for name, weight in model.named_parameters()
        if not (torch.isfinite(weight.sum()) or torch.isfinite(weight).all())
    ]
    kinds = {
        "weights that are not finite numbers": broken,
        "weights that the checkpoint lacks, at random here": lacking,
        "weights of another shape than the model's, at random here": other,
        "weights that the model does not know": unknown,
    }
    return [f"{text}: {_listed(names)}" for text, names in kinds.items() if names]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED_WEIGHTS} more" if len(names) > _NAMED_WEIGHTS else ""
    return ", ".join(sorted(names)[:_NAMED_WEIGHTS]) + more


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keeps back the library's tables of weights that did not fit, which are reported in a sentence."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
