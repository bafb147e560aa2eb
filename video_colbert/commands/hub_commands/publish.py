"""`video-colbert publish`: puts a checkpoint on the Hugging Face Hub in one commit."""

from __future__ import annotations

import argparse

from video_colbert.commands.arguments.hub_arguments import add_private, add_repository, add_token
from video_colbert.console import ExitCode, write_notice, write_result

NAME = "publish"
HELP = "publish a checkpoint on the Hugging Face Hub"
EXAMPLES = ("video-colbert publish CHECKPOINT me/my-model",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="folder where model and processor are saved")
    add_repository(parser)
    add_private(parser)
    parser.add_argument("--revision", help="branch to commit to, made if there is none (default: main)")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--create-pr", action="store_true", help="open a pull request instead of committing")
    choice.add_argument("--tag", help="tag to put on the commit, such as v1.0")
    add_token(parser)
    parser.add_argument("--license", help="licence of the weights, as the Hub names it (default: the backbone's)")


def run(arguments: argparse.Namespace) -> int:
    """Publishes the checkpoint.

    Raises:
        VideoColBERTError: the checkpoint is incomplete, or the Hub refuses it.
    """
    from video_colbert.hub import publish_checkpoint

    published = publish_checkpoint(
        arguments.checkpoint,
        arguments.repo_id,
        private=arguments.private,
        revision=arguments.revision,
        create_pr=arguments.create_pr,
        tag=arguments.tag,
        token=arguments.token,
        license=arguments.license,
    )
    if published.left_out:
        write_notice(f"Left out, no part of a checkpoint: {', '.join(published.left_out)}.")
    if published.license is None:
        write_notice("The licence of the backbone is not known, so the card names none; give it with --license.")
    write_result(f"{len(published.files)} files published: {published.pull_request_url or published.url}")
    return ExitCode.OK
