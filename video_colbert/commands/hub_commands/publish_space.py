"""`video-colbert publish-space`: puts the page over an index on the Hugging Face Hub as a Space, in one commit."""

from __future__ import annotations

import argparse

from video_colbert.commands.arguments.hub_arguments import add_private, add_token
from video_colbert.commands.arguments.index_arguments import add_index_argument, where_grammar
from video_colbert.commands.arguments.numbers import positive_int
from video_colbert.console import ExitCode, write_notice, write_result

NAME = "publish-space"
HELP = "publish the page over an index as a Space on the Hugging Face Hub"
EXAMPLES = ("video-colbert publish-space me/video-search --index my_index",)
NOTES = where_grammar()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("repo_id", metavar="REPO_ID", help="the Space on the Hub; made if there is none")
    add_index_argument(parser)
    parser.add_argument("--model", metavar="ID", help="the model on the Hub that made the index (default: as it says)")
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help="only videos for which this holds go along. The files belong to the people who made them, and a public "
        "Space passes them on to everyone: choose videos whose licence allows it, or --private",
    )
    parser.add_argument(
        "--max-mb", type=positive_int, default=1000, metavar="MB", help="what the videos may take (default: 1000)"
    )
    parser.add_argument("--title", default="Video search", help="heading of the Space (default: Video search)")
    add_private(parser)
    add_token(parser)


def run(arguments: argparse.Namespace) -> int:
    """Publishes the Space; returns 3 if videos of the index have no file here and were left out.

    Raises:
        VideoColBERTError: the index cannot be published, or the Hub refuses it.
    """
    from video_colbert.hub.space import publish_space

    published = publish_space(
        arguments.repo_id,
        arguments.index,
        model=arguments.model,
        where=arguments.where,
        most_bytes=arguments.max_mb * 10**6,
        private=arguments.private,
        token=arguments.token,
        title=arguments.title,
    )
    for path in published.left_out:
        write_notice(f"Left out, since the file is gone: {path}")
    write_result(
        f"published {published.num_videos} videos ({published.num_bytes / 1e6:.1f} MB) and their index in commit "
        f"{published.commit}\nSpace: {published.url}"
    )
    return ExitCode.SOME_BAD if published.left_out else ExitCode.OK
