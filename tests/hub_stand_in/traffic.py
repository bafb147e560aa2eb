"""What passed between client and stand-in, and what is to go wrong there."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LoggedRequest:
    """A request that was received; `byte_range` is its Range header."""

    method: str
    path: str
    byte_range: str | None


@dataclass
class Faults:
    """What is to go wrong; each fault happens once."""

    # Bytes of a file, by its name, after which the connection breaks.
    dropped_downloads: dict[str, int] = field(default_factory=dict)
