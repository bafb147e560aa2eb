"""Made lists of hits whose right ones are known: scores of right videos lie above those of wrong ones, by chance."""

from __future__ import annotations

import numpy as np

from video_colbert.index.confidence.search_confidence import JudgedHits


def judged_lists(number: int, *, seed: int = 0, distance: float = 2.5, length: int = 60) -> list[JudgedHits]:
    """Lists of one right video, `distance` deviations above the mean of wrong ones, and as many wrong ones."""
    generator = np.random.default_rng(seed)
    judged = []
    for query in range(number):
        scores = generator.normal(size=length)
        scores[0] += distance
        order = np.argsort(-scores)
        hits = [("right" if video == 0 else f"{query}-{video}", float(scores[video])) for video in order]
        judged.append(JudgedHits(hits, frozenset({"right"})))
    return judged
