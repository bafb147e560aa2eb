"""A model with its processor, from files and texts to token bags and scores.

Importing this loads no torch, so that a program that may need a model starts at once.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from video_colbert.errors import EncodingError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from video_colbert.encoding.clip_decoding import ClipDecoder, DecodedClip
    from video_colbert.encoding.encoded import BadVideo, EncodedQueries, EncodedVideo, VideoClip
    from video_colbert.encoding.passes.number_formats import Backend, DType
    from video_colbert.encoding.pretrained import PretrainedPair
    from video_colbert.encoding.search_hits import SearchHits
    from video_colbert.encoding.stored_model.model_reference import ModelReference
    from video_colbert.encoding.visual_query import VisualQuery
    from video_colbert.processing import VideoSource

    Videos: TypeAlias = VideoSource | VideoClip | Iterable[VideoSource | VideoClip]
    EncodedOrNot: TypeAlias = Videos | EncodedVideo | Iterable[VideoSource | VideoClip | EncodedVideo]


class VideoColBERTEncoder:
    """A model with its processor, from files and texts to token bags and scores.

    Args:
        pretrained: what `load_pretrained` returns.

    Example:
        >>> encoder = VideoColBERTEncoder.from_pretrained("openai/clip-vit-base-patch32")
        >>> encoder.similarity(["a dog runs"], ["a.mp4", "b.mp4"]).shape
        torch.Size([1, 2])
    """

    def __init__(self, pretrained: PretrainedPair) -> None:
        from video_colbert.encoding.pretrained import settings_digest

        self.model = pretrained.model
        self.processor = pretrained.processor
        self._loaded_from = pretrained.reference
        self._loaded_settings = settings_digest(pretrained.processor)
        self.is_zero_shot = pretrained.is_zero_shot
        self.format_choice = pretrained.choice

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        device: str | None = None,
        dtype: DType = "float32",
        backend: Backend = "torch",
        for_videos: bool = True,
    ) -> VideoColBERTEncoder:
        """Loads an encoder; arguments and errors as `load_pretrained`."""
        from video_colbert.encoding.pretrained import load_pretrained

        pretrained = load_pretrained(
            name_or_path, revision=revision, device=device, dtype=dtype, backend=backend, for_videos=for_videos
        )
        return cls(pretrained)

    @property
    def reference(self) -> ModelReference:
        """Which weights and settings make this encoder's vectors; other settings of its processor are another."""
        from video_colbert.encoding.pretrained import settings_digest

        settings = settings_digest(self.processor)
        if settings == self._loaded_settings:
            return self._loaded_from
        return self._loaded_from.with_settings(settings)

    @property
    def number_format(self) -> str:
        """What videos are encoded in, such as "int8" or "bfloat16 by openvino"."""
        return str(self.format_choice)

    @property
    def num_frames(self) -> int | None:
        """Frames sampled from a video unless the caller asks for another number; None for as many as there are."""
        number: int | None = self.processor.video_processor.num_frames
        return number

    def replica(self, device: str | torch.device) -> VideoColBERTEncoder:
        """Copies the encoder to another device, for encoding on several at once.

        Args:
            device: a torch device such as "cuda:1".

        Raises:
            EncodingError: it is of another kind, where the number format was not chosen for.
        """
        kind, own = str(device).partition(":")[0], self.model.device.type
        if kind != own and (self.format_choice.number_format == "int8" or self.format_choice.backend != "torch"):
            raise EncodingError(
                f"an encoder of {self.number_format} on {own} cannot be copied to {kind}; load it in float32 by torch"
            )
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
        videos: Videos,
        *,
        batch_size: int = 8,
        num_frames: int | None = None,
        threads: int | None = None,
    ) -> Iterator[EncodedVideo | BadVideo]:
        """Encodes videos, one result for each, in their order.

        A video that cannot be decoded gives a `BadVideo` and never ends the stream. At most about
        `batch_size + 2 * threads` decoded clips are held at once.

        Args:
            videos: paths, URLs or whatever else the processor decodes, and `VideoClip` for windows of videos; taken
                as needed. Or one of them.
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
            TypeError: something is no video.

        Example:
            >>> from video_colbert import VideoClip
            >>> whole, window = encoder.encode_videos(["a.mp4", VideoClip("b.mp4", start=1.0, end=2.0)])
            >>> whole.duration, bool((window.timestamps < 2.0).all())
            (3.0, True)
        """
        from video_colbert.encoding.clip_stream import encode_stream
        from video_colbert.encoding.inputs import as_clips

        threads = min(os.cpu_count() or 1, 8) if threads is None else threads
        for name, value in (("batch_size", batch_size), ("num_frames", num_frames), ("threads", threads)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        return encode_stream(
            as_clips(videos),
            self.clip_decoder(num_frames),
            self.encode_decoded,
            batch_size=batch_size,
            together=1 if self.model.device.type == "cpu" else batch_size,
            threads=threads,
        )

    def clip_decoder(self, num_frames: int | None = None) -> ClipDecoder:
        """What decodes clips for this model, in this process or in others.

        Args:
            num_frames: frames sampled from each clip; the processor's own number by default.

        Raises:
            EncodingError: more frames than the model has positions for, or the encoder was loaded for queries alone.
        """
        from video_colbert.encoding.clip_decoding import ClipDecoder

        if not hasattr(self.model, "vision_model"):
            raise EncodingError(
                f"{self._loaded_from.name} was loaded for queries alone; load it with for_videos=True to encode videos"
            )
        num_frames = self.num_frames if num_frames is None else num_frames
        self.check_num_frames(num_frames)
        settings = self.processor.video_processor
        return ClipDecoder(replace(settings.decoding, num_frames=num_frames), settings.resizing, self._max_frames)

    def encode_decoded(self, batch: Sequence[DecodedClip]) -> list[EncodedVideo | BadVideo]:
        """Encodes decoded clips together, on the model's device.

        Args:
            batch: at least one clip.

        Returns:
            A result for each clip; a `BadVideo` where the model gives vectors that are not finite.
        """
        from video_colbert.encoding.passes.model_passes import encode_clips

        return encode_clips(self.model, self.processor, self._loaded_from.name, batch, self.number_format)

    def encode_queries(
        self, texts: str | Sequence[str], *, batch_size: int = 64, phrases: bool = True
    ) -> EncodedQueries:
        """Encodes queries.

        Args:
            texts: the queries; or one, which makes a batch of one.
            batch_size: queries that go through the model together. On a CPU it is always the same number, so that
                no result depends on it.
            phrases: whether a model that makes one vector of a query encodes the query's phrases too, by which
                moments are found; scores do not depend on it.

        Raises:
            ValueError: no query, or a batch size below 1.
            TypeError: something is no text.
            EncodingError: the model gives vectors that are not finite.
        """
        from video_colbert.encoding.inputs import as_texts
        from video_colbert.encoding.passes.model_passes import encode_queries

        queries = as_texts(texts)
        if not queries or batch_size < 1:
            raise ValueError(f"needs a query and a batch size of at least 1, got {len(queries)} and {batch_size}")
        return encode_queries(self.model, self.processor, self._loaded_from.name, queries, batch_size, phrases=phrases)

    def encode_visual_queries(self, queries: Sequence[VisualQuery]) -> EncodedQueries:
        """Encodes queries by picture or clip; the words of a query beside them count by its `text_weight`.

        Words and what is shown are summed as they are; `Index.search` brings both to one scale first.

        Raises:
            ValueError: no query, or some with words and some without.
            VideoDecodingError: a clip cannot be decoded; it is named.
            EncodingError: the encoder was loaded for queries alone, its model does not sum over query tokens and there
                are words, or it gives vectors that are not finite.
        """
        from video_colbert.encoding.visual_query.encode import encode_visual_queries

        return encode_visual_queries(self, queries)

    def similarity(self, queries: str | Sequence[str] | EncodedQueries, videos: EncodedOrNot) -> Tensor:
        """Scores queries against videos.

        Args:
            queries: texts, one text, or what `encode_queries` made of them.
            videos: what `encode_videos` takes, or its results; or one of them.

        Returns:
            float32 [Nq, Nv] scores, as the model gives them, on the CPU.

        Raises:
            VideoDecodingError: a video cannot be decoded; it is named.
            TypeError: something is no text, or no video.
            ValueError: no query.
            EncodingError: the model gives vectors that are not finite.

        Example:
            >>> encoder.similarity(["a dog runs", "a cat sleeps"], ["a.mp4"]).shape
            torch.Size([2, 1])
        """
        import torch

        from video_colbert.encoding.level_scores import level_scores, pad_levels

        encoded_queries = self._encoded_queries(queries)
        encoded = self._good_videos(videos)
        if not encoded:
            return torch.empty(len(encoded_queries.texts), 0)
        with torch.inference_mode():
            return level_scores(encoded_queries, pad_levels(encoded))["sum"].cpu()

    def rerank(self, text: str | EncodedQueries, videos: EncodedOrNot, *, top_k: int | None = None) -> SearchHits:
        """Puts videos in the order in which they fit a text, without an index.

        Args:
            text: a text, or what `encode_queries` made of one.
            videos: as `similarity`.
            top_k: hits at most; None for all videos.

        Returns:
            Hits with rank, video, score and moments, best first; of equal scores, in the order of `videos`.

        Raises:
            ValueError: `top_k` is below 1, or there is not just one text.
            VideoDecodingError: a video cannot be decoded; it is named.
            TypeError: something is no text, or no video.
            EncodingError: the model gives vectors that are not finite.

        Example:
            >>> [hit.rank for hit in encoder.rerank("a dog runs", ["a.mp4", "b.mp4"])]
            [1, 2]
        """
        from video_colbert.encoding.search_hits import rank_videos

        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        query = self._encoded_queries(text)
        if len(query.texts) != 1:
            raise ValueError(f"rerank takes one text, got {len(query.texts)}; call it for each")
        return rank_videos(query, self._good_videos(videos), self._loaded_from.name)[:top_k]

    def _encoded_queries(self, queries: str | Sequence[str] | EncodedQueries) -> EncodedQueries:
        from video_colbert.encoding.encoded import EncodedQueries

        return queries if isinstance(queries, EncodedQueries) else self.encode_queries(queries)

    def _good_videos(self, videos: EncodedOrNot) -> list[EncodedVideo]:
        """The videos encoded, those that are already as they are.

        Raises:
            VideoDecodingError: one cannot be decoded.
        """
        from video_colbert.encoding.encoded import BadVideo, EncodedVideo
        from video_colbert.encoding.inputs import as_videos
        from video_colbert.processing import VideoDecodingError

        given: list[Any] = list(as_videos(videos))
        new = self.encode_videos([video for video in given if not isinstance(video, EncodedVideo | BadVideo)])
        results = [video if isinstance(video, EncodedVideo | BadVideo) else next(new) for video in given]
        for result in results:
            if isinstance(result, BadVideo):
                raise VideoDecodingError(result.source, result.reason)
        return [result for result in results if isinstance(result, EncodedVideo)]

    @property
    def _max_frames(self) -> int | None:
        """The most frames that the model takes; None for no limit."""
        config = self.model.config
        if not config.has_temporal_transformer or config.temporal_position_embedding == "none":
            return None
        return int(config.max_frames)
