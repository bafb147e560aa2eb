"""Clips of the graded tasks: who is seen in which frames, doing what, as pixels and as an H.264 file."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .moving_shapes_clips import Trajectory, draw_pair, draw_trajectory, encode_h264, paint
from .moving_shapes_scenes import Action

Reordering = Literal["none", "reversed", "halves swapped"]

STAYS = "stays"
"""A performance at one place, beside the motions of moving shapes."""


@dataclass(frozen=True)
class Performance:
    """One actor in some frames of a clip.

    Attributes:
        action: Who does what; the motion is one of `moving_shapes_scenes.MOTIONS` or `STAYS`.
        frames: The frames in which the actor is seen, increasing. A motion lasts from the first to the last.
    """

    action: Action
    frames: tuple[int, ...]


@dataclass(frozen=True)
class TaskClip:
    """What one clip of a task will be, before any frame is drawn.

    Attributes:
        video_id: Name of the clip, unique in its split.
        task: The task it belongs to.
        gallery: Number of the gallery in which it competes; -1 in training.
        caption: What is said of it.
        performances: What is seen.
        seed: Seed of the background, places, sizes and speeds.
        num_frames: Number of frames.
        image_size: Side of the square frames, in pixels.
        fps: Frames a second.
        reordering: How the frames are reordered after they are drawn.
    """

    video_id: str
    task: str
    gallery: int
    caption: str
    performances: tuple[Performance, ...]
    seed: tuple[int, ...]
    num_frames: int
    image_size: int
    fps: int
    reordering: Reordering = "none"


def draw_performances(clip: TaskClip, rng: np.random.Generator) -> list[Trajectory]:
    """Draws the trajectory of each performance; two that are seen in the same frames meet as little as possible."""
    performances = clip.performances
    if len(performances) == 2 and performances[0].frames == performances[1].frames:
        motions = (performances[0].action.motion, performances[1].action.motion)
        return list(draw_pair(motions, len(performances[0].frames), rng))
    return [draw_performance(performance, rng) for performance in performances]


def draw_performance(performance: Performance, rng: np.random.Generator) -> Trajectory:
    """Draws one trajectory, a point for each frame in which the actor is seen."""
    length = len(performance.frames)
    if performance.action.motion != STAYS:
        return draw_trajectory(performance.action.motion, length, rng)
    place, radius = rng.uniform(0.2, 0.8, 2), rng.uniform(0.16, 0.19)
    return Trajectory(np.broadcast_to(place, (length, 2)), np.full(length, radius))


def render_task_clip(clip: TaskClip) -> np.ndarray:
    """Renders a clip on a plain dark background.

    Args:
        clip: What to render.

    Returns:
        uint8 array [T, H, W, 3], always the same for the same clip.

    Raises:
        ValueError: A performance has frames that the clip does not have.
    """
    rng = np.random.default_rng(clip.seed)
    shape = (clip.num_frames, clip.image_size, clip.image_size, 3)
    frames = np.full(shape, rng.integers(16, 56), dtype=np.float32)
    for performance, trajectory in zip(clip.performances, draw_performances(clip, rng), strict=True):
        seen = list(performance.frames)
        if min(seen) < 0 or max(seen) >= clip.num_frames:
            raise ValueError(f"{clip.video_id} has {clip.num_frames} frames, but a performance in {seen}")
        part = frames[seen]
        paint(part, performance.action, trajectory)
        frames[seen] = part
    pixels = frames.round().astype(np.uint8)
    if clip.reordering == "reversed":
        return pixels[::-1]
    if clip.reordering == "halves swapped":
        return np.concatenate(np.split(pixels, 2)[::-1])
    return pixels


def generate_task_clip(clip: TaskClip) -> bytes:
    """Makes one clip: the bytes of an mp4 file, always the same for the same clip."""
    return encode_h264(render_task_clip(clip), clip.fps)
