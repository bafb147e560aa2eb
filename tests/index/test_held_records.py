from __future__ import annotations

import pyarrow as pa
import pytest

from video_colbert.index.held_records import held_records
from video_colbert.index.indexed_video import (
    FACT_FIELDS,
    FileFacts,
    IndexedVideo,
    records_from_arrow,
    records_to_arrow,
)

WHOLE = [IndexedVideo(f"/v/{row}.mp4", f"{row:064x}", 9.0, (0.0, 4.5)) for row in range(1000)]
WINDOWS = [IndexedVideo(f"/v/{row}.mp4", f"{row:064x}", 9.0, (0.0, 4.5), float(row), None) for row in range(1000)]
WITH_FACTS = [
    IndexedVideo(f"/v/{row}.mp4", f"{row:064x}", 9.0, (0.0,), facts=FileFacts(row, None, 64, 48)) for row in range(9)
]


@pytest.mark.parametrize("videos", [WHOLE, WINDOWS, WITH_FACTS, WHOLE + WINDOWS, [], WHOLE[:1]])
@pytest.mark.parametrize("pieces", [1, 3])
def test_rows_stay_what_they_were(videos: list[IndexedVideo], pieces: int) -> None:
    parts = [records_to_arrow(videos[piece::pieces], FACT_FIELDS) for piece in range(pieces)]
    records = pa.concat_tables(parts)
    held = held_records(records)
    assert held.equals(records)
    assert held.schema == records.schema
    assert records_from_arrow(held, []) == [video for piece in range(pieces) for video in videos[piece::pieces]]


def test_ids_that_are_digests_and_unknown_numbers_take_no_memory_of_their_own() -> None:
    records = records_to_arrow(WHOLE, FACT_FIELDS)
    saved = records.nbytes - _total_bytes(held_records(records))
    ids, numbers = 1000 * (64 + 4), 1000 * 8
    # Of six columns without values, one remains.
    assert saved == pytest.approx(ids + 5 * numbers, rel=0.02)


def test_ids_of_windows_are_held_beside_the_digests() -> None:
    records = records_to_arrow(WINDOWS, ())
    assert _total_bytes(held_records(records)) == pytest.approx(records.nbytes, rel=0.01)


def _total_bytes(table: pa.Table) -> int:
    """Bytes of the buffers, those that columns share counted once."""
    buffers = {
        buffer.address: buffer.size
        for column in table.columns
        for chunk in column.chunks
        for buffer in chunk.buffers()
        if buffer is not None
    }
    return sum(buffers.values())
