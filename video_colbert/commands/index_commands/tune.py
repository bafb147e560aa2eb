"""`video-colbert tune`: learns how far each source of an index is to be believed, and keeps that in the index."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.index_arguments import add_index_argument, open_existing
from video_colbert.commands.arguments.model_arguments import add_model_arguments, load_encoder, with_model_of
from video_colbert.console import ExitCode, write_result
from video_colbert.errors import DatasetError, IndexStoreError

if TYPE_CHECKING:
    from video_colbert.evaluation.sources.fusion_tuning import FusionFigures, Tuning

NAME = "tune"
HELP = "learn how the sources of an index are fused to one ranking"
EXAMPLES = (
    "video-colbert tune --index my_notes",
    "video-colbert tune --index my_notes --judged judged.jsonl",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_index_argument(parser)
    parser.add_argument(
        "--judged",
        metavar="FILE",
        help='queries whose answers are known, a line {"query": "...", "videos": ["a.mp4"]} each (default: none, and '
        "texts of the index are asked as queries)",
    )
    add_model_arguments(parser, batch_size=8, model_required=False)


def run(arguments: argparse.Namespace) -> int:
    """Tunes the index.

    Raises:
        VideoColBERTError: the index, a model or the file of queries cannot be used.
    """
    from video_colbert.commands.judged_queries import read_judged_queries
    from video_colbert.index.fusion.judged_query import JudgedQuery
    from video_colbert.index.fusion.parameters import FusionParameters
    from video_colbert.index.passages.asked_sources import choose_sources
    from video_colbert.index.passages.source_lists import measure_backgrounds, source_lists

    index = open_existing(arguments.index)
    sources = choose_sources(index.stored, None)
    if len(sources) < 2:
        raise IndexStoreError(f"the index in {index.location} holds one source at most, so there is nothing to fuse")
    judged = []
    if arguments.judged is not None:
        texts = [name for name, source in index.stored.readings.known() if source == "document"]
        judged = read_judged_queries(arguments.judged, [*(video.path for video in index.videos), *texts])
    if "video" in sources:
        index.encoder = load_encoder(with_model_of(arguments, index.stored), for_videos=False)
    parameters = FusionParameters(lengths=measure_backgrounds(index))
    if judged:
        lists = source_lists(index, [query for query, _ in judged])
        queries = [JudgedQuery(of_query, right) for of_query, (_, right) in zip(lists, judged, strict=True)]
        from video_colbert.evaluation.sources.fusion_tuning import tune_fusion

        try:
            tuning = tune_fusion(queries)
        except ValueError as error:
            raise DatasetError(f"{arguments.judged}: {error}") from error
        parameters = dataclasses.replace(tuning.parameters, lengths=parameters.lengths)
        write_result("\n".join(_table(tuning)))
    index.stored.set_notes(dataclasses.replace(index.stored.notes, fusion=parameters))
    known = ", ".join(parameters.lengths) or "no source"
    write_result(f"{index.location} knows how wrong hits score of: {known}.")
    return ExitCode.OK


def _table(tuning: Tuning) -> Iterator[str]:
    yield f"{tuning.num_queries} judged queries; fitted fusions ranked those that they were not fitted on"
    yield f"{'':<24}{'R@1':>7}{'R@5':>7}{'R@10':>7}{'nDCG@10':>9}"
    for source, figures in tuning.alone.items():
        yield _row(f"{source} alone", figures)
    for method, figures in tuning.unfitted.items():
        yield _row(f"{method}, not fitted", figures)
    for method, figures in tuning.held_out.items():
        yield _row(f"{method}, fitted", figures)


def _row(name: str, figures: FusionFigures) -> str:
    return f"{name:<24}" + "".join(f"{figures.hit_rate[k]:7.1f}" for k in (1, 5, 10)) + f"{figures.ndcg:9.3f}"
