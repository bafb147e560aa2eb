"""Small videos of eight containers, and seeded damage to them."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from tests.processing.made_videos import move_header_first, write_video

_CLOSED = {"x264-params": "keyint=8:min-keyint=8:scenecut=0:bframes=2"}
_QUICK = {"cpu-used": "8", "deadline": "realtime"}

CONTAINERS: dict[str, Callable[[Path], Path]] = {
    "mp4": lambda folder: move_header_first(_small(folder / "v.mp4"), folder / "first.mp4"),
    "fragmented mp4": lambda folder: _remuxed(
        _small(folder / "v.mp4"), folder / "parts.mp4", movflags="frag_keyframe+empty_moov+default_base_moof"
    ),
    "mkv": lambda folder: _small(folder / "v.mkv"),
    "webm": lambda folder: _small(folder / "v.webm", "libvpx-vp9", _QUICK),
    "avi": lambda folder: _small(folder / "v.avi", "mpeg4", {}),
    "ts": lambda folder: _small(folder / "v.ts"),
    "mpg": lambda folder: _small(folder / "v.mpg", "mpeg2video", {"bf": "2"}),
    "flv": lambda folder: _small(folder / "v.flv"),
}


def _small(path: Path, codec: str = "libx264", options: dict[str, str] | None = None) -> Path:
    options = _CLOSED if options is None else options
    return write_video(path, num_frames=32, codec=codec, options=options, gop_size=8, rate=24)


def _remuxed(source: Path, path: Path, **options: str) -> Path:
    options["fflags"] = "bitexact"
    with av.open(str(source)) as read, av.open(str(path), "w", options=options) as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)
    return path


def flip_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes have other values."""
    changed = bytearray(content)
    for position in rng.integers(0, len(content), rng.integers(1, 12)).tolist():
        changed[position] = int(rng.integers(0, 256))
    return bytes(changed)


def cut_end(content: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing."""
    return content[: int(len(content) * rng.uniform(0.3, 1.0))]


def cut_start(content: bytes, rng: np.random.Generator) -> bytes:
    """The start is missing."""
    return content[int(len(content) * rng.uniform(0.0, 0.6)) :]


def drop_stretch(content: bytes, rng: np.random.Generator) -> bytes:
    """A stretch in the middle is missing."""
    start = int(rng.integers(0, len(content)))
    return content[:start] + content[start + int(rng.integers(1, 3000)) :]


def overwrite_stretch(content: bytes, rng: np.random.Generator) -> bytes:
    """A stretch is noise."""
    start = int(rng.integers(0, len(content)))
    noise = rng.integers(0, 256, int(rng.integers(1, 2000)), dtype=np.uint8).tobytes()
    return content[:start] + noise + content[start + len(noise) :]


def join_twice(content: bytes, rng: np.random.Generator) -> bytes:
    """The file, or a part of it, follows itself."""
    return content + content[int(len(content) * rng.uniform(0.0, 0.5)) :]


def drop_packets(source: Path, path: Path, rng: np.random.Generator) -> None:
    """Some packets are missing, in a file that is whole."""
    with av.open(str(source)) as read, av.open(str(path), "w", options={"fflags": "bitexact"}) as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(read.demux(video=0)):
            if packet.dts is not None and (number == 0 or rng.random() > 0.15):
                packet.stream = stream
                written.mux(packet)


BYTE_MUTATIONS = (flip_bytes, cut_end, cut_start, drop_stretch, overwrite_stretch, join_twice)


def mutate(source: Path, path: Path, number: int) -> str:
    """Writes the mutation of a number, a function of the source and the number; returns what was done."""
    rng = np.random.default_rng(number)
    kind = int(rng.integers(0, len(BYTE_MUTATIONS) + 1))
    if kind == len(BYTE_MUTATIONS):
        drop_packets(source, path, rng)
        return drop_packets.__name__
    mutation = BYTE_MUTATIONS[kind]
    path.write_bytes(mutation(source.read_bytes(), rng))
    return mutation.__name__
