"""How the videos of an index are cut, found out from what is stored of them or from their files."""

from __future__ import annotations

from collections.abc import Iterable

from video_colbert.encoding.encoded import BadVideo
from video_colbert.encoding.encoding_plan import ReadScenes
from video_colbert.encoding.scene_changes import VideoScenes
from video_colbert.index.ingest.stored_content import StoredContent
from video_colbert.index.windows import TooManyWindowsError, Window, WindowSettings, are_complete, video_windows


class Cutter:
    """Cuts videos as an index says.

    Args:
        settings: how long videos are cut; None for not at all.
    """

    def __init__(self, settings: WindowSettings | None) -> None:
        self._settings = settings
        self._scenes_beyond = None if settings is None else settings.scenes_beyond

    def question(self, address: str) -> ReadScenes | None:
        """What has to be known of a file before it is cut; None where all are whole."""
        return None if self._settings is None else ReadScenes(address, self._scenes_beyond)

    def windows(self, path: str, scenes: VideoScenes) -> tuple[Window, ...] | BadVideo:
        """The windows of a video, or why it is not cut."""
        try:
            return tuple(video_windows(scenes.duration, self._settings, scenes.changes, scenes.stays))
        except TooManyWindowsError as error:
            return BadVideo(path, str(error), is_lasting=True)

    def stored_windows(
        self, path: str, stored: StoredContent, bad: Iterable[Window]
    ) -> tuple[Window, ...] | BadVideo | None:
        """The windows of a video of which some are stored, or why it is not cut.

        Args:
            path: the file's.
            stored: what is stored of it.
            bad: windows of it that cannot be.

        Returns:
            None where the file decides, by its scene changes or a frame that stays on show, and some of it is neither
            stored nor bad: it has to be looked at again.
        """
        known = tuple(dict.fromkeys((*stored.ids, *bad)))
        if self._scenes_beyond is not None:
            return known if are_complete(known, stored.duration) else None
        if self._settings is None:
            return self.windows(path, VideoScenes(stored.duration))
        # A window that is longer than others is of such a frame.
        bounds = [(start, end) for start, end in known if start is not None and end is not None]
        longest = (self._settings.seconds or 0.0) + 1e-3
        stays = tuple(sorted((start, end) for start, end in bounds if end - start > longest))
        windows = self.windows(path, VideoScenes(stored.duration, stays=stays))
        return windows if isinstance(windows, BadVideo) or set(windows) <= set(known) else None
