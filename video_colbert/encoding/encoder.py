"""Encoding of videos and queries with a model; files are decoded by threads ahead of it."""

from __future__ import annotations

import copy
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from video_colbert.encoding.clip_decoding import ClipDecoder, DecodedClip, clip_name
from video_colbert.encoding.encoded import BadVideo, EncodedQueries, EncodedVideo, QueryBags, VideoClip
from video_colbert.encoding.pretrained import (
    DType,
    ModelReference,
    PretrainedPair,
    load_pretrained,
    settings_digest,
)
from video_colbert.errors import EncodingError
from video_colbert.processing import QueryWord

# On a processor, matrix products of other shapes round otherwise, by about 1e-7, which is enough to swap two nearly
# equal videos. There the model always sees the same shapes, whatever the batch size: one clip, and so many queries.
_CPU_QUERIES = 16

_Input = TypeVar("_Input")
_Output = TypeVar("_Output")


class VideoColBERTEncoder:
    """A model with its processor, from files and texts to token bags.

    Args:
        pretrained: what `load_pretrained` returns.

    Example:
        encoder = VideoColBERTEncoder.from_pretrained("openai/clip-vit-base-patch32")
        for result in encoder.encode_videos([VideoClip("a.mp4"), VideoClip("b.mp4")]):
            ...
    """

    def __init__(self, pretrained: PretrainedPair) -> None:
        self.model = pretrained.model
        self.processor = pretrained.processor
        self._loaded_from = pretrained.reference
        self._loaded_settings = settings_digest(pretrained.processor)
        self.is_zero_shot = pretrained.is_zero_shot

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        device: str | None = None,
        dtype: DType = "float32",
    ) -> VideoColBERTEncoder:
        """Loads an encoder; arguments and errors as `load_pretrained`."""
        return cls(load_pretrained(name_or_path, revision=revision, device=device, dtype=dtype))

    @property
    def reference(self) -> ModelReference:
        """Which weights and settings make this encoder's vectors; other settings of its processor are another."""
        settings = settings_digest(self.processor)
        if settings == self._loaded_settings:
            return self._loaded_from
        return self._loaded_from.with_settings(settings)

    @property
    def num_frames(self) -> int | None:
        """Frames sampled from a video unless the caller asks for another number; None for as many as there are."""
        number: int | None = self.processor.video_processor.num_frames
        return number

    def replica(self, device: str | torch.device) -> VideoColBERTEncoder:
        """Copies the encoder to another device, for encoding on several at once.

        Args:
            device: a torch device such as "cuda:1".
        """
        other = copy.copy(self)
        other.model = copy.deepcopy(self.model).to(device)
        return other

    def check_num_frames(self, num_frames: int | None) -> None:
        """Checks that the model takes this many frames.

        Raises:
            EncodingError: it has positions for fewer.
        """
        if num_frames is not None and self._max_frames is not None and num_frames > self._max_frames:
            raise EncodingError(
                f"num_frames is {num_frames}, but {self.reference.name} has positions for {self._max_frames} frames"
            )

    def encode_videos(
        self,
        clips: Iterable[VideoClip],
        *,
        batch_size: int = 8,
        num_frames: int | None = None,
        threads: int | None = None,
    ) -> Iterator[EncodedVideo | BadVideo]:
        """Encodes clips, one result for each, in their order.

        A clip that cannot be decoded gives a `BadVideo` and never ends the stream. At most about
        `batch_size + 2 * threads` decoded clips are held at once.

        Args:
            clips: what to encode; taken as needed.
            batch_size: clips that go through the model together. On a CPU the model takes them one by one, so that no
                result depends on it; on other devices its results may differ in the last bits.
            num_frames: frames sampled from each clip; the processor's own number by default.
            threads: decoding threads; by default one for each processor core, at most 8.

        Returns:
            An iterator of `EncodedVideo` and `BadVideo`; a clip for which the model gives vectors that are not
            finite is bad too.

        Raises:
            ValueError: a number below 1.
            EncodingError: more frames than the model has positions for.
        """
        threads = min(os.cpu_count() or 1, 8) if threads is None else threads
        for name, value in (("batch_size", batch_size), ("num_frames", num_frames), ("threads", threads)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        return self._encode_stream(clips, batch_size, self.clip_decoder(num_frames), threads)

    def clip_decoder(self, num_frames: int | None = None) -> ClipDecoder:
        """What decodes clips for this model, in this process or in others.

        Args:
            num_frames: frames sampled from each clip; the processor's own number by default.

        Raises:
            EncodingError: more frames than the model has positions for.
        """
        num_frames = self.num_frames if num_frames is None else num_frames
        self.check_num_frames(num_frames)
        return ClipDecoder(self.processor.video_processor, num_frames, self._max_frames)

    @torch.inference_mode()
    def encode_decoded(self, batch: Sequence[DecodedClip]) -> list[EncodedVideo | BadVideo]:
        """Encodes decoded clips together, on the model's device.

        Args:
            batch: at least one clip; all frames of one size.

        Returns:
            A result for each clip; a `BadVideo` where the model gives vectors that are not finite.
        """
        lengths = torch.tensor([len(clip.pixels) for clip in batch])
        # Eight bits a value until they are on the device: a quarter of the copying.
        pixels = torch.nn.utils.rnn.pad_sequence([clip.pixels for clip in batch], batch_first=True)
        pixels = self.processor.video_processor.normalize(pixels.to(self.model.device))
        mask = (torch.arange(pixels.shape[1]) < lengths[:, None]).to(self.model.device)
        video = self.model.get_video_features(pixels.to(self.model.dtype), mask, return_dict=True)
        embeds = {"frame": _unpadded(video.frame_embeds, video.frame_mask)}
        weights = {}
        if video.frame_weights is not None:
            weights["frame"] = _unpadded(video.frame_weights, video.frame_mask)
        if video.video_embeds is not None and video.video_mask is not None:
            embeds["video"] = _unpadded(video.video_embeds, video.video_mask)
            if video.video_weights is not None:
                weights["video"] = _unpadded(video.video_weights, video.video_mask)
        return [
            self._if_finite(
                EncodedVideo(
                    clip.clip,
                    clip.duration,
                    clip.timestamps,
                    {level: bags[row] for level, bags in embeds.items()},
                    {level: of_tokens[row] for level, of_tokens in weights.items()},
                    clip.stored_range,
                )
            )
            for row, clip in enumerate(batch)
        ]

    @torch.inference_mode()
    def encode_queries(self, texts: Sequence[str], *, batch_size: int = 64) -> EncodedQueries:
        """Encodes queries.

        Args:
            texts: the queries.
            batch_size: queries that go through the model together. On a CPU it is always the same number, so that
                no result depends on it.

        Raises:
            ValueError: no query, or a batch size below 1.
            EncodingError: the model gives vectors that are not finite.
        """
        texts = list(texts)
        if not texts or batch_size < 1:
            raise ValueError(f"needs a query and a batch size of at least 1, got {len(texts)} and {batch_size}")
        inputs = self.processor.process_queries(texts).to(self.model.device)
        if self.model.device.type == "cpu":
            batch_size = min(_CPU_QUERIES, len(texts))
        embeds, masks, weights = [], [], []
        for start in range(0, len(texts), batch_size):
            rows = torch.arange(start, min(start + batch_size, len(texts)))
            if self.model.device.type == "cpu":
                # The last ones are filled up with the first query.
                rows = torch.cat([rows, torch.zeros(batch_size - len(rows), dtype=torch.long)])
            query = self.model.get_text_features(
                inputs["input_ids"][rows], inputs["attention_mask"][rows], return_dict=True
            )
            if not torch.isfinite(query.query_embeds[query.query_mask.bool()]).all():
                raise EncodingError(f"{self.reference.name} gave vectors that are not finite; try dtype float32")
            embeds.append(query.query_embeds.float())
            masks.append(query.query_mask.bool())
            if query.query_weights is not None:
                weights.append(query.query_weights.float())
        config = self.model.config
        if config.query_representation == "pooled":
            words = [[QueryWord(word=text, token_positions=[0])] for text in texts]
        else:
            words = self.processor.query_words(texts)
        bags = QueryBags(
            torch.cat(embeds)[: len(texts)],
            torch.cat(masks)[: len(texts)],
            words,
            torch.cat(weights)[: len(texts)] if weights else None,
        )
        return EncodedQueries.of_one_encoder(
            texts,
            bags,
            ("frame", "video") if "video" in config.score_levels else ("frame",),
            score_levels=tuple(config.score_levels),
            truncated=self.processor.truncated_queries(texts),
            interaction=config.interaction,
        )

    @property
    def _max_frames(self) -> int | None:
        """The most frames that the model takes; None for no limit."""
        config = self.model.config
        if "video" not in config.score_levels or config.temporal_position_embedding == "none":
            return None
        return int(config.max_frames)

    def _if_finite(self, video: EncodedVideo) -> EncodedVideo | BadVideo:
        """A video whose vectors are numbers, or else what is wrong with it."""
        vectors = (*video.embeds.values(), *video.token_weights.values())
        if all(torch.isfinite(each).all() for each in vectors):
            return video
        reason = f"{self.reference.name} gave vectors for it that are not finite; try dtype float32"
        return BadVideo(clip_name(video.clip), reason)

    def _encode_stream(
        self, clips: Iterable[VideoClip], batch_size: int, decoder: ClipDecoder, threads: int
    ) -> Iterator[EncodedVideo | BadVideo]:
        waiting: list[DecodedClip | BadVideo] = []
        for decoded in _map_ahead(decoder.decode, clips, threads=threads, ahead=2 * threads):
            waiting.append(decoded)
            if sum(isinstance(item, DecodedClip) for item in waiting) == batch_size:
                yield from self._encode_waiting(waiting)
                waiting = []
        yield from self._encode_waiting(waiting)

    def _encode_waiting(self, items: Sequence[DecodedClip | BadVideo]) -> Iterator[EncodedVideo | BadVideo]:
        """Encodes the good ones of `items` together and gives one result for each item, in order."""
        batch = [item for item in items if isinstance(item, DecodedClip)]
        together = 1 if self.model.device.type == "cpu" else max(len(batch), 1)
        groups = [batch[start : start + together] for start in range(0, len(batch), together)]
        encoded = iter([video for group in groups for video in self.encode_decoded(group)])
        return iter([item if isinstance(item, BadVideo) else next(encoded) for item in items])


def _unpadded(embeds: Tensor, mask: Tensor) -> list[Tensor]:
    """The rows of a padded batch without their padding, float32 on the CPU."""
    return [row[row_mask] for row, row_mask in zip(embeds.float().cpu(), mask.bool().cpu(), strict=True)]


def _map_ahead(
    function: Callable[[_Input], _Output], inputs: Iterable[_Input], *, threads: int, ahead: int
) -> Iterator[_Output]:
    """Maps in threads, in order, with at most `ahead` results made or being made before they are wanted."""
    executor = ThreadPoolExecutor(threads)
    pending: deque[Future[_Output]] = deque()
    try:
        for item in inputs:
            pending.append(executor.submit(function, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # Also when the consumer stops early: what has not begun is not begun.
        executor.shutdown(wait=True, cancel_futures=True)
