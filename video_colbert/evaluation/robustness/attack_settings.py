"""What an attack on pixels may do, and how hard it tries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

AttackGoal = Literal["promote", "suppress"]
"""Whether a video is to rank high for the targeted queries, or low."""

AttackedFrames = Literal["sampled", "all"]
"""Whether the frames that the model samples are changed, or every frame of the video."""


@dataclass(frozen=True)
class PixelAttackSettings:
    """What an attack on pixels may do, and how hard it tries.

    Attributes:
        budget: the most by which a pixel's red, green or blue may change, of 255 (L-infinity); a whole number, so that
            rounding to 8 bits never leaves it.
        steps: steps of projected gradient.
        step_size: the length of a step, of 255; by default `2.5 * budget / steps`, which can cross the budget's width
            (Madry et al., arXiv 1706.06083).
        frames: "sampled" changes the frames that the model samples, with the gradient through just those; "all"
            changes every frame, and each step goes through a random frame of each of the model's segments, so that
            whichever are sampled later, they are changed.
        sharpness: the factor in the exponent of the multi-target loss; the larger, the more the targets count that are
            still far.
        momentum: share of the last direction that a step keeps (arXiv 1710.06081); 0 for none.
        refined: whether frames that look alike share their gradients, weighted by how alike they are to each other and
            to the targets (after ViPro, arXiv 2508.06964).
        similarity_threshold: cosine of neighbouring frames from which they are of one segment.
        seed: of the start inside the budget and of the frames that "all" draws.

    Raises:
        ValueError: a value is out of range; the message names it.

    Example:
        >>> PixelAttackSettings(budget=8, steps=100).step_length
        0.2
    """

    budget: int = 8
    steps: int = 100
    step_size: float | None = None
    frames: AttackedFrames = "sampled"
    sharpness: float = 2.0
    momentum: float = 0.0
    refined: bool = True
    similarity_threshold: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the fields."""
        for name, most in (("budget", 255), ("steps", 100_000)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 to {most}")
        if self.step_size is not None and not 0 < self.step_size <= 255:
            raise ValueError(f"step_size is {self.step_size!r}; it must be a number above 0, to 255")
        if self.frames not in get_args(AttackedFrames):
            raise ValueError(f"frames is {self.frames!r}; it must be one of {', '.join(get_args(AttackedFrames))}")
        if not 0 < self.sharpness < float("inf"):
            raise ValueError(f"sharpness is {self.sharpness!r}; it must be a finite number above 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum!r}; it must be a number from 0 to below 1")
        if not -1 <= self.similarity_threshold <= 1:
            raise ValueError(f"similarity_threshold is {self.similarity_threshold!r}; it is a cosine, from -1 to 1")

    @property
    def step_length(self) -> float:
        """The length of a step, of 255."""
        return 2.5 * self.budget / self.steps if self.step_size is None else self.step_size
