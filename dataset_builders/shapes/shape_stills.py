"""Still images of one or two shapes with captions of colour, shape, size and place, to pretrain a backbone on."""

import numpy as np

from .moving_shapes_clips import Trajectory, paint
from .moving_shapes_scenes import COLOURS, SHAPES, Action

ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "centre", "right")
SIZES = ("small", "medium", "large")
# The three sizes divide the radii that moving shapes have, and the three rows and columns their places.
_RADII = (0.06, 0.125, 0.18, 0.25)
_PLACES = (0.14, 0.37, 0.63, 0.86)


def render_still(image_size: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Draws one still: one shape, or as often two.

    Args:
        image_size: Side of the square image, in pixels.
        rng: Source of everything.

    Returns:
        uint8 array [H, W, 3] and a caption, as often such as "a small red circle top left and a large blue cross
        middle right" as such as "a red circle and a blue cross".
    """
    frames = np.full((1, image_size, image_size, 3), rng.integers(16, 56), dtype=np.float32)
    phrases = []
    # Where place and size alone tell captions apart, shapes are learned late.
    is_detailed = rng.random() < 0.5
    placed: list[tuple[np.ndarray, float]] = []
    for _ in range(rng.integers(1, 3)):
        colour, shape = str(rng.choice(COLOURS)), str(rng.choice(SHAPES))
        while True:
            size, row, column = rng.integers(3, size=3)
            radius = rng.uniform(_RADII[size], _RADII[size + 1])
            centre = np.array(
                [rng.uniform(_PLACES[column], _PLACES[column + 1]), rng.uniform(_PLACES[row], _PLACES[row + 1])]
            )
            if all(np.linalg.norm(centre - other) > radius + other_radius for other, other_radius in placed):
                break
        placed.append((centre, radius))
        paint(frames, Action(colour, shape, ""), Trajectory(centre[None], np.array([radius])))
        detailed = f"a {SIZES[size]} {colour} {shape} {ROWS[row]} {COLUMNS[column]}"
        phrases.append(detailed if is_detailed else f"a {colour} {shape}")
    return frames[0].round().astype(np.uint8), " and ".join(phrases)


def render_stills(number: int, image_size: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Draws many stills, always the same for the same arguments.

    Args:
        number: How many.
        image_size: Side of the square images, in pixels.
        seed: Seed of all of them.

    Returns:
        uint8 array [N, H, W, 3] and their captions.
    """
    rng = np.random.default_rng(seed)
    stills = [render_still(image_size, rng) for _ in range(number)]
    return np.stack([pixels for pixels, _ in stills]), [caption for _, caption in stills]
