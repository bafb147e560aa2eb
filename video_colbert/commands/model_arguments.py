"""The arguments of every command that runs a model."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from video_colbert.encoding.encoder import VideoColBERTEncoder


def add_model_arguments(parser: argparse.ArgumentParser, *, batch_size: int, model_required: bool = True) -> None:
    """Adds --model, --revision, --device, --dtype, --batch-size, --tone-map and --max-pixels.

    Args:
        parser: the command's parser.
        batch_size: the default of --batch-size.
        model_required: whether --model must be given.
    """
    parser.add_argument(
        "--model",
        metavar="ID",
        required=model_required,
        help="Hub id or local folder of a Video-ColBERT checkpoint, or of any CLIP or SigLIP checkpoint (zero-shot)"
        + ("" if model_required else "; by default the model that made the index"),
    )
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument("--device", help="torch device such as cpu or cuda:1; by default the best there is")
    parser.add_argument(
        "--dtype",
        choices=["float32", "bfloat16", "float16"],
        default="float32",
        help="number type of the model (default: float32)",
    )
    parser.add_argument(
        "--batch-size",
        type=positive_int,
        default=batch_size,
        metavar="N",
        help=f"items that go through the model together (default: {batch_size})",
    )
    parser.add_argument(
        "--tone-map",
        action="store_true",
        help="bring videos of high dynamic range (PQ, HLG) to the range of ordinary video; the same for an index and "
        "its searches (default: as the model's processor says, else as stored)",
    )
    parser.add_argument(
        "--max-pixels",
        type=positive_int,
        metavar="N",
        help="refuse a file whose frames have more pixels (default: as the model's processor says, else 67108864)",
    )


def load_encoder(
    arguments: argparse.Namespace,
    *,
    model: str = "",
    revision: str | None = None,
    device: str | None = None,
) -> VideoColBERTEncoder:
    """Loads the encoder that the arguments of `add_model_arguments` name.

    Args:
        arguments: what was parsed.
        model: the model where none is named.
        revision: its revision where none is named.
        device: the device in place of the one that is named.

    Raises:
        ModelLoadError: as `load_pretrained`.
    """
    from transformers.utils.logging import disable_progress_bar

    from video_colbert.encoding.encoder import VideoColBERTEncoder

    if not sys.stderr.isatty():
        disable_progress_bar()
    encoder = VideoColBERTEncoder.from_pretrained(
        model if arguments.model is None else arguments.model,
        revision=arguments.revision or revision,
        device=device or arguments.device,
        dtype=arguments.dtype,
    )
    settings = {"tone_map": arguments.tone_map or None, "max_pixels": arguments.max_pixels}
    encoder.processor.video_processor = encoder.processor.video_processor.with_settings(**settings)
    return encoder


def positive_int(text: str) -> int:
    """Reads a whole number from 1.

    Raises:
        argparse.ArgumentTypeError: the text is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number
