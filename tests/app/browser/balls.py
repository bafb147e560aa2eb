"""Clips of a ball that flies over hills and may change its colour, drawn at any size."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

COLOURS = {
    "red": (226, 38, 54),
    "green": (38, 166, 81),
    "blue": (41, 98, 255),
    "yellow": (250, 204, 21),
    "purple": (147, 51, 234),
    "white": (245, 245, 245),
}
RATE = 12
_SKIES = (((178, 206, 226), (238, 226, 210)), ((38, 44, 74), (120, 92, 118)), ((150, 190, 200), (228, 236, 226)))


@dataclass(frozen=True)
class Scene:
    """What a clip shows: a ball of each colour in turn, as long each."""

    colours: tuple[str, ...]
    seconds: float = 4.0
    seed: int = 0

    def caption(self) -> str:
        return " then a ".join(f"{colour} ball" for colour in self.colours)

    def colour_at(self, share: float) -> str:
        return self.colours[min(len(self.colours) - 1, int(share * len(self.colours)))]


def draw(scene: Scene, share: float, width: int, height: int) -> npt.NDArray[np.uint8]:
    """The frame at a share of the clip's length: [H, W, 3]."""
    generator = np.random.default_rng(scene.seed)
    top, bottom = np.asarray(_SKIES[generator.integers(len(_SKIES))], np.float32)
    phase, direction, level = generator.uniform(0, 6), generator.choice((-1, 1)), generator.uniform(0.35, 0.5)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    up, along = rows / height, (columns - width / 2) / min(width, height)
    picture = top + (bottom - top) * up[..., None]
    for place, shade in ((0.66, 0.75), (0.8, 0.5)):
        hill = place + 0.06 * np.sin(along * 3 + phase * shade * 3)
        picture = np.where((up > hill)[..., None], bottom * shade * (0.9, 1.0, 0.9), picture)
    # Within the square in the middle, which is all that a model with a square crop sees.
    x, y = direction * (share - 0.5) * 0.6, level + 0.1 * np.sin(share * 9 + phase)
    across, down = along - x, (up - y) * height / min(width, height)
    distance = np.hypot(across, down) / 0.19
    light = np.clip(1.15 - np.hypot(across + 0.07, down + 0.08) / 0.5, 0.35, 1.15)
    ball = np.asarray(COLOURS[scene.colour_at(share)], np.float32) * light[..., None]
    picture = np.where((distance < 1)[..., None], ball, picture)
    return picture.clip(0, 255).astype(np.uint8)


def write_scene(
    path: Path,
    scene: Scene,
    size: tuple[int, int] = (320, 180),
    *,
    drawn_at: tuple[int, int] | None = None,
    rate: int = RATE,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a clip in the container that the name asks for.

    Args:
        path: of the file.
        scene: what it shows.
        size: width and height of the frames.
        drawn_at: size at which they are drawn, for a clip so large that drawing takes long.
        rate: frames a second.
        codec: of the encoder.
        pixels: their format.
        options: of the encoder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = round(scene.seconds * rate)
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        for number in range(frames):
            drawn = draw(scene, number / frames, *(drawn_at or size))
            frame = av.VideoFrame.from_ndarray(drawn, format="rgb24").reformat(*size, pixels)
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
