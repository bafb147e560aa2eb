"""Passes of a model: decoded clips and texts through it, to token bags."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from video_colbert.encoding.clip_decoding import DecodedClip, clip_name
from video_colbert.encoding.encoded import BadVideo, EncodedQueries, EncodedVideo, QueryBags
from video_colbert.errors import EncodingError
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import QueryWord, VideoColBERTProcessor

# On a processor, matrix products of other shapes round otherwise, by about 1e-7, which is enough to swap two nearly
# equal videos. There the model always sees the same shapes, whatever the batch size: one clip, and so many queries.
_CPU_QUERIES = 16


@torch.inference_mode()
def encode_clips(
    model: VideoColBERTModel, processor: VideoColBERTProcessor, name: str, batch: Sequence[DecodedClip]
) -> list[EncodedVideo | BadVideo]:
    """Encodes decoded clips together, on the model's device.

    Args:
        model: the model.
        processor: its processor.
        name: the model's name, for messages.
        batch: at least one clip; all frames of one size.

    Returns:
        A result for each clip; a `BadVideo` where the model gives vectors that are not finite.
    """
    lengths = torch.tensor([len(clip.pixels) for clip in batch])
    # Eight bits a value until they are on the device: a quarter of the copying.
    pixels = torch.nn.utils.rnn.pad_sequence([clip.pixels for clip in batch], batch_first=True)
    pixels = processor.video_processor.normalize(pixels.to(model.device))
    mask = (torch.arange(pixels.shape[1]) < lengths[:, None]).to(model.device)
    video = model.get_video_features(pixels.to(model.dtype), mask, return_dict=True)
    embeds = {"frame": _unpadded(video.frame_embeds, video.frame_mask)}
    weights = {}
    if video.frame_weights is not None:
        weights["frame"] = _unpadded(video.frame_weights, video.frame_mask)
    if video.video_embeds is not None and video.video_mask is not None:
        embeds["video"] = _unpadded(video.video_embeds, video.video_mask)
        if video.video_weights is not None:
            weights["video"] = _unpadded(video.video_weights, video.video_mask)
    results: list[EncodedVideo | BadVideo] = []
    for row, clip in enumerate(batch):
        bags = {level: of_level[row] for level, of_level in embeds.items()}
        of_tokens = {level: of_level[row] for level, of_level in weights.items()}
        if all(torch.isfinite(each).all() for each in (*bags.values(), *of_tokens.values())):
            results.append(
                EncodedVideo(
                    clip.clip,
                    clip.duration,
                    clip.timestamps,
                    bags,
                    of_tokens,
                    stored_range=clip.stored_range,
                    frame_size=clip.frame_size,
                )
            )
        else:
            reason = f"{name} gave vectors for it that are not finite; try dtype float32"
            results.append(BadVideo(clip_name(clip.clip), reason))
    return results


@torch.inference_mode()
def encode_texts(
    model: VideoColBERTModel, processor: VideoColBERTProcessor, name: str, texts: Sequence[str], batch_size: int
) -> EncodedQueries:
    """Encodes queries.

    Args:
        model: the model.
        processor: its processor.
        name: the model's name, for messages.
        texts: at least one query.
        batch_size: queries that go through the model together. On a CPU it is always the same number, so that no
            result depends on it.

    Raises:
        EncodingError: the model gives vectors that are not finite.
    """
    tokenized = processor.tokenize_queries(texts)
    inputs = processor.process_queries(tokenized).to(model.device)
    is_cpu = model.device.type == "cpu"
    if is_cpu:
        batch_size = min(_CPU_QUERIES, len(texts))
    embeds, masks, weights = [], [], []
    for start in range(0, len(texts), batch_size):
        rows = torch.arange(start, min(start + batch_size, len(texts)))
        if is_cpu:
            # The last ones are filled up with the first query.
            rows = torch.cat([rows, torch.zeros(batch_size - len(rows), dtype=torch.long)])
        query = model.get_text_features(inputs["input_ids"][rows], inputs["attention_mask"][rows], return_dict=True)
        if not torch.isfinite(query.query_embeds[query.query_mask.bool()]).all():
            raise EncodingError(f"{name} gave vectors that are not finite; try dtype float32")
        embeds.append(query.query_embeds.float())
        masks.append(query.query_mask.bool())
        if query.query_weights is not None:
            weights.append(query.query_weights.float())
    is_pooled = model.config.query_representation == "pooled"
    bags = QueryBags(
        torch.cat(embeds)[: len(texts)],
        torch.cat(masks)[: len(texts)],
        [[QueryWord(word=text, token_positions=[0])] for text in texts] if is_pooled else tokenized.words,
        torch.cat(weights)[: len(texts)] if weights else None,
    )
    return EncodedQueries.of_one_encoder(
        list(texts),
        bags,
        ("frame", "video") if "video" in model.config.score_levels else ("frame",),
        score_levels=tuple(model.config.score_levels),
        truncated=tokenized.truncated,
        interaction=model.config.interaction,
    )


def _unpadded(embeds: Tensor, mask: Tensor) -> list[Tensor]:
    """The rows of a padded batch without their padding, float32 on the CPU."""
    return [row[row_mask] for row, row_mask in zip(embeds.float().cpu(), mask.bool().cpu(), strict=True)]
