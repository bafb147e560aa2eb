"""`video-colbert compare-models`: which queries find something else with another checkpoint."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.cache_folder import cache_folder
from video_colbert.commands.arguments.index_arguments import add_index_argument, open_existing
from video_colbert.commands.arguments.model_arguments import add_settings_of_models, load_encoder, with_model_of
from video_colbert.commands.arguments.numbers import positive_int
from video_colbert.console import ExitCode, printable, write_notice, write_result
from video_colbert.errors import DatasetError, IndexStoreError
from video_colbert.whole_files import write_whole

if TYPE_CHECKING:
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.evaluation.reports.score_drift import ScoreDrift
    from video_colbert.index import Index

NAME = "compare-models"
HELP = "see which queries find something else with another checkpoint"
EXAMPLES = (
    "video-colbert compare-models openai/clip-vit-base-patch32 CHECKPOINT --index my_index --queries queries.txt",
)
_SHOWN_QUERIES = 10
_QUERIES_TOGETHER = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    model = "Hub id, of a revision as ID@REVISION, or local folder of a checkpoint"
    parser.add_argument("before", metavar="A", help=model)
    parser.add_argument("after", metavar="B", help=f"{model}; one of both made the index")
    add_index_argument(parser)
    parser.add_argument("--queries", type=Path, required=True, metavar="FILE", help="queries, a line each")
    parser.add_argument(
        "--other-index",
        metavar="DIR",
        help="index of the same videos by the model that did not make --index; what it lacks is encoded (default: one "
        "in the cache folder, which is kept)",
    )
    parser.add_argument(
        "--top-k", type=positive_int, default=10, metavar="K", help="first videos that are compared (default: 10)"
    )
    parser.add_argument(
        "--json", action="store_true", help="write one JSON object, with every query, in place of text"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write that JSON object to a file")
    add_settings_of_models(parser.add_argument_group("the models"), batch_size=8)


def run(arguments: argparse.Namespace) -> int:
    """Compares the models; returns 3 if videos of the index could not be compared.

    Raises:
        VideoColBERTError: a model, an index or the file of queries cannot be used.
        OSError: --output cannot be written.
    """
    from video_colbert.evaluation.reports.score_drift import compare_rankings

    queries = _read_queries(arguments.queries)
    index = open_existing(arguments.index)
    before, after = (_load(arguments, index, name) for name in (arguments.before, arguments.after))
    revisions = [encoder.reference.revision for encoder in (before, after)]
    if index.stored.model.revision not in revisions:
        raise IndexStoreError(
            f"the index in {index.location} was made with {index.stored.model}, which is neither {before.reference} "
            f"nor {after.reference}; one of the models must be it"
        )
    is_before = index.stored.model.revision == revisions[0]
    index.encoder, other_encoder = (before, after) if is_before else (after, before)
    other = _other_index(arguments, index, other_encoder)
    missing = _missing_videos(index, other)
    rankings = [_rankings(each, queries, arguments.top_k, missing) for each in (index, other)]
    drift = compare_rankings(queries, *(rankings if is_before else rankings[::-1]), k=arguments.top_k)
    record = {
        "models": [str(before.reference), str(after.reference)],
        "index": index.location,
        "videos_left_out": sorted(missing),
        **drift.as_dict(),
    }
    content = json.dumps(record, indent=2)
    if arguments.output is not None:
        write_whole(arguments.output, content + "\n")
        write_notice(f"Wrote {arguments.output}.")
    write_result(content if arguments.json else "\n".join(_lines(drift)))
    if missing:
        write_notice(f"{len(missing)} videos are in one of the indexes only and were left out of both rankings.")
    return ExitCode.SOME_BAD if missing else ExitCode.OK


def _read_queries(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"the file of queries {file} cannot be read: {error}") from error
    queries = [line.strip() for line in lines if line.strip()]
    if not queries:
        raise DatasetError(f"{file} holds no query; write one a line")
    return queries


def _load(arguments: argparse.Namespace, index: Index, name: str) -> VideoColBERTEncoder:
    """The encoder of a model that is named as ID, ID@REVISION or a folder."""
    is_folder = Path(name).is_dir()
    model, _, revision = (name, "", "") if is_folder else name.partition("@")
    named = argparse.Namespace(**{**vars(arguments), "model": model, "revision": revision or None})
    return load_encoder(with_model_of(named, index.stored))


def _other_index(arguments: argparse.Namespace, index: Index, encoder: VideoColBERTEncoder) -> Index:
    """An index of the same videos by the other model, with all of them in it that can be read."""
    from video_colbert.encoding.media_files import is_remote
    from video_colbert.index import open_index

    location = arguments.other_index
    if location is None:
        key = json.dumps([str(Path(index.location).resolve()), encoder.reference.revision])
        location = str(cache_folder() / "compared" / hashlib.sha256(key.encode()).hexdigest()[:20])
    other = open_index(location, encoder, windows=index.stored.windows or "none")
    paths = [video.path for video in index.videos]
    there = [path for path in dict.fromkeys(paths) if is_remote(path) or Path(path).is_file()]
    if there:
        report = other.add(there, batch_size=arguments.batch_size)
        write_notice(f"{other.location}: {report}")
    return other


def _missing_videos(index: Index, other: Index) -> set[str]:
    """Videos that only one of two indexes holds."""
    first, second = ({video.path for video in each.videos} for each in (index, other))
    if not first & second:
        raise IndexStoreError(
            f"{index.location} and {other.location} have no video in common, so there is nothing to compare"
        )
    return first ^ second


def _rankings(index: Index, queries: list[str], top_k: int, without: set[str]) -> list[list[str]]:
    """The first videos for each query, without some."""
    from video_colbert.encoding.search_hits import SearchHits

    found: list[list[str]] = []
    for start in range(0, len(queries), _QUERIES_TOGETHER):
        part = queries[start : start + _QUERIES_TOGETHER]
        hits: list[SearchHits] = index.search(part, top_k=top_k + len(without), sources=["video"])
        found += [[hit.video for hit in of_query if hit.video not in without][:top_k] for of_query in hits]
    return found


def _lines(drift: ScoreDrift) -> Iterator[str]:
    changed = [each for each in drift.queries if each.is_first_changed or each.overlap < 1.0]
    yield f"{len(drift.queries)} queries, the first {drift.k} videos of each model"
    yield f"another first video: {drift.changed_first:.1%} of queries"
    yield f"shared among the first {drift.k}: {drift.overlap:.1%}"
    if drift.rank_correlation is not None:
        yield f"rank correlation (Spearman): {drift.rank_correlation:.3f}"
    if changed:
        yield f"The queries that changed most ({min(len(changed), _SHOWN_QUERIES)} of {len(changed)} that changed):"
    for each in changed[:_SHOWN_QUERIES]:
        first = " -> ".join(Path(video).name if video else "nothing" for video in each.first)
        yield f"  {each.overlap:4.0%} shared  {printable(each.query)}"
        if each.is_first_changed:
            yield f"               first: {printable(first)}"
