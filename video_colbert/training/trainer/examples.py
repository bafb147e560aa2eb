"""Examples and batches in the form that `transformers.Trainer` takes them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from video_colbert.errors import DatasetError
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.video_text_dataset import Example, NoExample, TrainingCollator, VideoTextDataset

logger = logging.getLogger(__name__)

NO_VIDEO = -1
"""Label of a row that stands where a video could not be decoded."""


class TrainerExamples(Dataset[Example]):
    """Examples by their number, as samplers of `Trainer` ask for them.

    Args:
        examples: By epoch and number.
        keeps_bad: Whether a video that cannot be decoded stays as an example of no video, so that each has its number;
            otherwise the next one that can be decoded takes its place.

    Attributes:
        epoch: Which captions and frames the examples have; `EpochOfExamples` sets it.
    """

    def __init__(self, examples: VideoTextDataset, *, keeps_bad: bool = False) -> None:
        self.examples = examples
        self.keeps_bad = keeps_bad
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, number: int) -> Example:
        """Decodes an example.

        Raises:
            DatasetError: So many videos in a row cannot be decoded that the run should not go on.
        """
        found = self.examples[self.epoch, number]
        for video_id, reason in found.bad_videos:
            logger.warning("Skipped %s: %s", video_id, reason)
        if isinstance(found, NoExample):
            if not self.keeps_bad:
                listed = "; ".join(f"{video_id} ({reason})" for video_id, reason in found.bad_videos)
                raise DatasetError(f"too many videos of the data set cannot be decoded: {listed}")
            black = self.examples.video_processor.resize_and_crop_frame(np.zeros((8, 8, 3), np.uint8))
            return Example("", "", torch.from_numpy(black)[None], found.bad_videos)
        return found


class TrainerCollator:
    """Makes a batch of examples: the model's inputs, pixels normalised, and labels.

    Args:
        processor: Of the model.
        collate: Tokenizes captions and pads videos.
    """

    def __init__(self, processor: VideoColBERTProcessor, collate: TrainingCollator) -> None:
        self.processor = processor
        self.collate = collate

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Returns what the model's `forward` takes, and `labels`.

        `labels` are `[B, 2]` int64: a number for each video and one for each caption, equal where these are; or
        `[B, 3]` with the level that answers the caption, of a model with levels of texts. Both are `NO_VIDEO` where a
        video could not be decoded.
        """
        batch = self.collate(examples)
        is_bad = torch.tensor([not example.video_id for example in examples])
        columns = [batch.pop("video_keys"), batch.pop("caption_keys")]
        columns += [batch.pop("query_levels")] if "query_levels" in batch else []
        labels = torch.stack(columns, dim=1)
        labels[is_bad, :2] = NO_VIDEO
        del batch["video_ids"], batch["bad_videos"]
        batch["pixel_values_videos"] = self.processor.video_processor.normalize(batch["pixel_values_videos"])
        return {**batch, "labels": labels, "return_scores": False}


__all__ = ["NO_VIDEO", "TrainerCollator", "TrainerExamples"]
