"""Serves a page to search on, an API and, with --mcp, tools for assistants, over indexes and folders.

A folder is searched by an index in the cache folder, as with `search --in`, which is brought up to date while the page
is open. Only this machine reaches the server, unless --host says otherwise; then a token is asked for, or --no-auth
says that none is. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.index_arguments import open_existing
from video_colbert.commands.arguments.model_arguments import add_model_arguments, load_encoder, with_model_of
from video_colbert.console import ExitCode, write_notice, write_result
from video_colbert.errors import IndexStoreError, MissingExtraError, NotServedError

if TYPE_CHECKING:
    from video_colbert.app.access import Access
    from video_colbert.app.background import IndexWork
    from video_colbert.app.service import SearchService
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.index import VideoIndex

NAME = "serve"
HELP = "a page to search on, an API and tools for assistants (MCP)"
EXAMPLES = (
    "video-colbert serve my_videos",
    "video-colbert serve --index my_index --mcp",
    "video-colbert serve --index my_index --host 0.0.0.0 --token 'a long secret'",
)

_TOKEN_VARIABLE = "VIDEO_COLBERT_TOKEN"  # noqa: S105 - where a token is looked for, and none
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared with what is asked for
_PORT = 7860


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    what = parser.add_argument_group("what is served")
    what.add_argument(
        "folders", nargs="*", metavar="FOLDER", help="folders of videos, at any depth, searched together"
    )
    what.add_argument(
        "--index",
        action="append",
        default=[],
        metavar="DIR",
        help="folder or address of an index; may be given several times",
    )
    what.add_argument("--mcp", action="store_true", help="also offer search to assistants, at /gradio_api/mcp")
    what.add_argument(
        "--allow-add",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="let people add folders of this machine at the page (default: where only this machine reaches it)",
    )
    where = parser.add_argument_group("where, and to whom")
    where.add_argument("--host", default="127.0.0.1", help="name or address to listen on (default: 127.0.0.1)")
    where.add_argument(
        "--port", type=_port, default=_PORT, help=f"port to listen on (default: {_PORT}); 0 for one that is free"
    )
    where.add_argument(
        "--token",
        default=os.environ.get(_TOKEN_VARIABLE),
        help=f"what everybody must show who asks for anything; better given as the variable {_TOKEN_VARIABLE}",
    )
    where.add_argument("--no-auth", action="store_true", help="ask nobody for a token, whatever --host is")
    where.add_argument(
        "--name",
        action="append",
        default=[],
        dest="names",
        metavar="NAME",
        help="a further name by which the server is reached, as behind a proxy; may be given several times",
    )
    where.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        default=None,
        dest="opens",
        help="open the page in a browser (default: from a terminal with a screen)",
    )
    add_model_arguments(parser, batch_size=8, model_required=False)
    parser.set_defaults(prune_all=False)


def run(arguments: argparse.Namespace) -> int:
    """Serves until it is interrupted.

    Raises:
        VideoColBERTError: something is missing, or contradicts itself; or a model or index cannot be used.
        FileNotFoundError: a folder is not there, or there is no video in any.
    """
    from video_colbert.app.idle_threads import let_idle_threads_sleep
    from video_colbert.app.ports import address_of, open_port

    let_idle_threads_sleep()
    access = _access(arguments)
    if not arguments.folders and not arguments.index:
        raise IndexStoreError("say what to serve: folders of videos, such as `serve .`, or --index DIR")
    for name in ("gradio", "mcp"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(
                f"serve needs the package {name}, which is not installed: pip install 'video-colbert[app]'"
            )
    for location in arguments.index:
        open_existing(location).close()
    with open_port(arguments.host, arguments.port) as opened:
        address = address_of(arguments.host, opened)
        service = _open_service(arguments)
        try:
            # Here, since it takes seconds to import.
            from video_colbert.app.server import build_application, uvicorn_server

            application = build_application(service, access, mcp=arguments.mcp)
            uvicorn_server(application, lambda: _announce(address, access, arguments)).run(sockets=[opened])
        except KeyboardInterrupt:
            # How it is meant to end.
            pass
        finally:
            service.close()
    write_notice("The server has ended.")
    return ExitCode.OK


def _access(arguments: argparse.Namespace) -> Access:
    """Who may ask.

    Raises:
        NotServedError: others than this machine could, and nothing says that they may; or the token is too short.
    """
    from video_colbert.app.access import LEAST_TOKEN_LETTERS, Access

    host, token = arguments.host.lower(), arguments.token or None
    if arguments.no_auth and token is not None:
        raise NotServedError("--token and --no-auth contradict each other; give one of them")
    if host not in _LOOPBACK and token is None and not arguments.no_auth:
        raise NotServedError(
            f"with --host {arguments.host}, others than this machine reach the server; say who may ask it by --token "
            "TOKEN, or by --no-auth that everybody may"
        )
    if token is not None and (len(token) < LEAST_TOKEN_LETTERS or not token.isascii() or not token.isprintable()):
        raise NotServedError(f"--token must have at least {LEAST_TOKEN_LETTERS} letters, all of them ASCII")
    names = {*_LOOPBACK, host, *(name.lower() for name in arguments.names)}
    return Access(names, any_address=host in _EVERY_ADDRESS, token=token)


def _open_service(arguments: argparse.Namespace) -> SearchService:
    """The service over all indexes; that of the folders is brought up to date beside it."""
    from video_colbert.app.service import SearchService

    locations: dict[str, str] = {}
    encoders: list[VideoColBERTEncoder] = []
    update: Callable[[], None] | None = None
    if arguments.folders:
        from video_colbert.commands.folder_index import open_outdated_index

        outdated = open_outdated_index(arguments, for_videos=True)
        encoders.append(outdated.encoder)
        name = _free_name(" and ".join(Path(folder).resolve().name or "files" for folder in arguments.folders), ())
        locations[name] = outdated.index.location
        work: IndexWork = outdated.bring_up_to_date
        shown = ", ".join(arguments.folders)

        def update() -> None:
            service.run_in_background(name, f"bringing {shown} up to date", work)

    for location in arguments.index:
        locations[_free_name(location.rstrip("/\\").replace("\\", "/").rpartition("/")[2], locations)] = location

    def load(stored: VideoIndex) -> VideoColBERTEncoder:
        loaded = [encoder for encoder in encoders if encoder.reference.revision == stored.model.revision]
        if not loaded:
            from video_colbert.index.video_index import check_model

            encoders.append(load_encoder(with_model_of(arguments, stored)))
            check_model(stored, encoders[-1].reference)
            loaded = encoders[-1:]
        return loaded[0]

    is_here = arguments.host.lower() in _LOOPBACK
    may_add = is_here and not arguments.no_auth if arguments.allow_add is None else arguments.allow_add
    service = SearchService(locations, load_encoder=load, device=arguments.device, may_add=may_add, may_reveal=is_here)
    if update is not None:
        update()
    return service


def _free_name(wanted: str, taken: Sequence[str] | dict[str, str]) -> str:
    """A name for an index that can stand in an address and is no other's."""
    plain = (
        "".join(letter if letter.isalnum() or letter in " ._-" else "-" for letter in wanted).strip(". ") or "index"
    )
    number, name = 1, plain
    while name in taken:
        number += 1
        name = f"{plain or 'index'} {number}"
    return name


def _announce(address: str, access: Access, arguments: argparse.Namespace) -> None:
    """Writes where the page is, and opens it where that is wanted."""
    write_result(address)
    if arguments.mcp:
        write_notice(f"Tools for assistants (MCP, streamable HTTP): {address}gradio_api/mcp/")
    if access.token is not None:
        write_notice(f"It asks for the token: open {address}?token=TOKEN once.")
    elif arguments.host.lower() not in _LOOPBACK:
        write_notice("Everybody who reaches this machine may search, and see the videos.")
    write_notice("Ctrl-C ends it.")
    if _has_screen() if arguments.opens is None else arguments.opens:
        webbrowser.open(address if access.token is None else f"{address}?token={access.token}")


def _has_screen() -> bool:
    """Whether somebody sits at a terminal of this machine, and a browser can be shown."""
    if not sys.stderr.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in ("darwin", "win32") or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ


def _port(text: str) -> int:
    """A port's number.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, got {text!r}")
    return int(text)
