"""Encodes videos into an index. Running it again adds what is new; bad files are listed at the end (exit code 3)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_colbert.commands.arguments.decoding_arguments import add_decoding_arguments
from video_colbert.commands.arguments.flag_names import name_flags
from video_colbert.commands.arguments.index_arguments import add_index_argument
from video_colbert.commands.arguments.model_arguments import (
    add_model_arguments,
    find_reference,
    load_encoder,
    with_model_of,
)
from video_colbert.commands.arguments.new_index_arguments import add_making_arguments, asked_windows
from video_colbert.commands.arguments.numbers import positive_int
from video_colbert.commands.arguments.reader_arguments import add_reader_arguments, make_readers
from video_colbert.commands.arguments.text_arguments import add_text_model
from video_colbert.commands.arguments.text_checks import check_texts
from video_colbert.commands.files_to_index import collect_metadata, find_files
from video_colbert.console import ExitCode, write_notice, write_result
from video_colbert.errors import IndexStoreError, ModelLoadError

if TYPE_CHECKING:
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.index import Index, IndexInfo, IndexingReport, VideoIndex, WindowSettings
    from video_colbert.index.ingest.contextual_texts import ContextualTexts
    from video_colbert.index.ingest.reading_tasks.reading_job import ReadTasks

NAME = "index"
HELP = "make an index of videos, or add to one"
EXAMPLES = (
    "video-colbert index my_videos --index my_index",
    "video-colbert index --passages notes.jsonl --text-model colbert-ir/colbertv2.0 --index my_notes",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("videos", nargs="*", metavar="VIDEO", help="video files, and folders of them at any depth")
    add_index_argument(parser, text="folder or address (s3://..., qdrant://...) of the index; made if need be")
    add_model_arguments(parser, batch_size=8, model_required=False)
    add_making_arguments(parser.add_argument_group("a new index", "what it is made with, which stays so for good"))
    content = parser.add_argument_group("the videos")
    content.add_argument(
        "--manifest",
        metavar="FILE",
        help="list of further videos: a path or URL a line, or JSON lines as of --metadata; may be in object storage",
    )
    content.add_argument(
        "--metadata",
        type=Path,
        metavar="FILE",
        help="JSON lines or CSV with a column `video`; searches can filter by its other columns",
    )
    content.add_argument("--retry-bad", action="store_true", help="try again the files that an earlier run found bad")
    content.add_argument(
        "--prune", action="store_true", help="remove videos from the index that are gone from the given folders"
    )
    content.add_argument(
        "--prune-all",
        action="store_true",
        help="as --prune, also where a folder has lost all of its videos, as the place of an unmounted disk has",
    )
    texts = parser.add_argument_group("what is said and written", "read of the videos beside their pictures")
    add_reader_arguments(texts, description=True)
    texts.add_argument(
        "--passages",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="in place of videos, a plain collection of texts: JSON lines with `text`, and `id` where it has a name "
        "(default: the file's path and the line)",
    )
    add_text_model(texts)
    add_decoding_arguments(parser.add_argument_group("decoding"), timeout=600)
    ray = parser.add_argument_group("a cluster")
    ray.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="encode and read on the machines of a Ray cluster (extra `ray`), to which paths must mean the same "
        "files; `auto` for the running one",
    )
    ray.add_argument(
        "--encoders",
        type=positive_int,
        metavar="N",
        help="with --ray, how many models encode, each with its --workers, and how many such groups of workers read "
        "(default: one for each GPU, or else for each machine)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Indexes the videos; returns 3 if some of them were bad.

    Raises:
        VideoColBERTError: the model or the index cannot be used.
        FileNotFoundError: a file or folder is missing, or no video is among them.
    """
    if arguments.passages is not None:
        from video_colbert.commands.text_passages import index_text_collection

        return index_text_collection(arguments)
    # Checked first, since that takes no time.
    may_be_empty = bool(_prunes(arguments) or arguments.no_description)
    files, folders, unreadable = find_files(arguments, may_be_empty=may_be_empty)
    windows = asked_windows(arguments)
    readers = make_readers(arguments)
    metadata = collect_metadata(arguments, files, folders, may_be_empty=may_be_empty)
    check_texts(arguments, metadata)
    arguments = _with_model(arguments)
    from video_colbert.index import index_videos, prune_videos
    from video_colbert.index.ingest.contextual_texts import NO_TEXTS, read_before_encoding, texts_of_index
    from video_colbert.index.ingest.reading import read_passages
    from video_colbert.index.passages.source_lists import note_backgrounds

    index, encoders = _open(arguments, windows)
    _drop_descriptions(arguments, index.stored)
    texts = texts_of_index(index.stored, lambda: encoders()[0].model.config.passage_levels)
    read: IndexingReport | None = None
    if readers and texts is not NO_TEXTS:
        reading = {**_reading_arguments(arguments), "metadata": metadata}
        read, texts = read_before_encoding(index.stored, texts, readers, files, **reading)
    if arguments.ray is None:
        report = index_videos(
            index.stored,
            encoders,
            files,
            batch_size=arguments.batch_size,
            workers=arguments.workers,
            metadata=metadata,
            folders=folders,
            retry_bad=arguments.retry_bad,
            timeout=arguments.timeout,
            texts=texts,
        )
    else:
        report = _index_on_ray(arguments, index.stored, files, folders, metadata, texts)
    report.bad += unreadable
    if readers and read is None:
        # Of a file whose content is there under another name, that one is read.
        named = [*files, *report.duplicates.values()]
        read = read_passages(index.stored, readers, named, **_reading_arguments(arguments))
    if read is not None:
        report.add_read(read)
    pruned: list[str] = []
    if _prunes(arguments):
        pruned = prune_videos(index.stored, folders, prune_all=arguments.prune_all)
        report.gone = []
    if index.stored.needs_calibration:
        # Once here, rather than in every process that searches.
        index.calibrate()
    write_result(_summary(report, len(pruned), index.info(), arguments.index))
    if encoded := _encode_passages(arguments, index.stored):
        write_result(encoded)
        index.encoder = index.encoder or encoders()[0]
        note_backgrounds(index)
    if report.duplicates:
        write_result("\n".join(["Of the same content as another:", *report.duplicate_lines()]))
    if report.gone:
        write_notice(f"{len(report.gone)} gone; --prune removes them from the index.")
    if report.known_bad:
        write_notice(f"{len(report.known_bad)} known bad from an earlier run; --retry-bad tries them again.")
    if report.high_range:
        title = f"Of high dynamic range, taken as stored ({len(report.high_range)}; --tone-map maps them):"
        write_result("\n".join([title, *report.high_range_lines()]))
    if report.bad:
        lines = [name_flags(line, vars(arguments)) for line in report.bad_lines()]
        write_result("\n".join([f"Bad files ({len(report.bad)}):", *lines]))
        return ExitCode.SOME_BAD
    return ExitCode.OK


def _with_model(arguments: argparse.Namespace) -> argparse.Namespace:
    """The arguments with the model of the index where they name none, and with its commit where they name no other."""
    from video_colbert.index import index_exists, open_index

    if not index_exists(arguments.index):
        return with_model_of(arguments, None)
    with open_index(arguments.index) as index:
        return with_model_of(arguments, index.stored)


def _open(
    arguments: argparse.Namespace, windows: WindowSettings | str | None
) -> tuple[Index, Callable[[], Sequence[VideoColBERTEncoder]]]:
    """The index, and what gives the encoders of its model, which are loaded when something has to be encoded."""
    from video_colbert.index import index_exists, open_index
    from video_colbert.index.video_index import check_model

    # Settings that may change the vectors are known of a loaded processor only.
    needs_encoder = arguments.ray is not None or arguments.tone_map or not index_exists(arguments.index)
    encoders = _load_encoders(arguments) if needs_encoder else []
    try:
        index = open_index(
            arguments.index,
            encoders[0] if encoders else None,
            num_frames=arguments.num_frames,
            windows=windows,
            codec=arguments.codec,
            merge_similarity=arguments.merge_similarity,
        )
    except ValueError as error:
        raise IndexStoreError(str(error)) from error
    if encoders:
        return index, lambda: encoders
    check_model(index.stored, find_reference(arguments))

    def load() -> list[VideoColBERTEncoder]:
        loaded = _load_encoders(arguments)
        # It may have been changed meanwhile.
        check_model(index.stored, loaded[0].reference)
        return loaded

    return index, load


def _encode_passages(arguments: argparse.Namespace, index: VideoIndex) -> str | None:
    """What was done of the index's passages, in words; None for nothing."""
    from video_colbert.commands.text_passages import encode_index_passages

    return encode_index_passages(arguments, index)


def _drop_descriptions(arguments: argparse.Namespace, index: VideoIndex) -> None:
    """Takes the columns of --no-description out of the index."""
    if not arguments.no_description:
        return
    from video_colbert.index.dropped_descriptions import drop_description_column

    for column in arguments.no_description:
        changed = drop_description_column(index, column)
        videos = "video" if changed == 1 else "videos"
        write_result(f"{column} is no description any longer, and was taken out of that of {changed} {videos}.")
    if due := index.notes.texts_due:
        write_notice(f"{len(due)} videos are encoded with their texts, so anew when their files are next indexed.")


def _prunes(arguments: argparse.Namespace) -> bool:
    return bool(arguments.prune or arguments.prune_all)


def _load_encoders(arguments: argparse.Namespace) -> list[VideoColBERTEncoder]:
    """One encoder for each device that is named, and by default for each CUDA device."""
    if arguments.ray is not None:
        # The machines of the cluster encode; here the model is only checked.
        return [load_encoder(arguments, device="cpu", for_videos=False)]
    from video_colbert.processes.worker_server import start_worker_server

    # It imports what decoding needs while this process loads the model.
    start_worker_server("video_colbert.encoding.decoding_process")
    import torch

    devices = arguments.device.split(",") if arguments.device else []
    if not devices and torch.cuda.device_count() > 1:
        devices = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    first = load_encoder(arguments, device=devices[0] if devices else None)
    return [first, *(first.replica(device) for device in devices[1:])]


def _index_on_ray(
    arguments: argparse.Namespace,
    index: VideoIndex,
    files: list[str],
    folders: list[Path],
    metadata: dict[str, Mapping[str, str | int | float | bool]],
    texts: ContextualTexts,
) -> IndexingReport:
    from video_colbert.index.ingest.ray_indexing import RayEncoders, index_videos_on_ray

    if arguments.tone_map or arguments.max_pixels:
        raise ModelLoadError(
            "--tone-map and --max-pixels do not reach the machines of a Ray cluster; save them with the processor"
        )
    encoders = RayEncoders(
        arguments.model,
        revision=arguments.revision,
        dtype=arguments.dtype,
        backend=arguments.backend,
        encoders=arguments.encoders,
        workers=arguments.workers,
        batch_size=arguments.batch_size,
        timeout=arguments.timeout,
    )
    return index_videos_on_ray(
        index,
        encoders,
        files,
        address=arguments.ray,
        metadata=metadata,
        folders=list(map(str, folders)),
        retry_bad=arguments.retry_bad,
        texts=texts,
    )


def _reading_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """How what is said and written is read."""
    read: ReadTasks | None = None
    if arguments.ray is not None:
        from video_colbert.index.ingest.reading_tasks.ray_reading import RayReaders

        read = RayReaders(arguments.ray, groups=arguments.encoders, workers=arguments.workers).read
    return {
        "description_column": None if arguments.description == "-" else arguments.description,
        "workers": arguments.workers,
        "read": read,
        "retry_bad": arguments.retry_bad,
        "timeout": arguments.timeout,
    }


def _summary(report: IndexingReport, pruned: int, info: IndexInfo, location: str) -> str:
    counts = report.counts()
    if pruned:
        counts["pruned"] = pruned
    text = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    return f"{text}; the index in {location} holds {info.counted()}."
