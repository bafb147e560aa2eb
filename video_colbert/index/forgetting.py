"""Videos that an index is to know nothing of any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from video_colbert.index.video_index import VideoIndex


def forget_videos(stored: VideoIndex, ids: Collection[str]) -> Sequence[str]:
    """Removes videos, notes on what is bad in their files, and what the store keeps of them beside.

    Args:
        stored: the index.
        ids: of the videos; those that are not stored are passed over.

    Returns:
        What may still hold something of them, out of this package's reach, in words.

    Raises:
        IndexStoreError: the index cannot be written or reached.
    """
    contents = {video.digest for video in stored.videos if video.id in ids}
    kept = tuple(bad for bad in stored.notes.bad_files if bad.digest not in contents)
    if kept != stored.notes.bad_files:
        # First, since the store then deletes all versions but the last.
        stored.set_notes(replace(stored.notes, bad_files=kept))
    return stored.forget(ids)
