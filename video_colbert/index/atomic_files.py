"""Files that are replaced as a whole: after a crash either the old or the new content is there, never half of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from video_colbert.errors import IndexStoreError


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file beside `path` and renames it over `path` once it is on disk.

    Args:
        path: the file to replace or to make.
        write: writes the new content to the path it is given.

    Raises:
        IndexStoreError: the file cannot be written (no permission, no space); what was at `path` is as before.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        # A writer may make the file private (safetensors does); a new file of this user has the usual mode.
        temporary.unlink(missing_ok=True)
        temporary.touch()
        mode = temporary.stat().st_mode
        write(temporary)
        temporary.chmod(mode)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or error
        raise IndexStoreError(f"{path} cannot be written ({reason}); what was there before is kept") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
