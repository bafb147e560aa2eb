"""Encoded videos of any content, for tests of what stores them."""

from __future__ import annotations

import numpy as np
import torch

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, QueryBags, VideoClip
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.index import IndexedVideo
from video_colbert.index.indexed_video import MetadataValue
from video_colbert.processing import QueryWord

MODEL = ModelReference("some/model", "a" * 40)
WIDTH = 8


def unit_vectors(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape, WIDTH, generator=generator), dim=-1)


def make_video(
    name: str,
    *,
    frames: int = 3,
    digest: str | None = None,
    has_video_level: bool = True,
    seed: int | None = None,
    start: float | None = None,
    end: float | None = None,
    metadata: dict[str, MetadataValue] | None = None,
) -> tuple[IndexedVideo, EncodedVideo]:
    """A video whose tokens are a function of its name, or of the seed."""
    generator = torch.Generator().manual_seed(sum(map(ord, name)) if seed is None else seed)
    times = np.arange(frames) / 2
    embeds = {}
    if has_video_level:
        embeds["video"] = unit_vectors(generator, frames + 2)
    embeds = {"frame": unit_vectors(generator, frames), **embeds}
    return (
        IndexedVideo(
            f"/videos/{name}",
            digest or f"digest of {name}",
            frames / 2,
            tuple(times.tolist()),
            start=start,
            end=end,
            metadata=metadata or {},
        ),
        EncodedVideo(VideoClip(f"/videos/{name}"), frames / 2, times, embeds),
    )


def make_queries(number: int = 3, *, levels: tuple[str, ...] = ("frame", "video")) -> EncodedQueries:
    generator = torch.Generator().manual_seed(number)
    mask = torch.ones(number, 5, dtype=torch.bool)
    mask[0, 3:] = False
    words = [QueryWord("red", [1]), QueryWord("circle", [2, 3])]
    bags = QueryBags(unit_vectors(generator, number, 5), mask, [words] * number)
    return EncodedQueries.of_one_encoder([f"query {row}" for row in range(number)], bags, levels)


def mean_max_sim_by_loops(query: torch.Tensor, mask: torch.Tensor, document: torch.Tensor) -> float:
    """The formula, one similarity after another, over the tokens as they are stored (float16)."""
    maxima = []
    for token, counts in zip(query, mask, strict=True):
        if counts:
            maxima.append(max(float(token.double() @ other.half().double()) for other in document))
    return sum(maxima) / len(maxima)
