"""A reader of passages that says what it did in files, so that tests see it across processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from video_colbert.errors import ModelLoadError
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.text.audio import SoundOfFile
from video_colbert.text.passages import Passage, ReadPassages


class MadeReader:
    """Reads the name of a file as speech; what it does is told by the name.

    Args:
        log: a file to which the names of what is read are added.
        settings: what `settings_of` says.
    """

    source: Literal["speech"] = "speech"

    def __init__(self, log: Path, settings: str = "made") -> None:
        self._log = log
        self._settings = settings

    def settings_of(self, path: str) -> str:
        return self._settings

    def load(self, threads: int = 0) -> None:
        if self._settings == "unloadable":
            raise ModelLoadError("the speech model 'made' cannot be loaded: it is damaged")
        if self._settings == "uninstalled":
            raise ModuleNotFoundError("No module named 'listening'", name="listening")

    def read(self, path: str, progress: Callable[[float], None] | None = None) -> ReadPassages:
        with self._log.open("a") as log:
            log.write(f"{Path(path).name}\n")
        if "crash" in path:
            os.abort()
        if "change" in path:
            Path(path).write_bytes(b"another content")
        if "long" in path:
            assert progress is not None
            for second in range(60):
                progress(float(second))
                time.sleep(0.5)
        if "damaged" in path:
            return ReadPassages([Passage("speech", "what is left", 0.0, 1.0)], "2 packets of its sound are damaged")
        return ReadPassages([Passage("speech", f"this is {Path(path).name}", 0.0, 1.0)])


class SoundReader:
    """Tells how long the sound of a file is, as speech, and what of it is damaged; recognises nothing."""

    source: Literal["speech"] = "speech"

    def settings_of(self, path: str) -> str:
        return "sound"

    def load(self, threads: int = 0) -> None:
        """Loads nothing."""

    def read(self, path: str, progress: Callable[[float], None] | None = None) -> ReadPassages:
        sound = SoundOfFile(path)
        try:
            found = [
                Passage(
                    self.source, f"sound of {stretch.seconds:.1f} s", stretch.start, stretch.start + stretch.seconds
                )
                for stretch in sound
            ]
        except VideoDecodingError as error:
            return ReadPassages([], error.reason)
        return ReadPassages(found, sound.problem)
