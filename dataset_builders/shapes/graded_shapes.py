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

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .graded_shapes_clips import TaskClip
from .graded_shapes_tasks import TASKS, TRAINED_TASKS, Description, TaskPlanner
from .moving_shapes_scenes import Partition

SPLITS: tuple[Partition, ...] = ("train", "validation", "test")


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
    clips: list[TaskClip] = []
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
    planner = TaskPlanner(split, config.num_frames, config.seed)
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
