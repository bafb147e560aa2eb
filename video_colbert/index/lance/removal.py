"""Videos that leave a Lance index, with what was read of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from video_colbert.index.lance.latest_snapshot import LatestSnapshot
from video_colbert.index.lance.mapped.derived_files import without_derived_files
from video_colbert.index.lance.repair import delete_set_aside
from video_colbert.index.lance.storage import copies_out_of_reach
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.passages.content_texts import ContentTexts
from video_colbert.index.video_index import VideoIndex, forget_notes


def remove_videos(table: LanceTable, latest: LatestSnapshot, texts: ContentTexts, ids: Collection[str]) -> int:
    """Removes videos, as `VideoIndex.remove` says.

    Args:
        table: where they are.
        latest: what is there.
        texts: what was read of them.
        ids: of the videos.

    Returns:
        How many of them were stored.

    Raises:
        IndexStoreError: the index cannot be written or reached.
    """
    known = latest.read(lambda snapshot: snapshot.known_ids(list(ids)))
    if known:
        # First, since nobody knows whose they were once the videos are gone.
        texts.remove(latest.read(lambda snapshot: snapshot.contents_without(known)))
        table.delete(sorted(known))
    return len(known)


def forget_videos(
    index: VideoIndex, table: LanceTable, latest: LatestSnapshot, texts: ContentTexts, ids: Collection[str]
) -> Sequence[str]:
    """Removes videos from earlier versions and other files too, as `VideoIndex.forget` says.

    Args:
        index: the index.
        table: its table.
        latest: what is there.
        texts: what was read of them.
        ids: of the videos; none for what was removed before.

    Returns:
        What may still hold something of them, in words.

    Raises:
        IndexStoreError: the index cannot be written or reached.
    """
    known = latest.read(lambda snapshot: snapshot.known_ids(list(ids)))
    with without_derived_files(index.location):
        if known:
            forget_notes(index, known)
            if contents := latest.read(lambda snapshot: snapshot.contents_without(known)):
                texts.forget(contents)
            table.erase(sorted(known))
        elif not ids:
            texts.remove_others({video.digest for video in index.videos})
            texts.forget([])
            table.erase([])
    delete_set_aside(index.location)
    return copies_out_of_reach(index.location)
