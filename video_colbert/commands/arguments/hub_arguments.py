"""The arguments of every command that asks the Hub for more than a model."""

from __future__ import annotations

import argparse


def add_token(parser: argparse._ActionsContainer) -> None:
    """Adds --token."""
    parser.add_argument("--token", help="Hub token (default: HF_TOKEN, or the one of `hf auth login`)")


def add_private(parser: argparse._ActionsContainer) -> None:
    """Adds --private."""
    parser.add_argument("--private", action="store_true", help="make the repository private")


def add_repository(parser: argparse._ActionsContainer) -> None:
    """Adds REPO_ID."""
    parser.add_argument("repo_id", metavar="REPO_ID", help="repository on the Hub; made if there is none")
