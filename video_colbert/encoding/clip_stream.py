"""A stream of clips, decoded by threads ahead of the model that encodes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from video_colbert.encoding.clip_decoding import ClipDecoder, DecodedClip
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip

_Input = TypeVar("_Input")
_Output = TypeVar("_Output")


def encode_stream(
    clips: Iterable[VideoClip],
    decoder: ClipDecoder,
    encode: Callable[[Sequence[DecodedClip]], list[EncodedVideo | BadVideo]],
    *,
    batch_size: int,
    together: int,
    threads: int,
) -> Iterator[EncodedVideo | BadVideo]:
    """Decodes and encodes clips, one result for each, in their order.

    Args:
        clips: taken as needed.
        decoder: what decodes them.
        encode: what encodes some of them at once.
        batch_size: clips that wait for each other.
        together: clips of a batch that `encode` gets at once.
        threads: decoding threads.
    """
    waiting: list[DecodedClip | BadVideo] = []
    for decoded in _map_ahead(decoder.decode, clips, threads=threads, ahead=2 * threads):
        waiting.append(decoded)
        if sum(isinstance(item, DecodedClip) for item in waiting) == batch_size:
            yield from _encode_waiting(waiting, encode, together)
            waiting = []
    yield from _encode_waiting(waiting, encode, together)


def _encode_waiting(
    items: Sequence[DecodedClip | BadVideo],
    encode: Callable[[Sequence[DecodedClip]], list[EncodedVideo | BadVideo]],
    together: int,
) -> Iterator[EncodedVideo | BadVideo]:
    """Encodes the good ones of `items` and gives one result for each item, in order."""
    batch = [item for item in items if isinstance(item, DecodedClip)]
    groups = [batch[start : start + together] for start in range(0, len(batch), together)]
    encoded = iter([video for group in groups for video in encode(group)])
    return iter([item if isinstance(item, BadVideo) else next(encoded) for item in items])


def _map_ahead(
    function: Callable[[_Input], _Output], inputs: Iterable[_Input], *, threads: int, ahead: int
) -> Iterator[_Output]:
    """Maps in threads, in order, with at most `ahead` results made or being made before they are wanted."""
    executor = ThreadPoolExecutor(threads)
    pending: deque[Future[_Output]] = deque()
    try:
        for item in inputs:
            pending.append(executor.submit(function, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # Also when the consumer stops early: what has not begun is not begun.
        executor.shutdown(wait=True, cancel_futures=True)
