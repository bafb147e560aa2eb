"""Small real video files, made on the spot."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType


def drawn_frame(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A gradient that drifts and a square that moves: every frame differs from every other."""
    frame = np.zeros((height, width, 3), dtype=np.uint8)
    frame[..., 0] = (np.arange(width) * 3 + number * 5) % 256
    frame[..., 1] = (np.arange(height)[:, None] * 2 + number * 9) % 256
    left = number * 3 % (width - 16)
    frame[10:26, left : left + 16] = 255
    return frame


def write_video(
    path: Path,
    num_frames: int = 60,
    codec: str = "libx264",
    rate: int = 24,
    gop_size: int = 12,
    options: dict[str, str] | None = None,
    b_frames: int | None = None,
    presentation: Callable[[int], int] | None = None,
    rotation: int = 0,
    draw: Callable[[int], np.ndarray] = drawn_frame,
    keyframes: Collection[int] = (),
) -> Path:
    """Encodes frames with PyAV, the same bytes each time. `presentation` gives frame times in ticks of 1/1000 s.

    `keyframes` are such at least; with libx264 that takes the option `forced-idr`.
    """
    height, width, _ = draw(0).shape
    with av.open(str(path), "w", options={"fflags": "bitexact"}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = gop_size
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        if rotation:
            stream.set_display_rotation(rotation)
        if presentation is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(draw(number), format="rgb24")
            if number in keyframes:
                frame.pict_type = PictureType.I
            if presentation is not None:
                frame.pts = presentation(number)
                frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """Encodes silence, without any picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        for number in range(int(seconds * 44100 / 1024)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def move_header_first(source: Path, path: Path) -> Path:
    """Copies an mp4 so that its header comes before the frames, as for streaming."""
    with av.open(str(source)) as read, av.open(str(path), "w", options={"movflags": "faststart"}) as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(read.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)
    return path


def decode_everything(path: Path) -> list[np.ndarray]:
    """The reference: every frame in the decoder's order, with PyAV's own defaults."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def write_slides(path: Path, seconds: list[float], last: float, codec: str = "libx264") -> Path:
    """Pictures that appear at `seconds`, the last of which stays for `last` seconds."""
    clock = Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(1, 10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = clock
        if codec == "libx264":
            stream.codec_context.max_b_frames = 0
        packets = []
        for number, second in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(drawn_frame(number), format="rgb24")
            frame.pts, frame.time_base = round(second * 1000), clock
            packets += stream.encode(frame)
        packets += stream.encode()
        ends = [*seconds[1:], seconds[-1] + last]
        for packet, second, end in zip(packets, seconds, ends, strict=True):
            packet.duration = round((end - second) * 1000)
            container.mux(packet)
    return path


@dataclass(frozen=True)
class ReferenceFrame:
    """A frame of whole decoding: its time in ticks, its pixels, and whether the decoder calls it damaged."""

    pts: int | None
    pixels: np.ndarray
    is_corrupt: bool


def decode_leniently(path: Path) -> list[ReferenceFrame]:
    """What one thread of PyAV makes of a file from its start to its end, whatever is damaged in it."""
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        packets: list[av.Packet | None] = [packet for packet in container.demux(stream) if packet.size]
        for packet in [*packets, None]:
            try:
                decoded = stream.codec_context.decode(packet)
            except av.FFmpegError:
                continue
            frames += [ReferenceFrame(f.pts, f.to_ndarray(format="rgb24"), f.is_corrupt) for f in decoded]
    return frames


def pq_code(nits: float) -> float:
    """SMPTE ST 2084, the inverse of the curve."""
    light = (nits / 10000) ** (2610 / 16384)
    return float(((3424 / 4096 + 2413 / 128 * light) / (1 + 2392 / 128 * light)) ** (2523 / 32))


def hlg_code(nits: float) -> float:
    """ITU-R BT.2100, for grey on a display of 1,000 cd/m2."""
    scene = (nits / 1000) ** (1 / 1.2)
    return float(np.sqrt(3 * scene) if scene <= 1 / 12 else 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073)


HDR_CODES: dict[str, Callable[[float], float]] = {"PQ": pq_code, "HLG": hlg_code}
HDR_TRANSFERS = {"PQ": 16, "HLG": 18}


def write_grey(path: Path, nits: float, transfer: str) -> Path:
    """A 10-bit video of one grey in limited range, tagged BT.2020 and PQ or HLG."""
    luma = round(64 + 876 * HDR_CODES[transfer](nits))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = (
            HDR_TRANSFERS[transfer],
            9,
            9,
            1,
        )
        for number in range(3):
            frame = av.VideoFrame(64, 64, "yuv420p10le")
            for plane, value in zip(frame.planes, (luma, 512, 512), strict=True):
                plane.update(np.full(plane.buffer_size // 2, value, "<u2").tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
