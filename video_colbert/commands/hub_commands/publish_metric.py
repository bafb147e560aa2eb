"""`video-colbert publish-metric`: puts the retrieval metrics on the Hugging Face Hub as a module of `evaluate`."""

from __future__ import annotations

import argparse

from video_colbert.commands.arguments.hub_arguments import add_private, add_token
from video_colbert.console import ExitCode, write_result

NAME = "publish-metric"
HELP = "publish the retrieval metrics as a Space, from which `evaluate` loads them"
EXAMPLES = ("video-colbert publish-metric me/video_text_retrieval",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("repo_id", metavar="REPO_ID", help="the Space on the Hub; made if there is none")
    add_private(parser)
    add_token(parser)


def run(arguments: argparse.Namespace) -> int:
    """Publishes the Space.

    Raises:
        VideoColBERTError: the name is none of a module, or the Hub refuses it.
    """
    from video_colbert.hub.metric_space import publish_metric

    published = publish_metric(arguments.repo_id, private=arguments.private, token=arguments.token)
    write_result(
        f"published the metrics in commit {published.commit}\nSpace: {published.url}\n"
        f"evaluate.load({published.repo_id!r})"
    )
    return ExitCode.OK
