"""Passages of an index in the tokens of a text model, and plain collections of texts, as `index` makes them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.text_checks import check_collection_alone
from video_colbert.console import ExitCode, write_notice, write_result
from video_colbert.errors import IndexStoreError

if TYPE_CHECKING:
    from video_colbert.index import Index, VideoIndex
    from video_colbert.text.text_model import TextModel


def index_text_collection(arguments: argparse.Namespace) -> int:
    """Indexes the texts of --passages, in an index of their own or beside the videos of one.

    Raises:
        PassageError: a file cannot be read.
        IndexStoreError: no text model is named, an argument goes with videos, or the index cannot be used.
    """
    from video_colbert.encoding.stored_model.model_reference import NO_VIDEO_MODEL
    from video_colbert.index import index_exists
    from video_colbert.index.passages.source_lists import note_backgrounds
    from video_colbert.index.passages.text_collection import read_text_collection

    check_collection_alone(arguments)
    readings = read_text_collection(*arguments.passages)
    is_there = index_exists(arguments.index)
    if not is_there and arguments.text_model is None:
        raise IndexStoreError("--passages needs a --text-model, which the texts are searched with")
    with _opened(arguments, is_there=is_there) as index:
        kept = index.stored.readings
        if arguments.prune or arguments.prune_all:
            given = {reading.digest for reading in readings}
            gone = {name for name, source in kept.known() if source == "document"} - given
            kept.remove(gone)
        kept.keep(readings)
        text = encode_index_passages(arguments, index.stored)
        # Beside videos, a search of pictures would need their model: `tune` loads it.
        if text is not None and index.stored.model == NO_VIDEO_MODEL:
            note_backgrounds(index)
        write_result(
            text or f"Nothing is new; the index in {arguments.index} holds {len(index.stored.passages)} texts."
        )
    return ExitCode.OK


def _opened(arguments: argparse.Namespace, *, is_there: bool) -> Index:
    """The index of --index, made where there is none."""
    from video_colbert.index import create_text_index, index_exists, open_index

    if not is_there:
        try:
            return create_text_index(arguments.index, codec=arguments.codec)
        except IndexStoreError:
            # Another process may have made it meanwhile; then it is opened, as any that is there.
            if not index_exists(arguments.index):
                raise
    return open_index(arguments.index)


def encode_index_passages(arguments: argparse.Namespace, index: VideoIndex) -> str | None:
    """Brings the passages of an index in line with what was read; loads the text model if there is something to do.

    Args:
        arguments: of `index`, with `text_model`.
        index: the index.

    Returns:
        What was done, in words; None where there was nothing to do.

    Raises:
        IndexStoreError: the index cannot be written.
        ModelLoadError: the text model cannot be loaded.
    """
    from video_colbert.index.passages.encode_passages import count_pending, encode_passages
    from video_colbert.progress import RunProgress

    made_by = index.passages.model
    if arguments.text_model is None:
        pending = count_pending(index.passages, index.readings)
        if pending and made_by is None:
            write_notice(f"{pending} passages are kept, and not searched until a --text-model is named.")
        if not pending or made_by is None:
            return None
    model = _load_text_model(arguments, index)
    # Of another model, all are new.
    total = count_pending(index.passages, index.readings, anew=made_by != model.reference)
    if not total:
        return None
    write_notice(f"Passages are encoded by {model.reference}.")
    with RunProgress("encoding", total, unit="passage") as progress:
        done = encode_passages(
            index.passages,
            index.readings,
            model,
            progress=lambda number: progress.update(number, f"{number}/{total} passages"),
        )
    if done.cut:
        write_notice(
            f"{done.cut} of the passages are longer than the text model takes; what follows is found by keywords only."
        )
    removed = f", {done.removed} removed" if done.removed else ""
    passages = "passage" if done.added == 1 else "passages"
    return f"{done.added} {passages} encoded{removed}; the index in {arguments.index} holds {done.total}."


def _load_text_model(arguments: argparse.Namespace, index: VideoIndex) -> TextModel:
    from video_colbert.index.passages.asked_sources import text_model_of
    from video_colbert.text.text_model import TextModel

    device = None if arguments.device is None else arguments.device.split(",")[0]
    if arguments.text_model is None:
        return text_model_of(index, None, device=device)
    return TextModel.from_pretrained(arguments.text_model, device=device)
