"""A column of metadata that was a description in an index, taken out of it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from video_colbert.errors import IndexStoreError
from video_colbert.index.ingest.content_files import descriptions_digest, descriptions_of
from video_colbert.index.ingest.contextual_texts import note_texts_due, texts_of_index
from video_colbert.index.passages.reading_store import Reading
from video_colbert.index.video_index import VideoIndex
from video_colbert.text.description import DescriptionReader
from video_colbert.text.passages import Passage


def check_description_column(index: VideoIndex, column: str) -> None:
    """Refuses a column that is no description in an index.

    Raises:
        IndexStoreError: it is none; the message says which are.
    """
    columns = index.notes.description_columns
    if column not in columns:
        there = f"which are {', '.join(columns)}" if columns else "of which there are none"
        raise IndexStoreError(f"{column!r} is not among the description columns of {index.location}, {there}")


def drop_description_column(index: VideoIndex, column: str) -> int:
    """Takes a column's texts out of what is kept of all videos of an index; it is a description no longer.

    The metadata stay, and no file is read. Where the metadata changed since a description was read, it is not known
    which of its texts came of the column, and what the file says of itself goes with it. Either way the file is read
    when its description is next asked for. Passages that were encoded go with the next `encode_passages`, and videos
    whose texts are encoded with their pictures are noted as due. Repeated after a kill, it goes on.

    Args:
        index: the index.
        column: one of those that are descriptions there.

    Returns:
        Of how many contents the description changed.

    Raises:
        IndexStoreError: the column is no description in the index, or the index cannot be read or written.
    """
    check_description_column(index, column)
    columns = index.notes.description_columns
    remaining = tuple(name for name in columns if name != column)
    # A content may be that of several videos, with metadata of their own.
    told: dict[str, list[tuple[Sequence[str], Sequence[str]]]] = {}
    for video in index.videos:
        told.setdefault(video.digest, []).append((descriptions_of(video, columns), descriptions_of(video, remaining)))
    changed = [
        new
        for reading in index.readings.read()
        if reading.source == "description" and (new := _without(reading, told.get(reading.digest, []))) != reading
    ]
    if changed and texts_of_index(index, lambda: index.levels).takes("description"):
        note_texts_due(index, {reading.digest for reading in changed} | set(index.notes.texts_due))
    if changed:
        index.readings.keep(changed)
    index.set_notes(replace(index.notes, description_columns=remaining))
    return len(changed)


def _without(reading: Reading, told: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Reading:
    """A reading without what a column said.

    Args:
        reading: of a description.
        told: what columns say of the content, with the dropped one and without it, by video.
    """
    of_tags = DescriptionReader().settings_of("")
    digest = reading.settings.rpartition(" ")[2]
    if reading.settings == of_tags or not told or digest in {descriptions_digest(after) for _, after in told}:
        return reading
    by_digest = {descriptions_digest(before): (before, after) for before, after in told}
    before, after = by_digest.get(digest, (None, told[0][1]))
    if before is None:
        passages = tuple(Passage("description", text) for text in after)
    else:
        gone = set(before) - set(after)
        passages = tuple(passage for passage in reading.passages if passage.text not in gone)
    # Of no reader's settings: a tag that said the same is missing now, and is read when the file is next given.
    return replace(reading, settings=f"{of_tags} dropped {descriptions_digest(after)}", passages=passages)
