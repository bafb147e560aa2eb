"""A clip decoded in a process of its own, for programs that take clips from strangers: decoders crash and hang."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import replace
from pathlib import Path

from video_colbert.encoding.clip_decoding import ClipDecoder, DecodedClip
from video_colbert.encoding.decoding_process import (
    Answer,
    ClipInSlot,
    DecodeInto,
    Question,
    decoded_clip,
    start_decoding,
)
from video_colbert.encoding.encoded import BadVideo, VideoClip
from video_colbert.encoding.shared_memory import SharedSlots
from video_colbert.processes.worker_pool import Failure, WorkerPool

_SECONDS = 60.0


def decode_apart(decoder: ClipDecoder, clip: VideoClip) -> DecodedClip | BadVideo:
    """Decodes a clip in another process; one that crashes or takes more than a minute makes the clip bad.

    Args:
        decoder: what decodes.
        clip: of a file, or of its bytes, which are written to a temporary file meanwhile.

    Raises:
        WorkerError: the process cannot be started.
    """
    if not isinstance(clip.source, bytes):
        return _decode(decoder, clip)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip"
        file.write_bytes(clip.source)
        decoded = _decode(decoder, replace(clip, source=str(file)))
    return replace(decoded, source="the clip") if isinstance(decoded, BadVideo) else replace(decoded, clip=clip)


def _decode(decoder: ClipDecoder, clip: VideoClip) -> DecodedClip | BadVideo:
    # None fits in a slot of no bytes, so pixels come with the answer and outlive the process.
    slots = SharedSlots(1, 0)
    question = DecodeInto(clip, 0)
    try:
        pool: WorkerPool[Question, Answer] = WorkerPool(
            functools.partial(start_decoding, decoder, slots), workers=1, timeout=_SECONDS
        )
        with pool:
            [finished] = pool.results([question])
    finally:
        slots.close()
    answer = finished.answer
    if isinstance(answer, Failure):
        return BadVideo(str(clip.source), f"decoding it {answer.reason}")
    if isinstance(answer, BadVideo):
        return answer
    if not isinstance(answer, ClipInSlot):
        raise TypeError(f"a clip was asked for, got {type(answer).__name__}")
    return decoded_clip(question, answer, slots)
