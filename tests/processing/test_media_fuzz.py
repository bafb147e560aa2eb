"""Damaged small files of eight containers, each against decoding it from its start to its end with one thread of PyAV.

The rule that is tested: frames are those of the reference at the same times; an error is one `VideoDecodingError`, and
only where the reference too does not give every frame that is wanted, without calling it damaged: where it fails to
open the file or gives nothing, where a packet cannot be decoded or a frame is marked, or where the file itself says
that its end is missing. Where packets are missing from a file that says nothing of it, a frame that refers to one of
them, until the next keyframe, is what the decoder makes of it, which depends on what it decoded before.
"""

import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.processing.made_videos import ReferenceFrame
from tests.processing.media_mutations import CONTAINERS, mutate
from video_colbert.processing.video_decoding import DecodedVideo, decode_video
from video_colbert.processing.video_sources import VideoDecodingError

# From PyAV 19 on it is not an option.
READS_ANY_TEXT = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}
NUM_FRAMES = 4
MOST_SECONDS = 20.0
MOST_MEGABYTES = 500.0


@dataclass
class Reference:
    """What whole decoding makes of a file.

    Attributes:
        frames: all frames that come, in the decoder's order.
        is_clean: whether nothing was refused or called damaged on the way.
        is_square: whether its pixels are, so that frames are shown as they are stored.
        unsure: times of packets after a gap, until the next keyframe.
    """

    frames: list[ReferenceFrame]
    is_clean: bool
    is_square: bool = True
    unsure: frozenset[int | None] = frozenset()


def decode_reference(path: Path) -> Reference:
    frames: list[ReferenceFrame] = []
    try:
        with av.open(str(path), **READS_ANY_TEXT) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            aspect = stream.sample_aspect_ratio or 1
            packets, is_clean = read_reference_packets(container, stream)
            for packet in [*packets, None]:
                try:
                    decoded = stream.codec_context.decode(packet)
                except av.FFmpegError:
                    is_clean = False
                    continue
                for frame in decoded:
                    is_clean = is_clean and not frame.is_corrupt
                    frames.append(ReferenceFrame(frame.pts, frame.to_ndarray(format="rgb24"), frame.is_corrupt))
    # AttributeError is a codec that is not known.
    except (av.FFmpegError, IndexError, ValueError, AttributeError):
        return Reference([], is_clean=False)
    return Reference(frames, is_clean and bool(frames), max(aspect, 1 / aspect) <= 1.1, after_gaps(packets))


def read_reference_packets(
    container: av.container.InputContainer, stream: av.VideoStream
) -> tuple[list[av.Packet], bool]:
    """All packets, and whether they are all there and none is called damaged."""
    packets = []
    is_whole = True
    try:
        packets += [packet for packet in container.demux(stream) if packet.size]
    except (av.FFmpegError, IndexError):
        is_whole = False
    announced = sum(entry.size > 0 for entry in stream.index_entries)
    return packets, is_whole and announced <= len(packets) and not any(packet.is_corrupt for packet in packets)


def after_gaps(packets: list[av.Packet]) -> frozenset[int | None]:
    """Presentation times of packets that may refer to a missing one: after a longer step, until the next keyframe."""
    steps = [
        later.dts - packet.dts
        for packet, later in pairwise(packets)
        if packet.dts is not None and later.dts is not None
    ]
    usual = float(np.median(steps)) if steps else 0.0
    unsure, is_unsure = set(), False
    for packet, later in pairwise(packets):
        if packet.dts is not None and later.dts is not None and later.dts - packet.dts > 1.5 * usual:
            is_unsure = True
        is_unsure = is_unsure and not later.is_keyframe
        if is_unsure:
            unsure.add(later.pts)
    return frozenset(unsure)


def resident_megabytes() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def assert_frames_are_the_references(decoded: DecodedVideo, reference: Reference) -> None:
    """Every frame is one of the reference's that is not called damaged; in its order, if its times are in order."""
    good = [frame for frame in reference.frames if not frame.is_corrupt]
    times = [frame.pts for frame in good]
    is_in_order = None not in times and times == sorted(times, key=lambda time: time or 0)
    position = unmatched = 0
    for pixels in decoded.frames:
        candidates = range(position if is_in_order else 0, len(good))
        found = [number for number in candidates if np.array_equal(good[number].pixels, pixels)]
        position = found[0] if found else position
        unmatched += not found
    if unmatched:
        assert reference.unsure, "a frame that whole decoding does not give there"
        assert unmatched <= sum(time in reference.unsure for time in times)
    assert (np.diff(decoded.timestamps) >= 0).all()


def is_one_size(reference: Reference) -> bool:
    return len({frame.pixels.shape for frame in reference.frames}) == 1


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
        try:
            decoded = decode_video(path, NUM_FRAMES)
        except VideoDecodingError as error:
            counts["refused"] += 1
            if reference.is_clean and "is truncated" not in error.reason:
                pytest.fail(f"{what}: {error.reason}")
        else:
            counts["decoded"] += 1
            if reference.is_square and is_one_size(reference):
                assert_frames_are_the_references(decoded, reference)
        counts["refused by the reference"] += not reference.is_clean
        assert time.monotonic() - start < MOST_SECONDS, what
        assert resident_megabytes() - before < MOST_MEGABYTES, what
        path.unlink()
    if print_line:
        print(dict(counts))  # noqa: T201 # the figures that the run is for
    # Neither side refuses everything, and ours little that the reference takes.
    assert counts["decoded"] > len(numbers) // 3
    assert counts["refused"] <= counts["refused by the reference"] + len(numbers) // 50


def test_damaged_files_give_the_frames_of_whole_decoding_or_one_error(tmp_path: Path) -> None:
    run_mutations(tmp_path, range(60))


@pytest.mark.slow
def test_500_damaged_files_give_the_frames_of_whole_decoding_or_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        run_mutations(tmp_path, range(500), print_line=True)
