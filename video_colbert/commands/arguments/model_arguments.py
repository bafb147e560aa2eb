"""The arguments of every command that runs a model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.numbers import positive_int
from video_colbert.console import write_notice
from video_colbert.errors import HubError, ModelLoadError

if TYPE_CHECKING:
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.encoding.stored_model.model_reference import ModelReference
    from video_colbert.index import VideoIndex


DEFAULT_MODEL = "openai/clip-vit-base-patch32"
"""What a new index is made with where no model is named; `docs/decisions.md` says why."""


def add_model_arguments(parser: argparse.ArgumentParser, *, batch_size: int, model_required: bool = True) -> None:
    """Adds --model, --revision, --device, --dtype, --backend, --batch-size, --tone-map and --max-pixels.

    Args:
        parser: the command's parser.
        batch_size: the default of --batch-size.
        model_required: whether --model must be given; else it is the model of the index, or `DEFAULT_MODEL`.
    """
    group = parser.add_argument_group("the model")
    group.add_argument(
        "--model",
        metavar="ID",
        required=model_required,
        help="Hub id or local folder of a Video-ColBERT checkpoint, or of a CLIP, SigLIP, VideoPrism or PE-AV one "
        "(zero-shot)"
        + ("" if model_required else f"; by default the model that made the index, and {DEFAULT_MODEL} for a new one"),
    )
    group.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    add_settings_of_models(group, batch_size=batch_size)


def add_settings_of_models(group: argparse._ActionsContainer, *, batch_size: int) -> None:
    """Adds --device, --dtype, --backend, --batch-size, --tone-map and --max-pixels, of whichever models.

    Args:
        group: of the command's arguments.
        batch_size: the default of --batch-size.
    """
    group.add_argument("--device", help="torch device such as cpu or cuda:1; by default the best there is")
    group.add_argument(
        "--dtype",
        choices=["auto", "float32", "bfloat16", "float16", "int8"],
        default="auto",
        help="number format that videos are encoded in (default: auto, the fastest here that gives the same vectors, "
        "tried once for a model and kept in the cache folder)",
    )
    group.add_argument(
        "--backend",
        choices=["torch", "openvino"],
        default="torch",
        help="what encodes videos; openvino (the extra [openvino], on a CPU) converts a model on its first use "
        "(default: torch)",
    )
    group.add_argument(
        "--batch-size",
        type=positive_int,
        default=batch_size,
        metavar="N",
        help=f"items that go through the model together (default: {batch_size})",
    )
    group.add_argument(
        "--tone-map",
        action="store_true",
        help="bring videos of high dynamic range (PQ, HLG) to the range of ordinary video; the same for an index and "
        "its searches (default: as the model's processor says, else as stored)",
    )
    group.add_argument(
        "--max-pixels",
        type=positive_int,
        metavar="N",
        help="refuse a file whose frames have more pixels (default: as the model's processor says, else 67108864)",
    )


def with_model_of(arguments: argparse.Namespace, index: VideoIndex | None) -> argparse.Namespace:
    """The arguments with a model, where they name none, and with its commit, where that is known without the Hub.

    The model is by default the one that made the index, or `DEFAULT_MODEL`. The model of the index is of the index's
    commit unless a revision is named; of another that is in the Hub's cache, the cached commit is taken unasked.

    Args:
        arguments: of `add_model_arguments`.
        index: the index that there is; None for one that is to be made.

    Raises:
        ModelMismatchError: the index holds texts only.
    """
    from video_colbert.encoding.stored_model.model_files import commit_in_cache
    from video_colbert.index.video_index import check_takes_videos

    if index is not None:
        check_takes_videos(index.model, index.location)
    name = arguments.model or (DEFAULT_MODEL if index is None else index.model.name)
    revision = arguments.revision
    if not Path(name).is_dir():
        if revision is None and index is not None and name == index.model.name:
            revision = index.model.commit
        commit = commit_in_cache(name, revision)
        if commit is None and arguments.model is None:
            which = (
                f"No --model is named, so it is {name}"
                if index is None
                else f"The index names the model {index.model}"
            )
            write_notice(f"{which}; it is loaded from the Hub.")
        revision = commit or revision
    return argparse.Namespace(**{**vars(arguments), "model": name, "revision": revision})


def find_reference(arguments: argparse.Namespace) -> ModelReference:
    """Which weights `load_encoder` would load, found out without loading them.

    Args:
        arguments: as of `load_encoder`, without settings that change vectors.

    Raises:
        ModelLoadError: as `load_pretrained`.
    """
    from video_colbert.encoding.stored_model.model_files import find_model_files
    from video_colbert.encoding.stored_model.model_reference import ModelReference

    try:
        files = find_model_files(arguments.model, revision=arguments.revision)
    except HubError as error:
        raise ModelLoadError(str(error)) from error
    return ModelReference(files.name, files.revision)


def load_encoder(
    arguments: argparse.Namespace, *, device: str | None = None, for_videos: bool = True
) -> VideoColBERTEncoder:
    """Loads the encoder that the arguments of `add_model_arguments` name.

    Args:
        arguments: what was parsed, or what `with_model_of` made of it.
        device: the device in place of the one that is named.
        for_videos: whether it is to encode videos; else only what queries need is loaded.

    Raises:
        ModelLoadError: as `load_pretrained`.
    """
    from transformers.utils.logging import disable_progress_bar

    from video_colbert.encoding.encoder import VideoColBERTEncoder

    if not sys.stderr.isatty():
        disable_progress_bar()
    encoder = VideoColBERTEncoder.from_pretrained(
        arguments.model,
        revision=arguments.revision,
        device=device or arguments.device,
        dtype=arguments.dtype,
        backend=arguments.backend,
        for_videos=for_videos,
    )
    if encoder.format_choice.is_new:
        write_notice(f"Videos are encoded in {encoder.format_choice.in_words()}.")
    settings = {"tone_map": arguments.tone_map or None, "max_pixels": arguments.max_pixels}
    encoder.processor.video_processor = encoder.processor.video_processor.with_settings(**settings)
    return encoder
