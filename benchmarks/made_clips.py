"""Small clips for benchmarks in which the files do not matter."""

from pathlib import Path

import av
import numpy as np


def make_clips(folder: Path, number: int, *, seed: int = 0) -> None:
    """Writes clips of a second, each of another content."""
    folder.mkdir()
    generator = np.random.default_rng(seed)
    for index in range(number):
        with av.open(str(folder / f"{index:04}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=4)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for _ in range(4):
                colours = generator.integers(0, 255, (2, 2, 3), dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(np.kron(colours, np.ones((32, 32, 1), np.uint8)), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
