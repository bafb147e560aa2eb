"""What the clips of each graded task show and say, and which actors each split has; see `graded_shapes`."""

import functools
import hashlib
import itertools
from dataclasses import dataclass

import numpy as np

from .graded_shapes_clips import STAYS, Performance, Reordering
from .moving_shapes_scenes import COLOURS, MOTIONS, REVERSED_MOTION, SHAPES, Action, Partition

Actor = tuple[str, str]
"""A colour and a shape."""

Cast = tuple[Actor, ...]
"""Different actors, sorted."""

TASKS = ("appearance", "motion", "order", "counting", "long", "distractors", "motion_twins", "order_twins")
TRAINED_TASKS = TASKS[:6]
TRANSLATIONS = MOTIONS[:4]
TIMES = ("once", "twice", "three times", "four times")
GALLERY_SIZE = {
    "motion": len(MOTIONS),
    "order": 8,
    "counting": len(TIMES),
    "long": 8,
    "distractors": 12,
    "motion_twins": 2,
    "order_twins": 2,
}
"""Clips of a gallery; in "appearance", one for each cast of two actors that the split has."""


@functools.lru_cache(maxsize=16)
def partition_casts(size: int, seed: int) -> dict[Partition, tuple[Cast, ...]]:
    """Divides all casts of a size: a sixth for the test, a sixth for validation, the rest for training.

    Args:
        size: Number of actors.
        seed: Seed of the division.

    Returns:
        The casts of each partition.
    """
    casts = itertools.combinations(sorted(itertools.product(COLOURS, SHAPES)), size)
    ordered = sorted(casts, key=lambda cast: hashlib.blake2b(f"{seed}/{cast}".encode()).digest())
    share = len(ordered) // 6
    return {
        "test": tuple(ordered[:share]),
        "validation": tuple(ordered[share : 2 * share]),
        "train": tuple(ordered[2 * share :]),
    }


@dataclass(frozen=True)
class Description:
    """A clip before it has a name: what is said, what is seen, and the seed if it is shared with others."""

    caption: str
    performances: tuple[Performance, ...]
    draw: int | None = None
    reordering: Reordering = "none"


def noun(actor: Actor) -> str:
    """The actor as a noun phrase, such as "a red circle"."""
    return f"a {actor[0]} {actor[1]}"


def event(actor: Actor, motion: str, first: int, last: int) -> Performance:
    """An actor that moves from frame `first` to before frame `last`."""
    return Performance(Action(*actor, motion), tuple(range(first, last)))


class TaskPlanner:
    """Draws the clips of a split.

    Args:
        split: "train", "validation" or "test".
        num_frames: Frames of a clip, a multiple of 8.
        seed: Seed of the division of the casts.
    """

    def __init__(self, split: Partition, num_frames: int, seed: int) -> None:
        self.split: Partition = split
        self.frames = num_frames
        self.seed = seed

    def cast(self, size: int, rng: np.random.Generator) -> list[Actor]:
        """Draws a cast of the split, in random order."""
        casts = partition_casts(size, self.seed)[self.split]
        cast = casts[rng.integers(len(casts))]
        return [cast[i] for i in rng.permutation(size)]

    def appearance(self, cast: list[Actor], rng: np.random.Generator) -> Description:
        """Two actors that move at the same time in ways that the caption does not say."""
        motions = rng.choice(TRANSLATIONS, 2)
        performances = tuple(event(actor, str(m), 0, self.frames) for actor, m in zip(cast, motions, strict=True))
        return Description(" and ".join(map(noun, cast)), performances)

    def motion(self, actor: Actor, motion: str) -> Description:
        """One actor, one motion, all frames."""
        return Description(f"{noun(actor)} {motion}", (event(actor, motion, 0, self.frames),))

    def order(self, cast: list[Actor], motions: tuple[str, str]) -> Description:
        """One event in the first half, another in the second."""
        half = self.frames // 2
        caption = " then ".join(f"{noun(actor)} {motion}" for actor, motion in zip(cast, motions, strict=True))
        first = event(cast[0], motions[0], 0, half)
        return Description(caption, (first, event(cast[1], motions[1], half, self.frames)))

    def counting(self, actor: Actor, times: int, rng: np.random.Generator) -> Description:
        """One actor at one place in half of the frames, which form `times` runs."""
        half = self.frames // 2
        unit = self.frames // 8
        cuts = np.sort(rng.choice(np.arange(1, 4), times - 1, replace=False))
        lengths = np.diff([0, *cuts, 4])
        # Of the four dark units and their five places, at least one dark unit between two runs.
        places = np.sort(rng.choice(5, times, replace=False))
        seen: list[int] = []
        for place, length, start in zip(places, lengths, np.cumsum([0, *lengths[:-1]]), strict=True):
            seen += range((place + start) * unit, (place + start + length) * unit)
        if len(seen) != half:
            raise AssertionError(f"{times} runs of {seen} are not half of the frames")
        performance = Performance(Action(*actor, STAYS), tuple(seen))
        return Description(f"{noun(actor)} appears {TIMES[times - 1]}", (performance,))

    def long(self, cast: list[Actor], motions: list[str]) -> Description:
        """Four events one after another, a sentence each."""
        quarter = self.frames // 4
        caption = " ".join(f"{noun(actor)} {motion}." for actor, motion in zip(cast, motions, strict=True))
        return Description(
            caption,
            tuple(
                event(actor, motion, i * quarter, (i + 1) * quarter)
                for i, (actor, motion) in enumerate(zip(cast, motions, strict=True))
            ),
        )

    def distractors(self, cast: list[Actor], motions: tuple[str, str], rng: np.random.Generator) -> Description:
        """The first actor's event in half of the clip, in random order with another one that no caption names."""
        whole = self.order(cast, motions) if rng.random() < 0.5 else self.order(cast[::-1], motions[::-1])
        return Description(f"{noun(cast[0])} {motions[0]}", whole.performances)

    def training(self, task: str, rng: np.random.Generator) -> Description:
        """Draws a training clip of a task."""
        motions = [str(motion) for motion in rng.choice(MOTIONS, 4)]
        if task == "appearance":
            return self.appearance(self.cast(2, rng), rng)
        if task == "motion":
            return self.motion(self.cast(1, rng)[0], motions[0])
        if task == "order":
            return self.order(self.cast(2, rng), (motions[0], motions[1]))
        if task == "counting":
            return self.counting(self.cast(1, rng)[0], int(rng.integers(1, 5)), rng)
        if task == "long":
            return self.long(self.cast(4, rng), motions)
        return self.distractors(self.cast(2, rng), (motions[0], motions[1]), rng)

    def gallery(self, task: str, rng: np.random.Generator) -> list[Description]:
        """Draws the clips of one gallery of a task; their captions are distinct and each fits one clip only."""
        if task == "appearance":
            return [
                self.appearance([cast[i] for i in rng.permutation(2)], rng)
                for cast in partition_casts(2, self.seed)[self.split]
            ]
        if task == "motion":
            (actor,) = self.cast(1, rng)
            return [self.motion(actor, motion) for motion in MOTIONS]
        if task == "order":
            return self._order_gallery(rng)
        if task == "counting":
            (actor,) = self.cast(1, rng)
            # One seed: the same background, place and size, so the clips hold the same frames.
            draw = int(rng.integers(2**31))
            counted = [self.counting(actor, times, rng) for times in range(1, 5)]
            return [Description(clip.caption, clip.performances, draw) for clip in counted]
        if task == "long":
            return self._long_gallery(rng)
        if task == "distractors":
            return self._distractor_gallery(rng)
        if task == "motion_twins":
            (actor,) = self.cast(1, rng)
            motion = str(rng.choice(MOTIONS))
            one, other = self.motion(actor, motion), self.motion(actor, REVERSED_MOTION[motion])
            return self._twins(one, other.caption, "reversed", rng)
        cast = self.cast(2, rng)
        motions = (str(rng.choice(MOTIONS)), str(rng.choice(MOTIONS)))
        one, other = self.order(cast, motions), self.order(cast[::-1], motions[::-1])
        return self._twins(one, other.caption, "halves swapped", rng)

    def _order_gallery(self, rng: np.random.Generator) -> list[Description]:
        cast = self.cast(2, rng)
        combinations = list(itertools.product(MOTIONS, repeat=2))
        chosen = [combinations[i] for i in rng.choice(len(combinations), 4, replace=False)]
        return [
            clip for motions in chosen for clip in (self.order(cast, motions), self.order(cast[::-1], motions[::-1]))
        ]

    def _long_gallery(self, rng: np.random.Generator) -> list[Description]:
        clips: list[Description] = []
        opening, endings = self._long_opening(rng)
        while len(clips) < GALLERY_SIZE["long"]:
            motions = [str(motion) for motion in rng.choice(MOTIONS, 4)]
            if len(endings) >= 4:
                last = [endings[i] for i in rng.choice(len(endings), 4, replace=False)]
                clips += [self.long([*opening, actor], motions) for actor in last]
            opening, endings = self._long_opening(rng)
        return clips

    def _long_opening(self, rng: np.random.Generator) -> tuple[list[Actor], list[Actor]]:
        """Draws three actors, and lists those that make a cast of the split with them."""
        opening = self.cast(4, rng)[:3]
        casts = partition_casts(4, self.seed)[self.split]
        return opening, [next(iter(set(cast) - set(opening))) for cast in casts if set(opening) < set(cast)]

    def _distractor_gallery(self, rng: np.random.Generator) -> list[Description]:
        clips: list[Description] = []
        seen: list[set[Action]] = []
        targets: list[Action] = []
        while len(clips) < GALLERY_SIZE["distractors"]:
            cast = self.cast(2, rng)
            motions = (str(rng.choice(MOTIONS)), str(rng.choice(MOTIONS)))
            clip = self.distractors(cast, motions, rng)
            actions = {performance.action for performance in clip.performances}
            target = Action(*cast[0], motions[0])
            if any(target in others for others in seen) or actions & set(targets):
                continue
            clips.append(clip)
            seen.append(actions)
            targets.append(target)
        return clips

    def _twins(
        self, one: Description, caption: str, reordering: Reordering, rng: np.random.Generator
    ) -> list[Description]:
        draw = int(rng.integers(2**31))
        return [
            Description(one.caption, one.performances, draw),
            Description(caption, one.performances, draw, reordering),
        ]
