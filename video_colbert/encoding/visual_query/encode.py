"""Visual queries through the model that videos go through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from video_colbert.encoding.clip_decoding import ClipDecoder, DecodedClip
from video_colbert.encoding.encoded import BadVideo, VideoClip
from video_colbert.encoding.visual_query.combination import combine_queries
from video_colbert.encoding.visual_query.query import VisualQuery, pixels_of
from video_colbert.encoding.visual_query.visual_bags import queries_of_videos
from video_colbert.errors import EncodingError
from video_colbert.processing import VideoDecodingError

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
    from video_colbert.encoding.encoder import VideoColBERTEncoder


DecodeClip = Callable[[ClipDecoder, VideoClip], "DecodedClip | BadVideo"]
"""Decodes a clip, in this process or in another."""


def encode_shown(
    encoder: VideoColBERTEncoder,
    queries: Sequence[VisualQuery],
    *,
    num_frames: int | None = None,
    decode: DecodeClip | None = None,
) -> EncodedQueries:
    """Encodes what visual queries show, without their words.

    Args:
        encoder: of videos.
        queries: what is asked.
        num_frames: frames sampled from a clip; the processor's own number by default.
        decode: decodes a clip; by default it is decoded in this process.

    Raises:
        VideoDecodingError: a clip cannot be decoded.
        EncodingError: the encoder was loaded for queries alone, or gives vectors that are not finite.
    """
    videos = [_encoded(encoder, query, num_frames, decode) for query in queries]
    titles = [query.shown for query in queries]
    return queries_of_videos(videos, titles, [query.clip is None for query in queries], encoder.model.config)


def encode_visual_queries(encoder: VideoColBERTEncoder, queries: Sequence[VisualQuery]) -> EncodedQueries:
    """Encodes visual queries; what `VideoColBERTEncoder.encode_visual_queries` says.

    Raises:
        ValueError: there is no query, or some have words and some have none.
        VideoDecodingError: as `encode_shown`, like the others.
    """
    texts = [query.text for query in queries if query.text is not None]
    if not queries or len(texts) not in (0, len(queries)):
        raise ValueError(
            f"needs at least one query, and all with words or all without; got {len(queries)}, {len(texts)} with words"
        )
    visual = encode_shown(encoder, queries)
    if not texts:
        return visual
    words = encoder.encode_queries(texts)
    combined = combine_queries(words, visual, [query.text_weight for query in queries])
    return replace(combined, texts=[query.title for query in queries])


def _encoded(
    encoder: VideoColBERTEncoder, query: VisualQuery, num_frames: int | None, decode: DecodeClip | None
) -> EncodedVideo:
    decoder = encoder.clip_decoder(num_frames)
    if query.clip is not None:
        decoded = (decode or ClipDecoder.decode)(decoder, query.clip)
    else:
        frame = pixels_of(query.image)
        try:
            pixels = torch.from_numpy(decoder.resizing.resize_and_crop_frame(frame))[None]
        except ValueError as error:
            raise EncodingError(f"{query.shown}: {error}") from error
        size = (frame.shape[1], frame.shape[0])
        decoded = DecodedClip(VideoClip(query.shown), pixels, np.zeros(1), 0.0, frame_size=size)
    if isinstance(decoded, BadVideo):
        raise VideoDecodingError(decoded.source, decoded.reason)
    [encoded] = encoder.encode_decoded([decoded])
    if isinstance(encoded, BadVideo):
        raise EncodingError(f"{encoded.source}: {encoded.reason}")
    return encoded
