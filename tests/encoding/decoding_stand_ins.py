"""Decoders that crash, hang or fail at certain files, as a decoder does at a file that nobody foresaw."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from video_colbert.encoding.clip_decoding import ClipDecoder, DecodedClip
from video_colbert.encoding.encoded import BadVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.processing import OpenVideoFile


@dataclass(frozen=True)
class TroubledDecoder(ClipDecoder):
    """Crashes its process at files named crash*, once at files named once*, hangs at hang*, raises at raise*.

    Each decoding of a file named count* adds a byte to the file `decoded` beside it.
    """

    def decode(self, clip: VideoClip, opened: OpenVideoFile | str | BinaryIO | None = None) -> DecodedClip | BadVideo:
        path = Path(str(clip.source))
        if path.name.startswith("crash"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if path.name.startswith("once") and not path.with_suffix(".crashed").exists():
            path.with_suffix(".crashed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if path.name.startswith("hang"):
            time.sleep(3600)
        if path.name.startswith("count"):
            with path.with_name("decoded").open("a") as file:
                file.write(".")
        if path.name.startswith("raise"):
            raise IndexError("packet of no stream")
        return super().decode(clip, opened)


class TroubledEncoder(VideoColBERTEncoder):
    """An encoder whose clips are decoded by a `TroubledDecoder`."""

    def clip_decoder(self, num_frames: int | None = None) -> ClipDecoder:
        decoder = super().clip_decoder(num_frames)
        return TroubledDecoder(decoder.decoding, decoder.resizing, decoder.max_frames)
