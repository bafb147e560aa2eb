"""What a file says of itself: the title, comment and description that its container holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from video_colbert.processing.video_containers import decoding_errors, open_container
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.text.passages import Passage, ReadPassages, one_line

# Tags in which people and programs put text about what is in a file, by FFmpeg's names.
_TAGS = ("title", "show", "description", "synopsis", "comment", "lyrics")


class DescriptionReader:
    """Reads the tags of a container that tell of its content, each text a passage of the whole video.

    Example:
        >>> DescriptionReader().read("a.mp4").passages
        []
    """

    source: Literal["description"] = "description"

    def settings_of(self, path: str) -> str:
        """As `PassageReader.settings_of`."""
        return "tags 1"

    def load(self, threads: int = 0) -> None:
        """Loads nothing."""

    def read(self, path: str, progress: Callable[[float], None] | None = None) -> ReadPassages:
        """Reads a file's tags; the same text in two of them is one passage.

        Args:
            path: of a local video file.
            progress: not called.
        """
        try:
            with decoding_errors(path), open_container(path, path) as container:
                tags = {name.lower(): text for name, text in container.metadata.items()}
        except VideoDecodingError as error:
            return ReadPassages([], error.reason)
        texts = dict.fromkeys(one_line(tags[name]) for name in _TAGS if name in tags)
        return ReadPassages([Passage(self.source, text) for text in texts if text])
