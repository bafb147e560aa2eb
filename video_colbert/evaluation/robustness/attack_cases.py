"""Which videos are attacked, for which queries, and on which queries the outcome is measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from video_colbert.evaluation.encoded_split import EncodedSplit
from video_colbert.evaluation.robustness.attack_settings import AttackGoal

MOST_TARGETS = 20
"""Queries that an attack is made for at most, where nothing is said."""


@dataclass(frozen=True)
class AttackCase:
    """A video and the queries of an attack on it.

    Attributes:
        video: its number in the gallery.
        targets: numbers of the queries that the attack is made for.
        unseen: numbers of the queries of the same topic that the attack never sees.
    """

    video: int
    targets: Sequence[int]
    unseen: Sequence[int]


def choose_cases(
    split: EncodedSplit,
    goal: AttackGoal,
    *,
    num_videos: int,
    num_targets: int | None,
    topic: str | None = None,
    seed: int = 0,
) -> list[AttackCase]:
    """Draws videos and targets for an attack.

    A video that is promoted is none that answers a query of the topic. A video that is suppressed is attacked for its
    own captions, all of them.

    Args:
        split: gallery and queries.
        goal: "promote" or "suppress".
        num_videos: videos to attack, at most.
        num_targets: queries to attack each for, drawn from those of the topic; None for all of them. The others are
            unseen.
        topic: words that all queries of the topic contain, in any order; None for all queries.
        seed: of what is drawn.

    Raises:
        ValueError: no query is of the topic, no video is left to promote, or suppression is given targets or a topic.

    """
    generator = np.random.default_rng(seed)
    positives = np.asarray(split.positives)
    if goal == "suppress":
        if topic is not None or num_targets is not None:
            raise ValueError("a video is suppressed for its own captions: there are no targets or topic to choose")
        asked = np.unique(positives)
        chosen = np.sort(generator.permutation(asked)[:num_videos])
        return [AttackCase(int(video), np.flatnonzero(positives == video).tolist(), []) for video in chosen]
    queries = queries_of_topic(split.queries.texts, topic)
    if topic is not None and not len(queries):
        raise ValueError(f"no query contains all words of the topic {topic!r}")
    videos = np.arange(len(split.video_ids))
    if topic is not None:
        videos = np.setdiff1d(videos, positives[queries])
        if not len(videos):
            raise ValueError(f"every video answers a query of the topic {topic!r}, so none is left to promote")
    cases = []
    for video in np.sort(generator.permutation(videos)[:num_videos]):
        # A caption of the video itself says nothing of its promotion.
        others = generator.permutation(queries[positives[queries] != video])
        number = len(others) if num_targets is None else num_targets
        if not len(others[:number]):
            raise ValueError("there is no query but the video's own captions to promote it for")
        cases.append(AttackCase(int(video), np.sort(others[:number]).tolist(), np.sort(others[number:]).tolist()))
    return cases


def default_targets(split: EncodedSplit, topic: str | None = None) -> int:
    """How many queries an attack is made for where nothing is said: half of the topic's, at most 20.

    Args:
        split: gallery and queries.
        topic: as `choose_cases` takes it.
    """
    return min(MOST_TARGETS, max(1, len(queries_of_topic(split.queries.texts, topic)) // 2))


def queries_of_topic(texts: Sequence[str], topic: str | None) -> np.ndarray:
    """The numbers of the queries that contain all words of a topic, whatever their case.

    Args:
        texts: the queries.
        topic: words; None for all queries.

    Example:
        >>> queries_of_topic(["a red circle grows", "a blue circle grows"], "circle red").tolist()
        [0]
    """
    wanted = set(re.findall(r"\w+", (topic or "").casefold()))
    return np.asarray(
        [number for number, text in enumerate(texts) if wanted <= set(re.findall(r"\w+", text.casefold()))],
        dtype=np.int64,
    )
