"""Encoded videos and queries with known tokens, in clusters as embeddings of real videos are."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import normalize

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, QueryBags, VideoClip
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.index import IndexedVideo
from video_colbert.processing import QueryWord

MODEL = ModelReference("some/model", "a" * 40)


def make_videos(
    number: int, *, dim: int = 16, has_video_level: bool = True, seed: int = 0, clusters: int = 20
) -> list[tuple[IndexedVideo, EncodedVideo]]:
    """Videos of 3 to 12 frames, 2 frames a second; the tokens of one lie around a centre of its own."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dim, generator=generator)

    centres = noise(clusters)
    videos = []
    for row in range(number):
        frames = int(torch.randint(3, 13, (), generator=generator))
        centre = centres[row % clusters] + 0.7 * noise()
        times = np.arange(frames) / 2
        path = f"/videos/{seed}-{row:04d}.mp4"
        video = IndexedVideo(path, f"digest-{seed}-{row}", frames / 2, tuple(times.tolist()))
        lengths = {"video": 14, "frame": frames} if has_video_level else {"frame": frames}
        made = {level: normalize(centre + noise(length), dim=-1) for level, length in lengths.items()}
        embeds = {level: made[level] for level in ("frame", "video") if level in made}
        videos.append((video, EncodedVideo(VideoClip(path), frames / 2, times, embeds)))
    return videos


def make_queries(
    number: int, *, dim: int = 16, seed: int = 0, levels: tuple[str, ...] = ("frame", "video")
) -> EncodedQueries:
    """Queries of 3 to 8 tokens that count, of 8."""
    generator = torch.Generator().manual_seed(1000 + seed)
    lengths = torch.randint(3, 9, (number, 1), generator=generator)
    embeds = normalize(torch.randn(number, 8, dim, generator=generator), dim=-1)
    words = [[QueryWord("red", [0]), QueryWord("circle", [1, 2])]] * number
    bags = QueryBags(embeds, torch.arange(8) < lengths, words)
    return EncodedQueries.of_one_encoder([f"query {row}" for row in range(number)], bags, levels)


def mean_max_sim_by_loops(query: torch.Tensor, mask: torch.Tensor, document: torch.Tensor) -> float:
    """The formula, one query token after another, over the tokens as they are stored (float16)."""
    stored = document.half().double()
    maxima = [float((stored @ token.double()).max()) for token in query[mask]]
    return sum(maxima) / len(maxima)
