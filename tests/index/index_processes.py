"""Processes that add to an index and search in it, for tests of several at once."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing.queues import Queue
from pathlib import Path

import torch

from tests.index.made_videos import MODEL, make_queries, make_video
from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.index import IndexedVideo, LanceIndex
from video_colbert.index.lance import table as lance_table
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.scoring import score_bags
from video_colbert.index.search.token_bags import TokenBags

_NAMES = 40
_CONTENTS = 3


@dataclass(frozen=True)
class ReaderReport:
    """What a reader saw.

    Attributes:
        searches: how often it searched.
        answers: how many different lists of hits it got.
        problem: the first thing that was wrong, or None.
    """

    searches: int
    answers: int
    problem: str | None


def content_of(name: int, content: int) -> tuple[IndexedVideo, EncodedVideo]:
    """One of several contents of a file; the duration, which a hit tells, says which."""
    video, encoded = make_video(
        f"{name}.mp4", digest=f"{name}-{content}", seed=100 * name + content, metadata={"number": name}
    )
    return replace(video, duration=2.0 + content), encoded


def write_for(folder: Path, seconds: float) -> None:
    """Adds, replaces, moves and removes for some time, and cleans up behind itself much sooner than usual."""
    lance_table._MAX_FRAGMENTS = 6
    lance_table._COMMITS_BETWEEN_CHECKS = 4
    lance_table._KEPT_VERSIONS = timedelta(seconds=1)
    index = LanceIndex.open(folder, model=MODEL)
    generator = random.Random(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        numbers = [generator.randrange(_NAMES) for _ in range(4)]
        match generator.randrange(4):
            case 0:
                ids = [video.id for video in index.videos if video.metadata["number"] in numbers]
                index.remove(ids)
            case 1:
                video = generator.choice(index.videos or (None,))
                if video is not None:
                    # A path of its own: moving puts nothing in another's place.
                    index.move({video.id: f"/moved/{video.digest}/{Path(video.path).name}"})
            case _:
                index.add([content_of(number, generator.randrange(_CONTENTS)) for number in numbers])


def read_for(folder: Path, seconds: float, reports: Queue[ReaderReport]) -> None:
    """Searches for some time, twice a second at least, and compares each hit with the scores of its tokens."""
    torch.set_num_threads(1)
    queries = make_queries()
    keys = [(name, content) for name in range(_NAMES) for content in range(_CONTENTS)]
    bags = [content_of(*key)[1] for key in keys]
    levels = {level: TokenBags.from_bags([bag.embeds[level] for bag in bags]) for level in ("frame", "video")}
    scores = score_bags(queries, LevelBags(levels))
    expected = {key: scores.scores[:, row] for row, key in enumerate(keys)}
    index = LanceIndex.open(folder, model=MODEL)
    searches, answers, problem = 0, set(), None
    end = time.monotonic() + seconds
    try:
        while (time.monotonic() < end or searches < 2 * seconds) and problem is None:
            limit = searches % _NAMES
            where = f"number < {limit}" if searches % 2 else None
            results = index.search(queries, top_k=20, where=where)
            searches += 1
            for query, hits in enumerate(results):
                found = [(int(Path(hit.video).stem), int(hit.end) - 2) for hit in hits]
                wanted = [float(expected[key][query]) for key in found]
                if any(abs(hit.score - score) > 1e-5 for hit, score in zip(hits, wanted, strict=True)):
                    problem = f"a score is not that of the tokens: {hits}"
                if wanted != sorted(wanted, reverse=True):
                    problem = f"hits are out of order: {hits}"
                if len({hit.video for hit in hits}) != len(hits) or len(set(found)) != len(hits):
                    problem = f"a video comes twice: {hits}"
                if where is not None and any(name >= limit for name, _ in found):
                    problem = f"a hit does not satisfy {where}: {hits}"
                answers.add(tuple(found))
    except Exception as error:  # what a reader must never see; the test names it
        problem = f"{type(error).__name__}: {error}"
    reports.put(ReaderReport(searches, len(answers), problem))


def add_all(folder: Path, seed: int) -> None:
    """Adds the same videos as every other such process, in an order of its own."""
    index = LanceIndex.open(folder, model=MODEL)
    numbers = list(range(_NAMES))
    random.Random(seed).shuffle(numbers)
    for first in range(0, _NAMES, 4):
        index.add([content_of(number, 0) for number in numbers[first : first + 4]])
