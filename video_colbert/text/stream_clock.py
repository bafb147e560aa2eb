"""The clock of a file's sound and subtitles, which begins where that of its pictures does."""

from __future__ import annotations

import av
from av.container import InputContainer


def first_second(container: InputContainer) -> float:
    """The seconds on the clock of a file's streams that are 0 s for a player and for the times of frames.

    Args:
        container: an open file.

    Returns:
        Where the file starts: with its first frame or sound, but not before 0 with priming samples of its encoder.
    """
    return 0.0 if container.start_time is None else max(container.start_time / av.time_base, 0.0)
