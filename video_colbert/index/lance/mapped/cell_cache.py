"""Where the cells of an index are, and whether this process can write there."""

from __future__ import annotations

import logging
from pathlib import Path

from video_colbert.index.lance.mapped.token_files import FOLDER as TOKENS
from video_colbert.index.lance.mapped.token_files import token_folder
from video_colbert.index.lance.storage import TABLE_NAME

logger = logging.getLogger(__name__)

FOLDER = "_cells"
"""Name of the folder in an index's folder."""


class CellCache:
    """The cells of an index as one process uses them; what it cannot write it says once.

    Args:
        folder: where their files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.can_write = True

    def give_up(self, reason: str) -> None:
        """Writes no more, and says so the first time."""
        if self.can_write:
            logger.warning(
                "Searches do without new files in %s, which is slower: they cannot be written or mapped (%s)",
                self.folder,
                reason,
            )
        self.can_write = False


def cell_folder(location: str, table: str = TABLE_NAME) -> Path | None:
    """Where the cells of a table are, beside its mapped tokens; None for an index in memory.

    Args:
        location: as `token_folder`.
        table: likewise.
    """
    tokens = token_folder(location, table)
    if tokens is None:
        return None
    is_in_index = tokens.name.startswith(TOKENS)
    return tokens.with_name(f"{FOLDER}{tokens.name.removeprefix(TOKENS)}" if is_in_index else f"{tokens.name}{FOLDER}")
