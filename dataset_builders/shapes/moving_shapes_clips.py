"""Turns a moving-shapes scene into frames, and frames into an H.264 file."""

import io
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from .moving_shapes_scenes import Action, Scene

RGB = {
    "red": (235, 30, 30),
    "green": (20, 170, 40),
    "blue": (40, 70, 255),
    "yellow": (250, 225, 20),
    "purple": (200, 40, 220),
    "cyan": (30, 220, 230),
}
# A constant quantiser and intra frames only: how a frame looks after decoding does not depend on its
# neighbours, so the same frames in another order decode to the same pixels. One thread keeps the bytes
# the same on every machine.
ENCODER_OPTIONS = {"preset": "ultrafast", "qp": "18", "g": "1", "threads": "1"}
LAYOUT_ATTEMPTS = 24


@dataclass(frozen=True)
class ClipPlan:
    """What one clip will be, before any frame is drawn.

    Attributes:
        video_id: Name of the clip, unique in its data set; its file is `<video_id>.mp4`.
        scene: What the clip shows.
        seed: Seed of the lanes, sizes and speeds.
        num_frames: Number of frames.
        image_size: Side of the square frames, in pixels.
        fps: Frames a second.
        twin_id: `video_id` of the clip with the same frames in another order, if there is one.
        reordered: Whether the frames are those of `scene.twin`, reordered.
    """

    video_id: str
    scene: Scene
    seed: tuple[int, ...]
    num_frames: int
    image_size: int
    fps: int
    twin_id: str | None = None
    reordered: bool = False


@dataclass(frozen=True)
class Trajectory:
    """Where an actor is and how large, frame by frame, in shares of the image side.

    Attributes:
        centres: Float array [T, 2] of x and y.
        radii: Float array [T].
    """

    centres: np.ndarray
    radii: np.ndarray


def draw_trajectory(motion: str, num_frames: int, rng: np.random.Generator) -> Trajectory:
    """Draws a path for a motion: a random lane, and a start and an end that vary mildly.

    Args:
        motion: One of `moving_shapes_scenes.MOTIONS`.
        num_frames: Number of frames that the motion lasts.
        rng: Source of the variation.

    Returns:
        The trajectory.
    """
    progress = np.linspace(0.0, 1.0, num_frames)
    low, high = rng.uniform(0.16, 0.22), rng.uniform(0.78, 0.84)
    # Actors keep to the sides of the image, so that two of them find room.
    lane = rng.choice([0.25, 0.75]) + rng.uniform(-0.05, 0.05)
    if motion in ("grows", "shrinks"):
        radii = rng.uniform(0.06, 0.08) + progress * rng.uniform(0.15, 0.17)
        other = rng.choice([0.25, 0.75]) + rng.uniform(-0.02, 0.02)
        centres = np.broadcast_to([other, lane], (num_frames, 2))
        return Trajectory(centres, radii if motion == "grows" else radii[::-1])
    along = low + progress * (high - low)
    if motion in ("moves left", "moves up"):
        along = along[::-1]
    across = np.full(num_frames, lane)
    horizontal = motion in ("moves left", "moves right")
    centres = np.stack((along, across) if horizontal else (across, along), axis=1)
    return Trajectory(centres, np.full(num_frames, rng.uniform(0.16, 0.19)))


def draw_pair(motions: tuple[str, str], num_frames: int, rng: np.random.Generator) -> tuple[Trajectory, Trajectory]:
    """Draws two simultaneous trajectories that meet as little as possible.

    Args:
        motions: The two motions.
        num_frames: Number of frames.
        rng: Source of the variation.

    Returns:
        The first pair in which the actors never touch, or the best of a fixed number of draws.
    """
    best, widest_gap = None, -np.inf
    for _ in range(LAYOUT_ATTEMPTS):
        one, other = (draw_trajectory(motion, num_frames, rng) for motion in motions)
        distance = np.linalg.norm(one.centres - other.centres, axis=1)
        gap = float((distance - 1.1 * (one.radii + other.radii)).min())
        if best is None or gap > widest_gap:
            best, widest_gap = (one, other), gap
        if gap > 0:
            break
    assert best is not None  # noqa: S101 - the loop runs at least once
    return best


def shape_coverage(shape: str, trajectory: Trajectory, image_size: int) -> np.ndarray:
    """Says how much of each pixel a shape covers, with soft edges about a pixel wide.

    Args:
        shape: One of `moving_shapes_scenes.SHAPES`.
        trajectory: The shape's centres and radii.
        image_size: Side of the image in pixels.

    Returns:
        Float array [T, H, W] between 0 and 1.
    """
    pixels = np.arange(image_size, dtype=np.float32) + 0.5
    centres = trajectory.centres.astype(np.float32) * image_size
    radius = trajectory.radii.astype(np.float32)[:, None, None] * image_size
    x = pixels[None, None, :] - centres[:, 0, None, None]
    y = pixels[None, :, None] - centres[:, 1, None, None]
    # Signed distances to the outline, negative inside.
    if shape == "circle":
        outside = np.sqrt(x**2 + y**2) - radius
    elif shape == "square":
        outside = np.maximum(np.abs(x), np.abs(y)) - 0.85 * radius
    elif shape == "triangle":
        outside = np.maximum(y - 0.7 * radius, 0.894 * np.abs(x) - 0.447 * y - 0.5 * radius)
    elif shape == "cross":
        arm = 0.3 * radius
        upright = np.maximum(np.abs(x) - arm, np.abs(y) - radius)
        level = np.maximum(np.abs(x) - radius, np.abs(y) - arm)
        outside = np.minimum(upright, level)
    else:
        raise ValueError(f"unknown shape {shape!r}")
    coverage: np.ndarray = np.clip(0.5 - outside, 0.0, 1.0)
    return coverage


def paint(frames: np.ndarray, action: Action, trajectory: Trajectory) -> None:
    """Paints an actor over float frames [T, H, W, 3], in place."""
    coverage = shape_coverage(action.shape, trajectory, frames.shape[2])[..., None]
    frames += coverage * (np.asarray(RGB[action.colour], dtype=np.float32) - frames)


def render_scene(scene: Scene, num_frames: int, image_size: int, rng: np.random.Generator) -> np.ndarray:
    """Renders a scene on a plain dark background.

    Args:
        scene: What happens.
        num_frames: Number of frames; even for a "then" scene, whose actions share them equally.
        image_size: Side of the square frames, in pixels.
        rng: Source of the background, the lanes and the speeds.

    Returns:
        uint8 array [T, H, W, 3].

    Raises:
        ValueError: A "then" scene with an odd number of frames.
    """
    if scene.relation == "then" and num_frames % 2:
        raise ValueError(f"a 'then' scene needs an even number of frames, got {num_frames}")
    frames = np.full((num_frames, image_size, image_size, 3), rng.integers(16, 56), dtype=np.float32)
    if scene.relation == "alone":
        (action,) = scene.actions
        paint(frames, action, draw_trajectory(action.motion, num_frames, rng))
    elif scene.relation == "and":
        one, other = scene.actions
        for action, trajectory in zip(
            scene.actions, draw_pair((one.motion, other.motion), num_frames, rng), strict=True
        ):
            paint(frames, action, trajectory)
    else:
        half = num_frames // 2
        for action, part in zip(scene.actions, (frames[:half], frames[half:]), strict=True):
            paint(part, action, draw_trajectory(action.motion, half, rng))
    return frames.round().astype(np.uint8)


def twin_frames(scene: Scene, frames: np.ndarray) -> np.ndarray:
    """Reorders a scene's frames [T, H, W, 3] into those of `scene.twin`."""
    if scene.relation == "then":
        return np.concatenate(np.split(frames, 2)[::-1])
    return frames[::-1]


def encode_h264(frames: np.ndarray, fps: int) -> bytes:
    """Encodes frames as an mp4 file that any player opens and that can be cut at every frame.

    Args:
        frames: uint8 array [T, H, W, 3] with even height and width.
        fps: Frames a second.

    Returns:
        The bytes of the file; equal frames give equal bytes.
    """
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=fps, options=ENCODER_OPTIONS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame))))
        container.mux(stream.encode())
    return target.getvalue()


def generate_clip(plan: ClipPlan) -> bytes:
    """Makes one clip: the bytes of an mp4 file, always the same for the same plan."""
    rng = np.random.default_rng(plan.seed)
    scene = plan.scene.twin if plan.reordered else plan.scene
    frames = render_scene(scene, plan.num_frames, plan.image_size, rng)
    if plan.reordered:
        frames = twin_frames(scene, frames)
    return encode_h264(frames, plan.fps)


def write_clips(folder: Path, plans: list[ClipPlan]) -> int:
    """Writes those clips of a list that the folder does not hold, and returns the length of the list."""
    for plan in plans:
        file = folder / f"{plan.video_id}.mp4"
        if not file.exists():
            # A file gets its name only when it is whole, so an interrupted run can go on.
            unfinished = file.with_suffix(".part")
            unfinished.write_bytes(generate_clip(plan))
            unfinished.replace(file)
    return len(plans)
