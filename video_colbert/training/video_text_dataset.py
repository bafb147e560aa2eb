"""Training examples: a video's frames and one of its captions, each a function of seed, epoch and video."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from video_colbert.encoding.passage_columns import level_of_caption, passages_of
from video_colbert.modeling_video_colbert import VideoColBERTConfig
from video_colbert.modeling_video_colbert.configuration_video_colbert import PASSAGE_LEVELS
from video_colbert.processing import DecodedVideo, VideoColBERTProcessor, VideoDecodingError, sampling_generator
from video_colbert.processing.video_batches import frame_sizes, on_one_canvas
from video_colbert.processing.video_sources import encoded_row, is_decoder
from video_colbert.training.arguments import CaptionSampling, TrainingArguments
from video_colbert.training.frame_cache import FrameCache

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """One training example.

    Attributes:
        video_id: The video's name in its data set.
        caption: One of its captions.
        pixels: uint8 `[T, 3, H, W]` frames, resized and cropped.
        bad_videos: What could not be decoded before this example was found, id and reason.
        passages: Texts of the video by level, such as `"speech"`.
        caption_level: The level that answers the caption; `None` where it is not known.
    """

    video_id: str
    caption: str
    pixels: Tensor
    bad_videos: list[tuple[str, str]] = field(default_factory=list)
    passages: Mapping[str, str] = field(default_factory=dict)
    caption_level: str | None = None


@dataclass(frozen=True)
class NoExample:
    """Stands where too many videos in a row could not be decoded for the run to go on.

    Attributes:
        bad_videos: What could not be decoded, id and reason.
    """

    bad_videos: list[tuple[str, str]]


class VideoTextDataset(Dataset[Example | NoExample]):
    """Video-text rows as training examples.

    An index is a pair (epoch, position): which caption and which frames an example has depends on seed, epoch and
    video id alone, so a resumed run, or one with other workers, sees the same. A video that cannot be decoded is
    replaced by the next one that can and listed in the example.

    Args:
        rows: Rows with `video_id`, `video`, `captions`, `start`, `end`, such as a `datasets.Dataset`; for a model with
            levels of texts also `passages`, the texts by level, and perhaps `caption_levels`, for each caption the
            level that answers it (`passage_columns.py`).
        processor: Decides the frames.
        seed: The run's seed.
        caption_sampling: `"random"` takes one caption a video an epoch, `"all"` makes every pair an example.
        random_frames: Whether to take a random frame of each segment rather than its middle; of a processor whose
            sampling is `"fps"`, the frames are those of its clock, always.
        max_bad_share: Share of the videos that one example may find bad before it gives up.
        cache: Where decoded frames are kept.
        cache_frames_per_segment: Frames kept of each segment, for random ones to be drawn from.

    Raises:
        ValueError: No row has both a video and a caption.
    """

    def __init__(
        self,
        rows: Sequence[dict[str, Any]],
        processor: VideoColBERTProcessor,
        *,
        seed: int = 0,
        caption_sampling: CaptionSampling = "random",
        random_frames: bool = True,
        max_bad_share: float = 1.0,
        cache: FrameCache | None = None,
        cache_frames_per_segment: int = 1,
    ) -> None:
        self.rows = rows
        self.video_processor = processor.video_processor
        self.seed = seed
        self.random_frames = random_frames
        self.max_bad_share = max_bad_share
        self.cache = cache
        self.cache_frames_per_segment = cache_frames_per_segment
        self.examples: list[tuple[int, int | None]] = []
        num_missing = 0
        for row_index, row in enumerate(rows):
            if row["video"] is None:
                num_missing += 1
                continue
            captions = range(len(row["captions"]))
            if caption_sampling == "all":
                self.examples += [(row_index, caption) for caption in captions]
            elif captions:
                self.examples.append((row_index, None))
        self.num_videos = len({row_index for row_index, _ in self.examples})
        if not self.examples:
            raise ValueError("The training data has no row with both a video file and a caption.")
        if num_missing:
            logger.warning("%d of %d training videos have no file and are left out.", num_missing, len(rows))

    def __len__(self) -> int:
        return len(self.examples)

    def of_epoch(self, epoch: int) -> "VideoTextDataset":
        """The data set of an epoch, which is the same one each time."""
        return self

    def __getitem__(self, index: tuple[int, int]) -> Example | NoExample:
        epoch, position = index
        bad_videos: list[tuple[str, str]] = []
        for offset in range(len(self.examples)):
            row_index, caption_index = self.examples[(position + offset) % len(self.examples)]
            row = self.rows[row_index]
            video_id = row["video_id"]
            if any(video_id == bad_id for bad_id, _ in bad_videos):
                continue
            generator = sampling_generator(self.seed, epoch, video_id)
            if caption_index is None:
                caption_index = int(generator.integers(len(row["captions"])))
            try:
                pixels = self._pixels(row, generator)
            except VideoDecodingError as error:
                bad_videos.append((video_id, error.reason))
                if len(bad_videos) > self.max_bad_share * self.num_videos:
                    break
                continue
            return Example(
                video_id,
                row["captions"][caption_index],
                pixels,
                bad_videos,
                passages_of(row, PASSAGE_LEVELS),
                level_of_caption(row, caption_index),
            )
        return NoExample(bad_videos)

    def _pixels(self, row: dict[str, Any], generator: np.random.Generator) -> Tensor:
        decoding = self.video_processor.decoding
        if self.random_frames and decoding.sampling == "uniform":
            decoding = replace(decoding, sampling="segment_random")
        source = row["video"]
        if is_decoder(source):
            source = encoded_row(source) or source
        # A decoder that was made by hand tells nothing by which its frames could be found again.
        if self.cache is None or is_decoder(source):
            video = decoding.decode(
                source,
                start=row["start"],
                end=row["end"],
                generator=generator,
                prepare=self.video_processor.resize_and_crop_frame,
            )
            return torch.from_numpy(video.frames)
        video = self._cached_video({**row, "video": source}, self.cache)
        if self.cache_frames_per_segment > 1 and decoding.sampling != "fps":
            video = decoding.decode(video, generator=generator)
        return torch.from_numpy(video.frames).permute(0, 3, 1, 2)

    def _cached_video(self, row: dict[str, Any], cache: FrameCache) -> DecodedVideo:
        processor, decoding = self.video_processor, self.video_processor.decoding
        if decoding.sampling != "fps" and decoding.num_frames is not None:
            num_frames = decoding.num_frames * self.cache_frames_per_segment
            decoding = replace(decoding, sampling="uniform", num_frames=num_frames)
        settings = {
            "decoding": asdict(decoding),
            "start": row["start"],
            "end": row["end"],
            "resize": [processor.do_resize, processor.size, processor.resample],
            "crop": [processor.do_center_crop, processor.crop_size],
        }
        key = cache.key(row["video"], settings)
        video = cache.get(key)
        if video is None:
            decoded = decoding.decode(
                row["video"], start=row["start"], end=row["end"], prepare=processor.resize_and_crop_frame
            )
            frames = np.ascontiguousarray(decoded.frames.transpose(0, 2, 3, 1))
            video = DecodedVideo(frames, decoded.timestamps, decoded.duration)
            cache.put(key, video)
        return video


def build_training_dataset(
    rows: Sequence[dict[str, Any]],
    processor: VideoColBERTProcessor,
    arguments: TrainingArguments,
    *,
    num_processes: int = 1,
) -> VideoTextDataset:
    """Builds the data set of a run, with its cache of decoded frames if it has one.

    Args:
        rows: As for [`VideoTextDataset`].
        processor: Of the model.
        arguments: Of the run.
        num_processes: Training processes that share the cache.
    """
    cache = None
    if arguments.frame_cache is not None:
        max_bytes = int(arguments.frame_cache_gigabytes * 1e9)
        cache = FrameCache(Path(arguments.frame_cache), max_bytes, num_processes=num_processes)
    return VideoTextDataset(
        rows,
        processor,
        seed=arguments.seed,
        caption_sampling=arguments.caption_sampling,
        random_frames=arguments.random_frames,
        max_bad_share=arguments.max_bad_share,
        cache=cache,
        cache_frames_per_segment=arguments.frame_cache_frames_per_segment,
    )


class TrainingCollator:
    """Makes a micro-batch of examples.

    Args:
        processor: Tokenizes the captions.
        config: Of a model with levels of texts; `None` for one without.
    """

    def __init__(self, processor: VideoColBERTProcessor, config: VideoColBERTConfig | None = None) -> None:
        self.processor = processor
        self.config = config

    def __call__(self, found: Sequence[Example | NoExample]) -> dict[str, Any]:
        """Returns the model's inputs, with uint8 pixels, the pair keys, the ids, and the bad videos met.

        Where an example is missing, only the bad videos: the run stops over them.
        """
        bad_videos = [bad for each in found for bad in each.bad_videos]
        examples = [example for example in found if isinstance(example, Example)]
        if len(examples) < len(found):
            return {"video_ids": [], "bad_videos": bad_videos}
        inputs = dict(self.processor.process_queries([example.caption for example in examples]))
        if self.config is not None and self.config.passage_levels:
            inputs |= self._passages(examples, self.config)
        lengths = torch.tensor([len(example.pixels) for example in examples])
        num_frames = self.processor.video_processor.num_frames or int(lengths.max())
        # In a worker, torch's own collation writes where the main process reads, without a copy between.
        frames = on_one_canvas([example.pixels for example in examples])
        pixels = default_collate([_padded(video, num_frames) for video in frames])
        if self.processor.video_processor.resizing.keeps_shape:
            inputs["frame_sizes"] = frame_sizes([example.pixels for example in examples])
        return {
            **inputs,
            "pixel_values_videos": pixels,
            "video_mask": torch.arange(num_frames) < lengths[:, None],
            "video_keys": torch.tensor([text_key(example.video_id) for example in examples]),
            "caption_keys": torch.tensor([text_key(example.caption) for example in examples]),
            "video_ids": [example.video_id for example in examples],
            "bad_videos": bad_videos,
        }

    def _passages(self, examples: Sequence[Example], config: VideoColBERTConfig) -> dict[str, Any]:
        """The texts of examples, of the levels that the model has, and which of its levels answers each caption."""
        levels = config.passage_levels
        texts = [{level: text for level, text in example.passages.items() if level in levels} for example in examples]
        numbers = {level: number for number, level in enumerate(config.score_levels)}
        query_levels = [numbers.get(example.caption_level or "", -1) for example in examples]
        inputs = self.processor.process_passages(texts, levels, config.passage_length)
        return {**inputs, "query_levels": torch.tensor(query_levels)}


def _padded(pixels: Tensor, num_frames: int) -> Tensor:
    """Adds black frames to uint8 `[T, 3, H, W]` up to a number of frames."""
    missing = num_frames - len(pixels)
    return F.pad(pixels, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else pixels


def text_key(text: str) -> int:
    """Returns a 63-bit number that is equal for equal texts, on every process and in every run."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


__all__ = ["Example", "NoExample", "TrainingCollator", "VideoTextDataset", "build_training_dataset", "text_key"]
