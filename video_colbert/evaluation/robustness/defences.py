"""What may be done to a video before it is encoded so that an attack on its pixels is lost, and the video is not."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.level_scores import level_scores, pad_levels
from video_colbert.evaluation.robustness.attacked_video import encode_video, sampled_indices
from video_colbert.evaluation.robustness.written_video import written_and_decoded
from video_colbert.processing import DecodedVideo

Views = Callable[[VideoColBERTEncoder, DecodedVideo, np.random.Generator], list[EncodedVideo]]
"""Encodes the views that a defence takes of a video."""

_MOST_SHIFT = 1 / 16


@dataclass(frozen=True)
class Defence:
    """A way to encode videos that is meant to lose what an attack added.

    Attributes:
        name: as a user types it.
        views: encodes the views of a video; its score is the median of theirs.
    """

    name: str
    views: Views


def defence_of(name: str) -> Defence:
    """The defence that a name means.

    Args:
        name: "none"; "jpeg" or "jpeg:QUALITY" (75) for every frame through JPEG; "h264" or "h264:CRF" (28) for the
            video through H.264; "jitter" for a random frame of each segment in place of its middle; "shuffle" for the
            sampled frames in random order; "median" or "median:VIEWS" (5) for the median score over views of random
            frames, each shifted by up to a sixteenth of its size.

    Raises:
        ValueError: there is no such defence, or its number is out of range.

    Example:
        >>> defence_of("jpeg:50").name
        'jpeg:50'
    """
    kind, colon, number = name.partition(":")
    if kind in ("none", "jitter", "shuffle") and not colon:
        return Defence(name, {"none": _plain, "jitter": _jittered, "shuffle": _shuffled}[kind])
    ranges = {"jpeg": (75, 1, 95), "h264": (28, 0, 51), "median": (5, 1, 99)}
    if kind not in ranges:
        listed = ", ".join(["none", "jitter", "shuffle", *(f"{kind}:N" for kind in ranges)])
        raise ValueError(f"there is no defence {name!r}; there are {listed}")
    default, lowest, highest = ranges[kind]
    if colon and not (number.isdecimal() and lowest <= int(number) <= highest):
        raise ValueError(f"the number of the defence {name!r} must be a whole one from {lowest} to {highest}")
    setting = int(number) if colon else default
    of_kind: dict[str, Callable[[int], Views]] = {"jpeg": _jpeg, "h264": _h264, "median": _median}
    return Defence(f"{kind}:{setting}", of_kind[kind](setting))


def encode_views(
    defence: Defence, encoder: VideoColBERTEncoder, videos: Sequence[DecodedVideo], seed: int
) -> list[list[EncodedVideo]]:
    """Encodes videos as a defence does.

    Args:
        defence: the defence.
        encoder: the model.
        videos: all frames of each.
        seed: of what the defence draws; a video's draws depend on its number in `videos` too.

    Returns:
        For each video its views.
    """
    return [
        defence.views(encoder, video, np.random.default_rng([seed, number])) for number, video in enumerate(videos)
    ]


def median_scores(queries: EncodedQueries, views: Sequence[Sequence[EncodedVideo]]) -> Tensor:
    """Scores of videos, each the median over its views.

    Args:
        queries: Nq queries.
        views: of N videos, as many of each.

    Returns:
        [Nq, N].
    """
    of_views = [level_scores(queries, pad_levels(list(column)))["sum"] for column in zip(*views, strict=True)]
    return torch.stack(of_views).median(0).values


def through_jpeg(frames: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    """Frames as they come back from JPEG, each for itself.

    Args:
        frames: uint8 [T, H, W, 3].
        quality: Pillow's, from 1 to 95.
    """
    back = np.empty_like(frames)
    for number, frame in enumerate(frames):
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=quality)
        back[number] = np.asarray(Image.open(file))
    return back


def shifted(frames: npt.NDArray[np.uint8], down: int, right: int) -> npt.NDArray[np.uint8]:
    """Frames moved by whole pixels; what comes in at an edge repeats it.

    Args:
        frames: uint8 [T, H, W, 3].
        down: pixels; negative for up.
        right: pixels; negative for left.
    """
    rows = np.clip(np.arange(frames.shape[1]) - down, 0, frames.shape[1] - 1)
    columns = np.clip(np.arange(frames.shape[2]) - right, 0, frames.shape[2] - 1)
    return frames[:, rows][:, :, columns]


def _plain(encoder: VideoColBERTEncoder, video: DecodedVideo, _: np.random.Generator) -> list[EncodedVideo]:
    return [encode_video(encoder, video)]


def _jittered(encoder: VideoColBERTEncoder, video: DecodedVideo, generator: np.random.Generator) -> list[EncodedVideo]:
    return [encode_video(encoder, video, generator=generator)]


def _shuffled(encoder: VideoColBERTEncoder, video: DecodedVideo, generator: np.random.Generator) -> list[EncodedVideo]:
    sampled = sampled_indices(encoder, video)
    frames = video.frames.copy()
    frames[sampled] = video.frames[generator.permutation(sampled)]
    return [encode_video(encoder, replace(video, frames=frames))]


def _jpeg(quality: int) -> Views:
    def views(encoder: VideoColBERTEncoder, video: DecodedVideo, _: np.random.Generator) -> list[EncodedVideo]:
        sampled = sampled_indices(encoder, video)
        frames = video.frames.copy()
        frames[sampled] = through_jpeg(video.frames[sampled], quality)
        return [encode_video(encoder, replace(video, frames=frames))]

    return views


def _h264(quality: int) -> Views:
    def views(encoder: VideoColBERTEncoder, video: DecodedVideo, _: np.random.Generator) -> list[EncodedVideo]:
        return [encode_video(encoder, written_and_decoded(video, quality=quality))]

    return views


def _median(number: int) -> Views:
    def views(encoder: VideoColBERTEncoder, video: DecodedVideo, generator: np.random.Generator) -> list[EncodedVideo]:
        height, width = video.frames.shape[1:3]
        found = []
        for _ in range(number):
            down, right = (
                int(generator.integers(-int(size * _MOST_SHIFT), int(size * _MOST_SHIFT) + 1))
                for size in (height, width)
            )
            moved = replace(video, frames=shifted(video.frames, down, right))
            found.append(encode_video(encoder, moved, generator=generator))
        return found

    return views
