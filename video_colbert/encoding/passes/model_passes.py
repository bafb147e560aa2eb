"""Passes of a model: decoded clips and texts through it, to token bags."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from video_colbert.encoding.clip_decoding import DecodedClip, clip_name
from video_colbert.encoding.encoded import BadVideo, EncodedQueries, EncodedVideo, QueryBags
from video_colbert.encoding.passes.phrases import split_phrases
from video_colbert.errors import EncodingError
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import QueryWord, VideoColBERTProcessor
from video_colbert.processing.query_tokens import TokenizedQueries
from video_colbert.processing.video_batches import frame_sizes, on_one_canvas

# On a processor, matrix products of other shapes round otherwise, by about 1e-7, which is enough to swap two nearly
# equal videos. There the model always sees the same shapes, whatever the batch size: one clip, and so many queries.
_CPU_QUERIES = 16


@torch.inference_mode()
def encode_clips(
    model: VideoColBERTModel,
    processor: VideoColBERTProcessor,
    name: str,
    batch: Sequence[DecodedClip],
    number_format: str,
) -> list[EncodedVideo | BadVideo]:
    """Encodes decoded clips, on the model's device.

    Args:
        model: the model.
        processor: its processor.
        name: the model's name, for messages.
        batch: at least one clip. On a CPU each has a pass of its own.
        number_format: what its videos are encoded in.

    Returns:
        A result for each clip; a `BadVideo` where the model gives vectors that are not finite.

    Raises:
        EncodingError: a clip has texts of a level that the model does not have.
    """
    _check_passages(model, name, batch)
    if model.device.type == "cpu":
        return [result for clip in batch for result in _encode_together(model, processor, name, [clip], number_format)]
    return _encode_together(model, processor, name, batch, number_format)


def _encode_together(
    model: VideoColBERTModel,
    processor: VideoColBERTProcessor,
    name: str,
    batch: Sequence[DecodedClip],
    number_format: str,
) -> list[EncodedVideo | BadVideo]:
    """The results of one pass over all clips of a batch."""
    lengths = torch.tensor([len(clip.pixels) for clip in batch])
    # Eight bits a value until they are on the device: a quarter of the copying.
    pixels = torch.nn.utils.rnn.pad_sequence(on_one_canvas([clip.pixels for clip in batch]), batch_first=True)
    pixels = processor.video_processor.normalize(pixels.to(model.device))
    mask = (torch.arange(pixels.shape[1]) < lengths[:, None]).to(model.device)
    others: dict[str, Tensor] = {}
    if processor.video_processor.resizing.keeps_shape:
        others["frame_sizes"] = frame_sizes([clip.pixels for clip in batch])
    if levels := model.config.passage_levels:
        texts = [clip.clip.passages for clip in batch]
        others |= processor.process_passages(texts, levels, model.config.passage_length).to(model.device)
    video = model.get_video_features(pixels.to(model.dtype), mask, return_dict=True, **others)
    embeds, weights = {}, {}
    for level in model.config.levels:
        mask_of_level = video[f"{level}_mask"]
        embeds[level] = _unpadded(video[f"{level}_embeds"], mask_of_level)
        if (of_tokens := video.get(f"{level}_weights")) is not None:
            weights[level] = _unpadded(of_tokens, mask_of_level)
    centres = None
    if video.get("frame_centres") is not None:
        centres = _unpadded(video.frame_centres, video.frame_mask)
    results: list[EncodedVideo | BadVideo] = []
    for row, clip in enumerate(batch):
        # The token of several frames is shown at the one that it is centred on.
        timestamps = clip.timestamps if centres is None else clip.timestamps[centres[row].long().numpy()]
        bags = {level: of_level[row] for level, of_level in embeds.items()}
        weights_of_row = {level: of_level[row] for level, of_level in weights.items()}
        if all(torch.isfinite(each).all() for each in (*bags.values(), *weights_of_row.values())):
            results.append(
                EncodedVideo(
                    clip.clip,
                    clip.duration,
                    timestamps,
                    bags,
                    weights_of_row,
                    stored_range=clip.stored_range,
                    frame_size=clip.frame_size,
                    number_format=number_format,
                )
            )
        else:
            reason = f"{name} gave vectors for it that are not finite; try dtype float32"
            results.append(BadVideo(clip_name(clip.clip), reason))
    return results


def _check_passages(model: VideoColBERTModel, name: str, batch: Sequence[DecodedClip]) -> None:
    for clip in batch:
        if unknown := set(clip.clip.passages) - set(model.config.passage_levels):
            listed = ", ".join(model.config.passage_levels) or "none"
            raise EncodingError(
                f"{clip_name(clip.clip)} has texts of the levels {', '.join(sorted(unknown))}; {name} has {listed}"
            )


def encode_queries(
    model: VideoColBERTModel,
    processor: VideoColBERTProcessor,
    name: str,
    texts: Sequence[str],
    batch_size: int,
    *,
    phrases: bool = True,
) -> EncodedQueries:
    """Encodes queries.

    Args:
        model: the model.
        processor: its processor.
        name: the model's name, for messages.
        texts: at least one query.
        batch_size: queries that go through the model together. On a CPU it is always the same number, so that no
            result depends on it.
        phrases: whether a model that makes one vector of a query encodes the query's phrases too.

    Raises:
        EncodingError: the model gives vectors that are not finite.
    """
    tokenized = processor.tokenize_queries(texts)
    embeds, mask, weights = _encode_texts(model, processor, name, tokenized, batch_size)
    words: Sequence[Sequence[QueryWord]] = tokenized.words
    phrase_embeds = None
    is_pooled = model.config.query_representation == "pooled"
    if is_pooled and processor.query_windows is not None:
        words = [
            [QueryWord(window.text, [place]) for place, window in enumerate(caption)] for caption in tokenized.windows
        ]
    elif is_pooled:
        words = [[QueryWord(word=text, token_positions=[0])] for text in texts]
        # Of one vector for all frames there is no moment.
        if phrases and model.config.video_representation == "tokens":
            words, phrase_embeds = _encode_phrases(model, processor, name, texts, embeds, batch_size)
    return EncodedQueries.of_one_encoder(
        list(texts),
        QueryBags(embeds, mask, words, weights, phrase_embeds),
        model.config.levels,
        level_weights=model.config.weights_of_levels,
        truncated=tokenized.truncated,
        interaction=model.config.interaction,
        level_scoring=model.config.level_scoring,
    )


def _encode_phrases(
    model: VideoColBERTModel,
    processor: VideoColBERTProcessor,
    name: str,
    texts: Sequence[str],
    embeds: Tensor,
    batch_size: int,
) -> tuple[list[list[QueryWord]], Tensor]:
    """The phrases of each query, and [Nq, P, D] their vectors, padded with zeros.

    Args:
        model: the model.
        processor: its processor.
        name: the model's name, for messages.
        texts: the queries.
        embeds: [Nq, 1, D] their vectors.
        batch_size: as `encode_queries`.
    """
    of_queries = [split_phrases(text) for text in texts]
    # A query that is one phrase is encoded already.
    vectors = {text: embeds[row, 0] for row, text in enumerate(texts)}
    new = list(dict.fromkeys(phrase for phrases in of_queries for phrase in phrases if phrase not in vectors))
    if new:
        of_new, _, _ = _encode_texts(model, processor, name, processor.tokenize_queries(new), batch_size)
        vectors |= {phrase: of_new[row, 0] for row, phrase in enumerate(new)}
    padded = torch.nn.utils.rnn.pad_sequence(
        [torch.stack([vectors[phrase] for phrase in phrases]) for phrases in of_queries], batch_first=True
    )
    words = [[QueryWord(phrase, [row]) for row, phrase in enumerate(phrases)] for phrases in of_queries]
    return words, padded


@torch.inference_mode()
def _encode_texts(
    model: VideoColBERTModel,
    processor: VideoColBERTProcessor,
    name: str,
    tokenized: TokenizedQueries,
    batch_size: int,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Query tokens [N, Lq, D], which of them count, and their weights, on the model's device."""
    inputs = processor.process_queries(tokenized).to(model.device)
    number = len(tokenized.windows)
    is_cpu = model.device.type == "cpu"
    if is_cpu:
        batch_size = min(_CPU_QUERIES, number)
    embeds, masks, weights = [], [], []
    for start in range(0, number, batch_size):
        rows = torch.arange(start, min(start + batch_size, number))
        if is_cpu:
            # The last ones are filled up with the first text.
            rows = torch.cat([rows, torch.zeros(batch_size - len(rows), dtype=torch.long)])
        query = model.get_text_features(inputs["input_ids"][rows], inputs["attention_mask"][rows], return_dict=True)
        if not torch.isfinite(query.query_embeds[query.query_mask.bool()]).all():
            raise EncodingError(f"{name} gave vectors that are not finite; try dtype float32")
        embeds.append(query.query_embeds.float())
        masks.append(query.query_mask.bool())
        if query.query_weights is not None:
            weights.append(query.query_weights.float())
    return torch.cat(embeds)[:number], torch.cat(masks)[:number], torch.cat(weights)[:number] if weights else None


def _unpadded(embeds: Tensor, mask: Tensor) -> list[Tensor]:
    """The rows of a padded batch without their padding, float32 on the CPU."""
    return [row[row_mask] for row, row_mask in zip(embeds.float().cpu(), mask.bool().cpu(), strict=True)]
