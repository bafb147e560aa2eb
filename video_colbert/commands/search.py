"""Finds videos in an index by text, and says which frame each word matched."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.commands.model_arguments import add_model_arguments, load_encoder, positive_int
from video_colbert.commands.typed_text import typed_text
from video_colbert.console import ExitCode, write_notice, write_result

if TYPE_CHECKING:
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
    parser.add_argument("--top-k", type=positive_int, default=10, metavar="K", help="hits, at most (default: 10)")
    parser.add_argument("--json", action="store_true", help="write one JSON object in place of a table")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page that plays the hits")


def run(arguments: argparse.Namespace) -> int:
    """Searches and writes the hits.

    Raises:
        VideoColBERTError: the model, the index or the condition cannot be used.
    """
    from video_colbert.encoding.model_files import is_in_cache
    from video_colbert.index import Index, open_index
    from video_colbert.index.results_page import write_search_page
    from video_colbert.index.search_results import SearchHits

    # Opened first, since that takes no time and says which model to load.
    index = open_index(arguments.index)
    if arguments.model is None:
        arguments.model = index.model.name
        if not Path(index.model.name).is_dir():
            arguments.revision = arguments.revision or index.model.commit
            if not is_in_cache(arguments.model, arguments.revision):
                write_notice(f"The index names the model {index.model}; it is loaded from the Hub.")
    encoder = load_encoder(arguments)
    index.check_model(encoder.reference)
    queries = encoder.encode_queries([arguments.query], batch_size=arguments.batch_size)
    if queries.truncated:
        write_notice("The query is longer than the model's text tower holds; its end was cut off.")
    if len(index) == 0:
        write_notice(f"The index in {arguments.index} is empty.")
    hits = index.search(
        queries, top_k=arguments.top_k, where=arguments.where, group_windows=not arguments.all_windows
    )[0]
    if isinstance(index, Index) and index.calibration is not None:
        write_notice(_candidates(index.calibration, arguments.top_k, len(index)))
    result = SearchHits(arguments.query, index.model.name, hits)
    write_result(json.dumps(result.as_dict(), indent=2) if arguments.json else result.as_table())
    if arguments.html is not None:
        write_search_page(arguments.html, [result])
        write_notice(f"Wrote {arguments.html}.")
    return ExitCode.OK


def _candidates(calibration: Calibration, top_k: int, num_videos: int) -> str:
    return (
        f"Scored {calibration.candidates_for(top_k, num_videos)} candidates of {num_videos} videos; they hold "
        f"{calibration.recall:.1%} of the best {calibration.top_k} of {calibration.num_queries} queries."
    )
