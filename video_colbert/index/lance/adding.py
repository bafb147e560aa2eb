"""Videos that are added to a Lance table: what of them is new, and the columns that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.index.indexed_video import RECORD_FIELDS, IndexedVideo, is_fact
from video_colbert.index.lance.latest_snapshot import LatestSnapshot
from video_colbert.index.lance.learned_codes import codecs_to_add
from video_colbert.index.lance.rows import common_dimensions, common_weighted_levels, merged_video, rows_to_store
from video_colbert.index.lance.schema import read_weighted_levels, vector_fields
from video_colbert.index.lance.snapshot import IndexSnapshot
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.lance.token_codecs import TokenCodec
from video_colbert.index.metadata_columns import metadata_fields, missing_fact_fields, new_metadata_fields
from video_colbert.index.passages.content_texts import ContentTexts
from video_colbert.index.search.level_bags import LevelBags


def add_videos(
    table: LanceTable,
    latest: LatestSnapshot,
    texts: ContentTexts | None,
    videos: Sequence[tuple[IndexedVideo, EncodedVideo]],
    codec: TokenCodec,
    merge_similarity: float | None,
    *,
    renews: bool = False,
) -> None:
    """Stores videos in one commit, as `VideoIndex.add` says.

    Args:
        table: where.
        latest: what is there.
        texts: what was read of the videos; None for a table without.
        videos: what to know of each video, and its tokens.
        codec: how tokens are stored.
        merge_similarity: cosine from which neighbouring tokens are merged; None to store them all.
        renews: whether what is there already gets these tokens, in a commit before.

    Raises:
        ModelMismatchError: tokens have another size or other levels than those stored.
        IndexStoreError: the table cannot be written, or metadata does not fit its columns.
    """
    if renews:
        _renew_videos(table, latest, videos, codec, merge_similarity)
    of_places = {(video.path, video.start, video.end): (video, encoded) for video, encoded in videos}
    added = {video.id: (video, encoded) for video, encoded in of_places.values()}

    def compare(snapshot: IndexSnapshot) -> tuple[Mapping[str, int], set[str], list[str]]:
        return snapshot.dimensions, snapshot.known_ids(list(added)), snapshot.ids_at(of_places)

    stored, known, at_places = latest.read(compare)
    new = [pair for video_id, pair in added.items() if video_id not in known]
    if not new:
        return
    of_new = [encoded for _, encoded in new]
    dimensions = common_dimensions(of_new, stored, table.location)
    weighted = common_weighted_levels(of_new, read_weighted_levels(table.schema) if stored else None, table.location)
    columns = new_metadata_fields(table.schema, [video.metadata for video, _ in new])
    if not stored:
        columns = vector_fields(dimensions, codec, weighted) + columns
    columns += missing_fact_fields(table.schema)
    if columns:
        table.add_columns(columns)
    if merge_similarity is not None:
        new = [merged_video(video, encoded, merge_similarity) for video, encoded in new]
    tokens = [encoded.embeds for _, encoded in new]
    codecs = codecs_to_add(codec, table, tokens, list(dimensions), latest.read(len), lambda n: latest.read(_sample(n)))
    replaced = [video_id for video_id in at_places if video_id not in added]
    fields = [*filter(is_fact, table.schema), *metadata_fields(table.schema)]
    if replaced and texts is not None:
        new_contents = {video.digest for video, _ in new}
        gone = latest.read(lambda snapshot: snapshot.contents_without(replaced))
        texts.remove(gone - new_contents)
    table.insert(rows_to_store(new, codecs, fields), replaced)


def _renew_videos(
    table: LanceTable,
    latest: LatestSnapshot,
    videos: Sequence[tuple[IndexedVideo, EncodedVideo]],
    codec: TokenCodec,
    merge_similarity: float | None,
) -> None:
    """Gives stored videos other tokens in one commit; those that are not stored are passed over."""
    stored, known = latest.read(lambda snapshot: (snapshot.dimensions, snapshot.known_ids([v.id for v, _ in videos])))
    of_ids = {video.id: (video, encoded) for video, encoded in videos if video.id in known}
    if not of_ids:
        return
    renewed = list(of_ids.values())
    dimensions = common_dimensions([encoded for _, encoded in renewed], stored, table.location)
    common_weighted_levels([each for _, each in renewed], read_weighted_levels(table.schema), table.location)
    if merge_similarity is not None:
        renewed = [merged_video(video, encoded, merge_similarity) for video, encoded in renewed]
    tokens = [encoded.embeds for _, encoded in renewed]
    codecs = codecs_to_add(codec, table, tokens, list(dimensions), latest.read(len), lambda n: latest.read(_sample(n)))
    rows = rows_to_store(renewed, codecs, [])
    kept = {column.name for column in RECORD_FIELDS} - {"id", "timestamps"}
    table.set_columns(rows.drop_columns(sorted(kept)))


def _sample(number: int) -> Callable[[IndexSnapshot], LevelBags | None]:
    """Reads the tokens of so many videos at random; None where there are none."""

    def read(snapshot: IndexSnapshot) -> LevelBags | None:
        order = torch.randperm(len(snapshot), generator=torch.Generator().manual_seed(0))
        return snapshot.bags(order[:number]) if len(snapshot) else None

    return read
