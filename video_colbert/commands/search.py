"""Finds videos by text, picture or clip, in an index or in folders, and says when each word or phrase is seen.

Without any of them, a prompt takes a query a line and loads the model once; queries may be piped in too. With --in, an
index in the cache folder (VIDEO_COLBERT_CACHE, else XDG_CACHE_HOME/video-colbert, else ~/.cache/video-colbert) is made
of the folders or brought up to date before the search: files that are new, changed, moved or gone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.cache_folder import cache_folder
from video_colbert.commands.arguments.flag_names import name_flags
from video_colbert.commands.arguments.index_arguments import (
    add_index_argument,
    add_where,
    open_existing,
    where_grammar,
)
from video_colbert.commands.arguments.level_weights import add_level_weights
from video_colbert.commands.arguments.model_arguments import add_model_arguments, load_encoder, with_model_of
from video_colbert.commands.arguments.numbers import finite_number, positive_int, share
from video_colbert.commands.arguments.text_arguments import add_source_arguments
from video_colbert.commands.arguments.typed_text import typed_text
from video_colbert.commands.arguments.visual_arguments import (
    add_visual_arguments,
    asks_by_picture,
    read_visual_query,
)
from video_colbert.commands.typed_queries import typed_queries
from video_colbert.console import ExitCode, write_notice, write_paths, write_result
from video_colbert.errors import EncodingError, IndexStoreError, VideoColBERTError

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import EncodedQueries
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.encoding.search_hits import SearchHits
    from video_colbert.encoding.visual_query import VisualQuery
    from video_colbert.index import Calibration, Index

NAME = "search"
HELP = "find videos by text, picture or clip, in an index or in folders"
EXAMPLES = (
    "video-colbert search a dog catches a ball --in my_videos",
    "video-colbert search a dog catches a ball --index my_index --where 'duration > 1' --top-k 3",
    "video-colbert search --image photo.jpg --index my_index",
    "video-colbert search at night --clip a.mp4@1-2.5 --index my_index --text-weight 0.3",
    "video-colbert search --index my_index",
)
NOTES = where_grammar()
_GROWN = 1.1
"""Times as many videos among which what was learned of hits may no longer hold."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "words",
        nargs="*",
        type=typed_text,
        metavar="TEXT",
        help="what to look for, in as many words as it takes; without any, and without --image and --clip, a prompt",
    )
    add_visual_arguments(parser)
    where = parser.add_argument_group("where to search")
    place = where.add_mutually_exclusive_group()
    add_index_argument(place, is_required=False)
    place.add_argument(
        "--in",
        dest="folders",
        nargs="+",
        action="extend",
        metavar="FOLDER",
        help="search the videos of these folders, at any depth; `--in .` for the one you are in. The first time they "
        "are indexed, and later what is new",
    )
    where.add_argument(
        "--prune-all",
        action="store_true",
        help="with --in, also forget the videos of a folder that has lost all of them, as the place of an unmounted "
        "disk has; those of a file that is gone are forgotten anyway",
    )
    add_where(where)
    hits = parser.add_argument_group("hits")
    hits.add_argument("--top-k", type=positive_int, default=10, metavar="K", help="hits, at most (default: 10)")
    hits.add_argument(
        "--min-score", type=finite_number, metavar="SCORE", help="only videos of at least this score (default: any)"
    )
    hits.add_argument(
        "--min-probability",
        type=share,
        metavar="P",
        help="only videos that are right with at least this probability, from 0 to 1, of an index of which "
        "`video-colbert confidence` learned it (default: any)",
    )
    hits.add_argument(
        "--max-false-positives",
        type=share,
        metavar="SHARE",
        help="say that there is no such video unless the first hit is so good that at most this share of queries for "
        "videos that are not there have one like it, such as 0.05 (default: never)",
    )
    hits.add_argument(
        "--all-windows", action="store_true", help="of a long video, give every window rather than the best only"
    )
    add_level_weights(hits)
    add_source_arguments(hits)
    hits.add_argument("--scores", action="store_true", help="also the score of each level")
    form = hits.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="write one JSON object in place of text; one a line at a prompt"
    )
    form.add_argument("--paths-only", action="store_true", help="write the path of each hit and nothing else")
    hits.add_argument("--html", type=Path, metavar="FILE", help="also write a page that plays the hits")
    add_model_arguments(parser, batch_size=8, model_required=False)


def run(arguments: argparse.Namespace) -> int:
    """Searches and writes the hits; returns 3 if files of --in were bad.

    Raises:
        VideoColBERTError: the model, the index, the condition or the weights of levels cannot be used.
        FileNotFoundError: a folder of --in is not there, or there is no video in any.
    """
    from video_colbert.index.passages.asked_sources import choose_sources

    text = " ".join(arguments.words).strip()
    if arguments.words and not text:
        raise EncodingError("TEXT is empty; say what to look for, or leave it out for a prompt")
    visual = read_visual_query(arguments, text)
    index, encoder, code = _open(arguments)
    if len(index) == 0 and choose_sources(index.stored, None) in ((), ("video",)):
        write_notice(f"The index in {index.location} is empty.")
    _load_text_model(index, arguments)
    if text or visual is not None:
        hits = _search(index, encoder, visual or text, arguments)
        _write(hits, arguments)
        _write_page([hits], encoder, arguments)
        return code
    return max(code, _answer_typed_queries(index, encoder, arguments))


def _open(arguments: argparse.Namespace) -> tuple[Index, VideoColBERTEncoder | None, ExitCode]:
    """The index with the encoder of its model, if pictures are asked, and 3 if files were bad on the way."""
    from video_colbert.index.video_index import check_model

    if arguments.folders is not None:
        from video_colbert.commands.folder_index import open_folder_index

        found = open_folder_index(arguments)
        return found.index, found.encoder, ExitCode.SOME_BAD if found.bad else ExitCode.OK
    if arguments.index is None:
        raise IndexStoreError(
            "say where to search: --in FOLDER, such as `--in .` for the folder you are in, or --index DIR for an "
            "index that `video-colbert index` made"
        )
    if arguments.prune_all:
        raise IndexStoreError("--prune-all goes with --in; prune an index of your own with `video-colbert index`")
    # Opened first, since that takes no time and says which model to load.
    index = open_existing(arguments.index)
    if not _asks_pictures(index, arguments):
        return index, None, ExitCode.OK
    encoder = load_encoder(with_model_of(arguments, index.stored), for_videos=asks_by_picture(arguments))
    check_model(index.stored, encoder.reference)
    index.encoder = encoder
    return index, encoder, ExitCode.OK


def _asks_pictures(index: Index, arguments: argparse.Namespace) -> bool:
    """Whether a search asks pictures, for which the video model is loaded.

    Raises:
        IndexStoreError: it does not, and an argument is only for pictures.
    """
    from video_colbert.index.passages.asked_sources import choose_sources

    if arguments.all_windows and arguments.only in (None, ("video",)):
        return True
    asks = "video" in choose_sources(index.stored, arguments.only)
    if asks_by_picture(arguments) and not asks:
        raise IndexStoreError("--image and --clip ask the source video; add it to --only, or leave them out")
    if arguments.all_windows:
        raise IndexStoreError("--all-windows gives windows of pictures; leave it out, or say --only video")
    if arguments.level_weights and not asks:
        raise IndexStoreError("--level-weights are of pictures, which are not asked; leave them out")
    return asks


def _load_text_model(index: Index, arguments: argparse.Namespace) -> None:
    """Loads the text model on the device that is named; without one, a search loads it where it needs it."""
    from video_colbert.index.passages.asked_sources import choose_sources, text_model_of
    from video_colbert.text.passages import SOURCES

    if arguments.device is None or (arguments.all_windows and arguments.only is None):
        return
    if set(SOURCES) & set(choose_sources(index.stored, arguments.only)):
        index.text_model = text_model_of(index.stored, None, device=arguments.device)


def _answer_typed_queries(
    index: Index, encoder: VideoColBERTEncoder | None, arguments: argparse.Namespace
) -> ExitCode:
    """Searches for what is typed, a line at a time; returns 1 if one of the queries could not be searched for."""
    answered: list[SearchHits] = []
    code = ExitCode.OK
    for text in typed_queries(cache_folder() / "history"):
        try:
            hits = _search(index, encoder, text, arguments)
            _write(hits, arguments, is_one_of_many=True)
            answered.append(hits)
            _write_page(answered, encoder, arguments)
        except KeyboardInterrupt:
            write_notice("This search was cancelled.")
        except VideoColBERTError as error:
            write_notice(f"video-colbert: {name_flags(str(error), vars(arguments))}")
            code = ExitCode.FAILED
    return code


def _search(
    index: Index, encoder: VideoColBERTEncoder | None, asked: str | VisualQuery, arguments: argparse.Namespace
) -> SearchHits:
    from video_colbert.encoding.search_hits import SearchHits
    from video_colbert.processing import VideoDecodingError

    query: str | EncodedQueries | VisualQuery = asked
    text = asked if isinstance(asked, str) else asked.text
    if encoder is not None and text is not None:
        words = encoder.encode_queries([text], batch_size=arguments.batch_size)
        if words.truncated:
            write_notice("The query is longer than the model's text tower holds; its end was cut off.")
        if isinstance(asked, str):
            query = words
    try:
        found = index.search(
            [query] if isinstance(query, str) else query,
            top_k=arguments.top_k,
            where=arguments.where,
            level_weights=arguments.level_weights or None,
            min_score=arguments.min_score,
            group_windows=not arguments.all_windows,
            sources=arguments.only,
            fusion=arguments.fusion,
        )
    except (ValueError, VideoDecodingError) as error:
        raise EncodingError(str(error)) from error
    hits = _likely(index, found if isinstance(found, SearchHits) else found[0], arguments)
    if text is not None and index.text_model is not None and index.text_model.encode_queries([text]).truncated:
        write_notice("The query is longer than the text model takes; its end was cut off.")
    if index.stored.calibration is not None:
        write_notice(_candidates(index.stored.calibration, arguments.top_k, len(index)))
    return hits


def _likely(index: Index, hits: SearchHits, arguments: argparse.Namespace) -> SearchHits:
    """The hits that are as likely as is asked for."""
    if arguments.min_probability is None and arguments.max_false_positives is None:
        return hits
    confidence = index.stored.notes.confidence
    if confidence is not None and len(index) > _GROWN * confidence.num_videos:
        write_notice(
            f"The index held {confidence.num_videos} videos when it learned how likely its hits are right, and holds "
            f"{len(index)} now: wrong hits are better among more. `video-colbert confidence` learns it again."
        )
    try:
        return hits.likely(
            min_probability=arguments.min_probability or 0.0,
            max_false_positive_rate=1.0 if arguments.max_false_positives is None else arguments.max_false_positives,
        )
    except ValueError as error:
        raise IndexStoreError(f"--min-probability and --max-false-positives: {error}") from error


def _write(hits: SearchHits, arguments: argparse.Namespace, *, is_one_of_many: bool = False) -> None:
    if arguments.json:
        write_result(json.dumps(hits.as_dict(), indent=None if is_one_of_many else 2))
    elif arguments.paths_only:
        write_paths(dict.fromkeys(hit.video for hit in hits))
    else:
        shown = _shown(hits, arguments)
        write_result(f"{hits.query}\n{shown}\n" if is_one_of_many else shown)


def _shown(hits: SearchHits, arguments: argparse.Namespace) -> str:
    rate, limit = hits.false_positive_rate, arguments.max_false_positives
    if rate is not None and limit is not None and rate > limit:
        return f"No such video: of queries for a video that is not there, {rate:.0%} have a first hit as good."
    if not hits and arguments.min_probability is not None:
        return (
            f"Nothing is that likely: no video is right with a probability of {arguments.min_probability:g} or more."
        )
    if not hits and arguments.min_score is not None:
        return f"Nothing is that similar: no video has a score of {arguments.min_score:g} or more."
    return hits.as_text(scores=arguments.scores)


def _write_page(
    answered: Iterable[SearchHits], encoder: VideoColBERTEncoder | None, arguments: argparse.Namespace
) -> None:
    if arguments.html is not None:
        from video_colbert.index.results_page import write_search_page

        write_search_page(arguments.html, list(answered), is_zero_shot=encoder is not None and encoder.is_zero_shot)
        write_notice(f"Wrote {arguments.html}.")


def _candidates(calibration: Calibration, top_k: int, num_videos: int) -> str:
    return (
        f"Scored {calibration.candidates_for(top_k, num_videos)} candidates of {num_videos} videos; they hold "
        f"{calibration.recall:.1%} of the best {calibration.top_k} of {calibration.num_queries} queries."
    )
