"""The port that a server listens on."""

from __future__ import annotations

import errno
import os
import socket

from video_colbert.errors import NotServedError


def open_port(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: name or address of this machine.
        port: its number; 0 for one that is free.

    Raises:
        NotServedError: the port is in use, or the name is none of this machine.
    """
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise NotServedError(f"--host {host} is no name or address of this machine") from error
    try:
        if os.name == "posix":
            # Else a port would be in use for a minute after a server ended.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(socket.SOMAXCONN)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise NotServedError(
                f"port {port} of {host} is in use; choose another with --port, or --port 0 for one that is free"
            ) from error
        raise NotServedError(f"port {port} of {host} cannot be opened: {error.strerror}") from error
    return opened


def address_of(host: str, opened: socket.socket) -> str:
    """The address that people open in a browser.

    Args:
        host: as of `open_port`.
        opened: of it.
    """
    port = opened.getsockname()[1]
    name = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - compared, not bound to
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"
