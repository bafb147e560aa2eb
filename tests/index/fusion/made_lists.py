"""Lists as sources give them: scores of noise, with the right video above it in the source that answers."""

from __future__ import annotations

import numpy as np

from video_colbert.index.fusion.judged_query import JudgedQuery


def made_list(rng: np.random.Generator, videos: int, right: int | None, lead: float) -> list[tuple[str, float]]:
    """Normal scores of all videos, the best first; the right one's is drawn `lead` above the others."""
    scores = rng.normal(size=videos)
    if right is not None:
        scores[right] += lead
    order = np.argsort(-scores)
    return [(f"v{number}", float(scores[number])) for number in order]


def made_queries(number: int, seed: int, *, videos: int = 200, lead: float = 5.0) -> list[JudgedQuery]:
    """Queries of which every other is answered by speech and the others by video, in units of their own."""
    rng = np.random.default_rng(seed)
    queries = []
    for place in range(number):
        right = int(rng.integers(videos))
        answering = ("speech", "video")[place % 2]
        lists = {
            source: [(video, scale * score) for video, score in made_list(rng, videos, right, own * lead)]
            for source, scale in (("speech", 1.0), ("video", 0.01))
            for own in [float(source == answering)]
        }
        queries.append(JudgedQuery(lists, frozenset({f"v{right}"})))
    return queries
