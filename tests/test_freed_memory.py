from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest

from video_colbert.freed_memory import return_freed_memory


def resident_megabytes() -> float:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1000


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library keeps memory in its own way"
)
def test_what_was_freed_between_what_is_kept_goes_back_to_the_system() -> None:
    # Pieces that are too small for pages of their own, of which the last one is kept.
    pieces = [bytearray(100_000) for _ in range(2000)]
    kept = pieces[-1]
    full = resident_megabytes()
    pieces.clear()
    return_freed_memory()
    assert resident_megabytes() < full - 150
    assert len(kept) == 100_000


def test_a_c_library_without_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    return_freed_memory()
