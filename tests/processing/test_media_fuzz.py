"""Damaged small files of eight containers, each against decoding it from its start to its end with one thread of PyAV.

The rule that is tested: frames are those of the reference at the same times; an error is one `VideoDecodingError`, and
only where the reference too does not give every frame that is wanted, without calling it damaged: where it fails to
open the file or gives nothing, where a packet cannot be decoded or a frame is marked, or where the file itself says
that more of it is missing than it may lack.
"""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from tests.processing.made_videos import ReferenceFrame
from tests.processing.media_mutations import CONTAINERS, mutate
from video_colbert.processing.video_decoding import DecodedVideo, decode_video
from video_colbert.processing.video_sources import VideoDecodingError

NUM_FRAMES = 4
MOST_SECONDS = 20.0
MOST_MEGABYTES = 500.0


@dataclass
class Reference:
    """What whole decoding makes of a file.

    Attributes:
        frames: all frames that come, in the decoder's order.
        is_clean: whether nothing was refused or called damaged on the way.
        declared: seconds that the header says, or 0.
    """

    frames: list[ReferenceFrame]
    is_clean: bool
    declared: float


def decode_reference(path: Path) -> Reference:
    frames: list[ReferenceFrame] = []
    is_clean = True
    declared = 0.0
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            declared = (container.duration or 0) / av.time_base
            if container.format.name == "avi":
                declared = float(stream.frames * (stream.time_base or 0))
            announced = 0
            packets = []
            try:
                packets = [packet for packet in container.demux(stream) if packet.size]
            except (av.FFmpegError, IndexError):
                is_clean = False
            announced = sum(entry.size > 0 for entry in stream.index_entries)
            is_clean = is_clean and announced <= len(packets) and not any(packet.is_corrupt for packet in packets)
            for packet in [*packets, None]:
                try:
                    decoded = stream.codec_context.decode(packet)
                except av.FFmpegError:
                    is_clean = False
                    continue
                for frame in decoded:
                    is_clean = is_clean and not frame.is_corrupt
                    frames.append(ReferenceFrame(frame.pts, frame.to_ndarray(format="rgb24"), frame.is_corrupt))
    except (av.FFmpegError, IndexError, ValueError):
        return Reference([], False, declared)
    return Reference(frames, is_clean and bool(frames), declared)


def resident_megabytes() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def assert_frames_are_the_references(decoded: DecodedVideo, reference: Reference) -> None:
    """Every frame is one of the reference's that is not called damaged, in the reference's order."""
    good = [frame.pixels for frame in reference.frames if not frame.is_corrupt]
    position = 0
    for frame in decoded.frames:
        while position < len(good) and not np.array_equal(good[position], frame):
            position += 1
        assert position < len(good), "a frame that whole decoding does not give there"
    assert (np.diff(decoded.timestamps) >= 0).all()


def is_one_size(reference: Reference) -> bool:
    return len({frame.pixels.shape for frame in reference.frames}) == 1


def decoded_or_reason(path: Path) -> tuple[DecodedVideo | None, str]:
    try:
        return decode_video(path, NUM_FRAMES), ""
    except VideoDecodingError as error:
        return None, error.reason


def run_mutations(folder: Path, numbers: range, print_line: bool = False) -> None:
    sources = {}
    for name, make in CONTAINERS.items():
        (folder / name).mkdir()
        sources[name] = make(folder / name)
    counts: Counter[str] = Counter()
    names = list(sources)
    before = resident_megabytes()
    for number in numbers:
        name = names[number % len(names)]
        path = folder / f"{number}{sources[name].suffix}"
        what = f"mutation {number} of {name}: {mutate(sources[name], path, number)}"
        reference = decode_reference(path)
        start = time.monotonic()
        decoded, reason = decoded_or_reason(path)
        if decoded is None:
            assert reason, what
            counts["refused"] += 1
            assert not reference.is_clean or "is truncated" in reason, f"{what}: {reason}"
        else:
            counts["decoded"] += 1
            if is_one_size(reference):
                assert_frames_are_the_references(decoded, reference)
        counts["refused by the reference"] += not reference.is_clean
        assert time.monotonic() - start < MOST_SECONDS, what
        assert resident_megabytes() - before < MOST_MEGABYTES, what
        path.unlink()
    if print_line:
        print(dict(counts))  # noqa: T201 # the figures that the run is for
    # Neither side refuses everything, and ours little that the reference takes.
    assert counts["decoded"] > len(numbers) // 3
    assert counts["refused"] <= counts["refused by the reference"]


def test_damaged_files_give_the_frames_of_whole_decoding_or_one_error(tmp_path: Path) -> None:
    run_mutations(tmp_path, range(60))


@pytest.mark.slow
def test_500_damaged_files_give_the_frames_of_whole_decoding_or_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        run_mutations(tmp_path, range(500), print_line=True)
