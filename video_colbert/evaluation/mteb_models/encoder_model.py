"""A model by mteb's `EncoderProtocol`: texts and videos to token bags, which mteb keeps and has scored."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.mteb_models.batch_size import checked_batch_size
from video_colbert.evaluation.mteb_models.packed_bags import pack_queries, pack_videos, packed_scores
from video_colbert.evaluation.mteb_models.task_rows import TEXT_COLUMN, VIDEO_COLUMN, as_source, undecoded

if TYPE_CHECKING:
    from mteb import TaskMetadata
    from mteb.models import ModelMeta
    from mteb.types import PromptType

logger = logging.getLogger(__name__)


class VideoColBERTEncoderModel:
    """A model that encodes what mteb hands it, for tasks in either direction and for mteb's own search and caches.

    Embeddings are packed token bags (`packed_bags.py`), `[items, tokens, D + 2]`; `similarity` gives the model's own
    scores of them. A video that cannot be decoded has no tokens, scores below all others, and is logged.

    Args:
        encoder: the model.
        meta: what mteb is told of it.
        threads: decoding threads; by default one for each processor core, at most 8.

    Attributes:
        mteb_model_meta: as given, or as mteb sets it.
    """

    def __init__(self, encoder: VideoColBERTEncoder, meta: ModelMeta, *, threads: int | None = None) -> None:
        self.encoder = encoder
        self.mteb_model_meta = meta
        self._threads = threads

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Encodes texts or videos.

        Args:
            inputs: mteb's loader of batches. Of one over rows of `datasets`, the rows are read as they are, so that
                no video is decoded twice.
            task_metadata: of the task.
            hf_split: its split.
            hf_subset: its subset.
            prompt_type: not used: a text is a query, whether it is searched with or for.
            **kwargs: `batch_size` and `show_progress_bar`.

        Returns:
            float32 `[items, tokens, D + 2]` packed token bags.

        Raises:
            ValueError: the inputs are neither texts nor videos, or both, or more is asked for than is done.
            EncodingError: the model gives vectors that are not finite.
        """
        batch_size = checked_batch_size(kwargs)
        rows = _rows(inputs)
        first = next(rows, None)
        if first is None:
            raise ValueError(f"{task_metadata.name} has nothing to encode: its loader is empty")
        if len(first) != 1:
            raise ValueError(
                f"an item of {task_metadata.name} has {' and '.join(first) or 'neither text nor video'}; this model "
                "encodes a text, or a video without a text beside it"
            )
        items = itertools.chain([first], rows)
        if TEXT_COLUMN in first:
            texts = [str(row[TEXT_COLUMN]) for row in items]
            return pack_queries(self.encoder.encode_queries(texts, batch_size=batch_size, phrases=False))
        config = self.encoder.model.config
        encoded: list[EncodedVideo | None] = []
        clips = (VideoClip(as_source(row[VIDEO_COLUMN])) for row in items)
        videos = self.encoder.encode_videos(clips, batch_size=batch_size, threads=self._threads)
        for number, video in enumerate(videos):
            if isinstance(video, BadVideo):
                logger.warning("%s: video %d cannot be decoded: %s", task_metadata.name, number, video.reason)
            encoded.append(None if isinstance(video, BadVideo) else video)
        return pack_videos(encoded, config.levels, config.projection_dim)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Scores every item of one side against every item of the other.

        Args:
            embeddings1: `[A, N, D + 2]` packed bags of texts or of videos, or one `[N, D + 2]`.
            embeddings2: of the other kind.

        Returns:
            float32 `[A, B]`.

        Raises:
            ValueError: both sides are texts, or both are videos.
        """
        model = self.encoder.model
        return packed_scores(model.config, _batch(embeddings1), _batch(embeddings2), model.device)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Scores each item of one side against the item of the other in the same place.

        Args:
            embeddings1: as of `similarity`.
            embeddings2: as many.

        Returns:
            float32 `[A]`.

        Raises:
            ValueError: as `similarity`, or there are not as many on both sides.
        """
        first, second = _batch(embeddings1), _batch(embeddings2)
        if len(first) != len(second):
            raise ValueError(f"there are {len(first)} and {len(second)} embeddings; pairs need as many on both sides")
        config = self.encoder.model.config
        pairs = (packed_scores(config, first[row : row + 1], second[row : row + 1]) for row in range(len(first)))
        return torch.cat([score.flatten() for score in pairs])


def _batch(embeddings: Any) -> Tensor:
    bags = torch.as_tensor(embeddings)
    return bags[None] if bags.dim() == 2 else bags


def _rows(inputs: Any) -> Iterator[dict[str, Any]]:
    """The texts and videos of a loader, an item at a time."""
    dataset: Any = getattr(inputs, "dataset", None)
    if hasattr(dataset, "column_names") and hasattr(dataset, "cast_column"):
        kinds = [name for name in (TEXT_COLUMN, VIDEO_COLUMN) if name in dataset.column_names]
        yield from undecoded(dataset).select_columns(kinds)
        return
    for batch in inputs:
        kinds = [name for name in (TEXT_COLUMN, VIDEO_COLUMN) if name in batch]
        for values in zip(*(batch[kind] for kind in kinds), strict=True):
            yield dict(zip(kinds, values, strict=True))
