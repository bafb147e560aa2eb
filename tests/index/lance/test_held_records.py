from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from video_colbert.index.indexed_video import FACT_FIELDS, FileFacts, IndexedVideo, records_to_arrow
from video_colbert.index.lance.held_records import HeldRecords


def times(row: int) -> tuple[float, ...]:
    """Those of up to 12 frames at 30,000/1,001 frames a second."""
    return tuple(frame * (row % 7 + 1) * 1001 / 30000 for frame in range(row % 13))


WHOLE = [IndexedVideo(f"/v/{row}.mp4", f"{row:064x}", 9.0, times(row)) for row in range(1000)]
WINDOWS = [IndexedVideo(f"/v/{row}.mp4", f"{row:064x}", 9.0, times(row), float(row), None) for row in range(1000)]
WITH_FACTS = [
    IndexedVideo(f"/v/{row}.mp4", f"{row:064x}", 9.0, (0.0,), facts=FileFacts(row, None, 64, 48)) for row in range(9)
]
WITH_METADATA = [IndexedVideo(f"/v/{row}.mp4", f"{row:064x}", 9.0, (), metadata={"views": row}) for row in range(9)]
METADATA_FIELDS = (pa.field("views", pa.int64()), pa.field("license", pa.string()))


@pytest.mark.parametrize(
    "videos", [WHOLE, WINDOWS, WITH_FACTS, WITH_METADATA, WHOLE + WINDOWS, [], WHOLE[:1], WHOLE[:256], WHOLE[:257]]
)
@pytest.mark.parametrize("pieces", [1, 3])
def test_videos_stay_what_they_were(videos: list[IndexedVideo], pieces: int) -> None:
    stored = [video for piece in range(pieces) for video in videos[piece::pieces]]
    fields = (*FACT_FIELDS, *METADATA_FIELDS)
    records = pa.concat_tables([records_to_arrow(videos[piece::pieces], fields) for piece in range(pieces)])
    held = HeldRecords(records, ["views", "license"])
    assert held.columns.equals(records.drop_columns(["timestamps"]))
    assert held.at(np.arange(len(stored))) == stored
    some = np.random.default_rng(0).integers(0, max(1, len(stored)), min(50, len(stored)))
    assert held.at(some) == [stored[row] for row in some.tolist()]
    assert held.at(np.zeros(0, np.int64)) == []


def test_ids_that_are_digests_and_unknown_numbers_and_times_take_little_memory() -> None:
    videos = [IndexedVideo(f"/v/{row}.mp4", f"{row:064x}", 9.0, times(row)) for row in range(5000)]
    records = records_to_arrow(videos, FACT_FIELDS)
    path, times_of_all = records["path"].nbytes, records["timestamps"].nbytes
    # Beside the path: a digest, a duration, the one column of what is not known, and the lengths of the times.
    expected = path + 5000 * ((64 + 4) + 8 + (8 + 1 / 8) + 4)
    assert expected < bytes_of(records) < expected + times_of_all / 3


def test_ids_of_windows_are_held_beside_the_digests() -> None:
    whole, windows = (bytes_of(records_to_arrow(videos, ())) for videos in (WHOLE, WINDOWS))
    ids = sum(len(video.id) + 4 for video in WINDOWS)
    assert windows == pytest.approx(whole + ids + 1000 * 8, rel=0.02)


def bytes_of(records: pa.Table) -> int:
    """Bytes that the records take once they are held: of Python's own and of the columns, each buffer counted once."""
    tracemalloc.start()
    try:
        held = HeldRecords(records, [])
        of_python = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    buffers: dict[int, int] = {
        buffer.address: buffer.size
        for column in held.columns.columns
        for chunk in column.chunks
        for buffer in chunk.buffers()
        if buffer is not None
    }
    return of_python + sum(buffers.values())
