"""Graded tasks on moving shapes: each asks for one thing, in galleries whose clips differ in that thing.

Task | Caption | What the clips of a gallery differ in
--- | --- | ---
appearance | "a red circle and a blue square" | who is seen; both move, which no caption says
motion | "a red circle moves left" | the motion of one actor, all six
order | "a red circle moves left then a blue square grows" | which motions, and which comes first
counting | "a red circle appears twice" | how often one actor appears; the frames are the same
long | four such sentences | the fourth sentence; every fourth clip differs in the others too
distractors | "a red circle moves left" | the event named; half of each clip shows another one
motion_twins | as motion | two clips, one the other's frames in reverse
order_twins | as order | two clips, one the other's frames with the halves exchanged

A *cast* is the set of actors of a clip. A sixth of the casts of each size is kept for validation and a sixth for
the test; training never shows them, while it does show all actors, in other casts. (Casts of one actor occur in
motion and counting alone.)
"""

import functools
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .graded_shapes_clips import STAYS, Performance, Reordering, TaskClip
from .moving_shapes_scenes import COLOURS, MOTIONS, REVERSED_MOTION, SHAPES, Action, Partition

Actor = tuple[str, str]
"""A colour and a shape."""

Cast = tuple[Actor, ...]
"""Different actors, sorted."""

TASKS = ("appearance", "motion", "order", "counting", "long", "distractors", "motion_twins", "order_twins")
TRAINED_TASKS = TASKS[:6]
SPLITS: tuple[Partition, ...] = ("train", "validation", "test")
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


@dataclass(frozen=True)
class GradedShapesConfig:
    """How many clips of what size; equal configurations give equal clips.

    Attributes:
        seed: Seed of everything that varies.
        num_train: Training clips of each trained task.
        num_galleries: Galleries of each task in the test split; validation has half as many.
        num_frames: Frames of a clip, a multiple of 8.
        image_size: Side of the square frames, in pixels; even.
        fps: Frames a second.
    """

    seed: int = 0
    num_train: dict[str, int] = field(
        default_factory=lambda: {
            "appearance": 1500,
            "motion": 1500,
            "order": 2500,
            "counting": 1500,
            "long": 1500,
            "distractors": 1500,
        }
    )
    num_galleries: dict[str, int] = field(
        default_factory=lambda: {
            "appearance": 4,
            "motion": 32,
            "order": 24,
            "counting": 48,
            "long": 24,
            "distractors": 16,
            "motion_twins": 96,
            "order_twins": 96,
        }
    )
    num_frames: int = 8
    image_size: int = 48
    fps: int = 4

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ValueError: A field is out of its range; the message names it.
        """
        if self.num_frames < 8 or self.num_frames % 8:
            raise ValueError(f"num_frames must be a multiple of 8, got {self.num_frames}")
        if self.image_size < 16 or self.image_size % 2:
            raise ValueError(f"image_size must be even and at least 16, got {self.image_size}")
        for name, known in (("num_train", TRAINED_TASKS), ("num_galleries", TASKS)):
            if unknown := set(getattr(self, name)) - set(known):
                raise ValueError(f"{name} names {sorted(unknown)}; the tasks are {', '.join(known)}")
            if any(number < 0 for number in getattr(self, name).values()):
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


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
        config: Numbers and sizes.
        split: "train", "validation" or "test".
    """

    def __init__(self, config: GradedShapesConfig, split: Partition) -> None:
        self.config = config
        self.split: Partition = split
        self.frames = config.num_frames

    def cast(self, size: int, rng: np.random.Generator) -> list[Actor]:
        """Draws a cast of the split, in random order."""
        casts = partition_casts(size, self.config.seed)[self.split]
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
                for cast in partition_casts(2, self.config.seed)[self.split]
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
        clips = []
        casts = partition_casts(4, self.config.seed)[self.split]
        cast = self.cast(4, rng)
        opening = set(cast[:3])
        last = [next(iter(set(other) - opening)) for other in casts if opening < set(other)]
        # Few casts share three actors; the rest of the eight clips are of other openings, in fours.
        while len(clips) < GALLERY_SIZE["long"]:
            motions = [str(motion) for motion in rng.choice(MOTIONS, 4)]
            if len(last) >= 4:
                for actor in (last[i] for i in rng.choice(len(last), 4, replace=False)):
                    clips.append(self.long([*cast[:3], actor], motions))
            cast = self.cast(4, rng)
            opening = set(cast[:3])
            last = [next(iter(set(other) - opening)) for other in casts if opening < set(other)]
        return clips

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


def plan_task_clips(config: GradedShapesConfig, split: Partition) -> list[TaskClip]:
    """Decides what every clip of a split shows.

    Args:
        config: The configuration.
        split: "train", "validation" or "test".

    Returns:
        The clips, those of a gallery together.

    Raises:
        ValueError: An unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    clips = []
    for task, gallery, number, description in _descriptions(config, split):
        place = len(clips)
        shared = (config.seed, SPLITS.index(split), TASKS.index(task))
        own = number if description.draw is None else description.draw
        clips.append(
            TaskClip(
                video_id=f"{split}_{place:06d}",
                task=task,
                gallery=gallery,
                caption=description.caption,
                performances=description.performances,
                seed=(*shared, own),
                num_frames=config.num_frames,
                image_size=config.image_size,
                fps=config.fps,
                reordering=description.reordering,
            )
        )
    return clips


def _descriptions(config: GradedShapesConfig, split: Partition) -> Iterator[tuple[str, int, int, Description]]:
    """Yields task, gallery, number in the task and description of every clip."""
    planner = TaskPlanner(config, split)
    for task in TRAINED_TASKS if split == "train" else TASKS:
        rng = np.random.default_rng([config.seed, SPLITS.index(split), TASKS.index(task), 1])
        if split == "train":
            for number in range(config.num_train.get(task, 0)):
                yield task, -1, number, planner.training(task, rng)
            continue
        galleries = config.num_galleries.get(task, 0)
        number = 0
        for gallery in range(galleries if split == "test" else (galleries + 1) // 2):
            for description in planner.gallery(task, rng):
                yield task, gallery, number, description
                number += 1
