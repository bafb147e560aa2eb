"""Finds videos in an index by text, and says which frame each word matched."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.commands.level_weights import add_level_weights
from video_colbert.commands.model_arguments import add_model_arguments, load_encoder, positive_int
from video_colbert.commands.typed_text import typed_text
from video_colbert.console import ExitCode, write_notice, write_paths, write_result
from video_colbert.errors import EncodingError

if TYPE_CHECKING:
    from video_colbert.encoding.search_hits import SearchHits
    from video_colbert.index import Calibration

NAME = "search"
HELP = "find videos in an index by text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("query", type=typed_text, metavar="TEXT", help="what to look for")
    parser.add_argument(
        "--index", required=True, metavar="DIR", help="folder or address (s3://..., qdrant://...) of the index"
    )
    add_model_arguments(parser, batch_size=64, model_required=False)
    parser.add_argument(
        "--where",
        type=typed_text,
        metavar="CONDITION",
        help="only videos of which this holds, such as \"year >= 2020 and genre = 'news'\"",
    )
    parser.add_argument(
        "--all-windows", action="store_true", help="of a long video, give every window rather than the best only"
    )
    add_level_weights(parser)
    parser.add_argument("--top-k", type=positive_int, default=10, metavar="K", help="hits, at most (default: 10)")
    parser.add_argument(
        "--min-score", type=float, metavar="SCORE", help="only videos of at least this score (default: any)"
    )
    parser.add_argument("--scores", action="store_true", help="also the score of each level")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="write one JSON object in place of text")
    form.add_argument("--paths-only", action="store_true", help="write the path of each hit and nothing else")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page that plays the hits")


def run(arguments: argparse.Namespace) -> int:
    """Searches and writes the hits.

    Raises:
        VideoColBERTError: the model, the index, the condition or the weights of levels cannot be used.
    """
    from video_colbert.encoding.stored_model.model_files import is_in_cache
    from video_colbert.index import open_index
    from video_colbert.index.results_page import write_search_page
    from video_colbert.index.video_index import check_model

    # Opened first, since that takes no time and says which model to load.
    index = open_index(arguments.index)
    made_by = index.stored.model
    revision = None if Path(made_by.name).is_dir() else made_by.commit
    if arguments.model is None and revision is not None:
        if not is_in_cache(made_by.name, arguments.revision or revision):
            write_notice(f"The index names the model {made_by}; it is loaded from the Hub.")
        encoder = load_encoder(arguments, model=made_by.name, revision=revision)
    else:
        encoder = load_encoder(arguments, model=made_by.name)
    check_model(index.stored, encoder.reference)
    queries = encoder.encode_queries([arguments.query], batch_size=arguments.batch_size)
    try:
        queries = queries.with_level_weights(arguments.level_weights)
    except ValueError as error:
        raise EncodingError(str(error)) from error
    if queries.truncated:
        write_notice("The query is longer than the model's text tower holds; its end was cut off.")
    if len(index) == 0:
        write_notice(f"The index in {arguments.index} is empty.")
    [hits] = index.search(
        queries,
        top_k=arguments.top_k,
        where=arguments.where,
        min_score=arguments.min_score,
        group_windows=not arguments.all_windows,
    )
    if index.stored.calibration is not None:
        write_notice(_candidates(index.stored.calibration, arguments.top_k, len(index)))
    if arguments.json:
        write_result(json.dumps(hits.as_dict(), indent=2))
    elif arguments.paths_only:
        write_paths(dict.fromkeys(hit.video for hit in hits))
    else:
        write_result(_shown(hits, arguments))
    if arguments.html is not None:
        write_search_page(arguments.html, [hits], is_zero_shot=encoder.is_zero_shot)
        write_notice(f"Wrote {arguments.html}.")
    return ExitCode.OK


def _shown(hits: SearchHits, arguments: argparse.Namespace) -> str:
    if not hits and arguments.min_score is not None:
        return f"Nothing is that similar: no video has a score of {arguments.min_score:g} or more."
    return hits.as_text(scores=arguments.scores)


def _candidates(calibration: Calibration, top_k: int, num_videos: int) -> str:
    return (
        f"Scored {calibration.candidates_for(top_k, num_videos)} candidates of {num_videos} videos; they hold "
        f"{calibration.recall:.1%} of the best {calibration.top_k} of {calibration.num_queries} queries."
    )
