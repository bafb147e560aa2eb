"""One run of the study: a configuration and a seed, trained on the mixed training set and scored on a split."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from pretrained_backbone import pooled_frames
from task_data import TaskSplit
from torch import Tensor, nn
from torch.optim import AdamW
from tqdm import tqdm
from transformers import CLIPModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from video_colbert.dataset_builders.shapes.graded_shapes_clips import TaskClip
from video_colbert.dataset_builders.shapes.graded_shapes_tasks import TIMES
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.calibration.level_weights import fit_level_weights
from video_colbert.training.calibration.logit_bias import set_logit_bias
from video_colbert.training.contrastive_step import contrastive_step
from video_colbert.training.model_setup import build_model_and_processor
from video_colbert.training.optimization import build_scheduler, parameter_groups


class PooledFrames(nn.Module):
    """Stands in the place of a frozen image tower whose pooled vectors were computed before.

    A frozen tower gives the same vectors in every step; computing them once makes a step several times cheaper and
    changes no number. Its "pixels" are those vectors, `[N, 1, 1, width]`.
    """

    def forward(self, pixel_values: Tensor, **outputs: bool | None) -> BaseModelOutputWithPooling:
        """Returns the vectors as the tower would; whatever else it is asked to return, it has not."""
        if any(outputs.get(name) for name in ("output_hidden_states", "output_attentions")):
            raise ValueError("vectors that were computed before have no hidden states and no attentions")
        return BaseModelOutputWithPooling(pooler_output=pixel_values.flatten(1))


@dataclass(frozen=True)
class PooledSplit:
    """A split as the frozen image tower sees it.

    Attributes:
        clips: What each clip shows and is called.
        pooled: float32 [N, T, width], the tower's pooled vector of each frame.
    """

    clips: list[TaskClip]
    pooled: Tensor

    def pixel_values(self, rows: np.ndarray) -> Tensor:
        """Returns [B, T, 1, 1, width], for a model with `PooledFrames`."""
        return self.pooled[torch.from_numpy(rows), :, None, None]

    def part(self, rows: np.ndarray) -> "PooledSplit":
        """Some of the clips."""
        return PooledSplit([self.clips[row] for row in rows], self.pooled[torch.from_numpy(rows)])


def pool_split(backbone: Path, split: TaskSplit) -> PooledSplit:
    """Sends all frames of a split through the backbone's image tower."""
    model = CLIPModel.from_pretrained(backbone).eval()
    number, length = split.frames.shape[:2]
    pooled = torch.cat(
        [
            pooled_frames(model, split.frames[start : start + 128].reshape(-1, *split.frames.shape[2:]))
            for start in range(0, number, 128)
        ]
    )
    return PooledSplit(split.clips, pooled.view(number, length, -1))


def training_rows(num_clips: int, batch_size: int, seed: int, num_steps: int) -> Iterator[np.ndarray]:
    """Yields the clips of each step: every clip once an epoch, an incomplete batch left out."""
    steps_per_epoch = num_clips // batch_size
    for step in range(num_steps):
        epoch, place = divmod(step, steps_per_epoch)
        if place == 0:
            order = np.random.default_rng([seed, epoch]).permutation(num_clips)
        yield order[place * batch_size : (place + 1) * batch_size]


def rows_with_counting_groups(split: PooledSplit, batch_size: int, seed: int, num_steps: int) -> Iterator[np.ndarray]:
    """Yields the clips of each step: four of counting that show one actor once to four times, and others at random.

    A batch at random has few clips of counting and next to never two of one actor, so that telling actors and tasks
    apart is all that its loss asks for.
    """
    by_actor: dict[tuple[str, str], dict[str, list[int]]] = {}
    others = []
    for row, clip in enumerate(split.clips):
        if clip.task != "counting":
            others.append(row)
            continue
        action = clip.performances[0].action
        by_actor.setdefault((action.colour, action.shape), {}).setdefault(clip.caption, []).append(row)
    actors = [list(of_actor.values()) for of_actor in by_actor.values() if len(of_actor) == len(TIMES)]
    rest = training_rows(len(others), batch_size - len(TIMES), seed, num_steps)
    rng = np.random.default_rng([seed, len(others)])
    for rows in rest:
        group = [int(rng.choice(of_caption)) for of_caption in actors[rng.integers(len(actors))]]
        yield np.concatenate([np.array(others)[rows], group])


def train_run(
    arguments: TrainingArguments, split: PooledSplit, *, counting_groups: bool = False
) -> tuple[VideoColBERTModel, VideoColBERTProcessor]:
    """Trains a configuration for `max_train_steps` steps on this machine's CPU.

    Args:
        arguments: Of the run, `seed` among them. The image tower is frozen, its head is not.
        split: The training split. With `fit_level_weights`, `hold_out` of its clips are held out, and what levels
            count is fitted to them after the last step.
        counting_groups: Whether batches are those of `rows_with_counting_groups`, in place of clips at random.

    Returns:
        The model after its last step, in evaluation mode, and its processor.
    """
    held_out = None
    if arguments.fit_level_weights:
        order = np.random.default_rng(arguments.seed).permutation(len(split.clips))
        held_out = split.part(np.sort(order[: arguments.hold_out]))
        split = split.part(np.sort(order[arguments.hold_out :]))
    size, seed, num_steps = arguments.per_device_train_batch_size, arguments.seed, arguments.max_train_steps or 0
    steps = training_rows(len(split.clips), size, seed, num_steps)
    if counting_groups:
        steps = rows_with_counting_groups(split, size, seed, num_steps)
    model, processor = train_steps(arguments, [split], ((0, rows) for rows in steps))
    if held_out is not None:
        model.config.level_weights = held_out_level_weights(model, processor, held_out)
    return model, processor


def train_steps(
    arguments: TrainingArguments, parts: Sequence[PooledSplit], batches: Iterable[tuple[int, np.ndarray]]
) -> tuple[VideoColBERTModel, VideoColBERTProcessor]:
    """Trains a configuration on batches that are given.

    Args:
        arguments: Of the run. The image tower is frozen, its head is not.
        parts: Of the training split, each with clips of one length.
        batches: For each of `max_train_steps` steps, which part and which of its clips.

    Returns:
        The model after its last step, in evaluation mode, and its processor.
    """
    accelerator = Accelerator(cpu=True)
    set_seed(arguments.seed)
    start = build_model_and_processor(arguments)
    model, processor = start.model, start.processor
    model.vision_model = PooledFrames()
    betas = (arguments.adam_beta1, arguments.adam_beta2)
    optimizer = AdamW(parameter_groups(model, arguments), betas=betas, fused=True)
    num_steps = arguments.max_train_steps or 0
    scheduler = build_scheduler(optimizer, num_steps, arguments)
    captions = [[clip.caption for clip in part.clips] for part in parts]
    queries = [processor.process_queries(of_part) for of_part in captions]
    caption_keys = [torch.from_numpy(np.unique(of_part, return_inverse=True)[1]) for of_part in captions]
    progress = tqdm(batches, total=num_steps, desc="training", disable=None)
    for step, (number, rows) in enumerate(progress):
        places = torch.from_numpy(rows)
        batch: dict[str, Any] = {
            "input_ids": queries[number]["input_ids"][places],
            "attention_mask": queries[number]["attention_mask"][places],
            "pixel_values_videos": parts[number].pixel_values(rows),
            "video_mask": torch.ones(len(rows), parts[number].pooled.shape[1], dtype=torch.bool),
            "video_keys": places,
            "caption_keys": caption_keys[number][places],
        }
        if step == 0:
            set_logit_bias(accelerator, model, [batch])
        losses = contrastive_step(accelerator, model, [batch])
        torch.nn.utils.clip_grad_norm_(model.parameters(), arguments.max_grad_norm)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        if step % 100 == 0:
            progress.set_postfix(loss=f"{losses.loss.item():.3f}")
    return model.eval(), processor


@torch.no_grad()
def held_out_level_weights(
    model: VideoColBERTModel, processor: VideoColBERTProcessor, split: PooledSplit
) -> dict[str, float]:
    """Fits what each level counts in the sum to clips that were held out of training."""
    captions = [clip.caption for clip in split.clips]
    queries = processor.process_queries(captions)
    output = model(**queries, pixel_values_videos=split.pixel_values(np.arange(len(captions))))
    keys = torch.from_numpy(np.unique(captions, return_inverse=True)[1])
    scores = {level: output[f"{level}_scores"] for level in model.config.score_levels}
    with torch.enable_grad():
        return fit_level_weights(scores, keys[:, None] == keys)
