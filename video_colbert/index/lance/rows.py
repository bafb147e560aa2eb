"""Encoded videos as rows of an index's table: tokens checked, merged if the index wants that, and brought to bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pyarrow as pa

from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.errors import ModelMismatchError
from video_colbert.index.indexed_video import IndexedVideo, records_to_arrow
from video_colbert.index.lance.schema import FRAME_TOKENS, POOLED, VIDEO_TOKENS, VectorLayout
from video_colbert.index.lance.token_codecs import TokenCodec
from video_colbert.index.lance.token_columns import bags_to_arrow, vectors_to_arrow
from video_colbert.index.lance.token_merging import pool_video
from video_colbert.index.search.candidates import pool_bags
from video_colbert.index.search.token_bags import TokenBags


def common_layout(videos: Sequence[EncodedVideo], stored: VectorLayout | None, location: str) -> VectorLayout:
    """The one layout of new videos, which must be that of the stored ones.

    Args:
        videos: at least one.
        stored: layout of the index; None before its first video.
        location: of the index, for the error.

    Raises:
        ModelMismatchError: a video has another dimension or other levels; the message names both.
    """
    layouts = [VectorLayout(video.frame_embeds.shape[1], video.video_embeds is not None) for video in videos]
    expected = layouts[0] if stored is None else stored
    for video, layout in zip(videos, layouts, strict=True):
        if layout != expected:
            raise ModelMismatchError(
                f"the index in {location} holds vectors of {expected}, not of {layout} like those of "
                f"{video.clip.source!r}"
            )
    return expected


def rows_to_store(
    videos: Sequence[tuple[IndexedVideo, EncodedVideo]],
    codec: TokenCodec,
    merge_similarity: float | None,
    metadata_fields: Sequence[pa.Field],
) -> pa.Table:
    """One row a video.

    Args:
        videos: of one layout, at least one.
        codec: how tokens are stored.
        merge_similarity: cosine from which neighbouring tokens are merged; None for no merging.
        metadata_fields: metadata columns of the index.
    """
    if merge_similarity is not None:
        videos = [_merged(video, encoded, merge_similarity) for video, encoded in videos]
    frames = [encoded.frame_embeds for _, encoded in videos]
    tokens = [encoded.video_embeds for _, encoded in videos if encoded.video_embeds is not None]
    rows = records_to_arrow([video for video, _ in videos], metadata_fields)
    rows = rows.append_column(FRAME_TOKENS, bags_to_arrow(frames, codec))
    if tokens:
        rows = rows.append_column(VIDEO_TOKENS, bags_to_arrow(tokens, codec))
    pooled = pool_bags(TokenBags.from_bags(frames), TokenBags.from_bags(tokens) if tokens else None)
    return rows.append_column(POOLED, vectors_to_arrow(pooled))


def _merged(video: IndexedVideo, encoded: EncodedVideo, min_similarity: float) -> tuple[IndexedVideo, EncodedVideo]:
    """A video with its neighbouring tokens merged, and the times of the frame tokens that remain."""
    merged = pool_video(encoded, min_similarity)
    return dataclasses.replace(video, timestamps=tuple(merged.timestamps.tolist())), merged
