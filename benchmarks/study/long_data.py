"""Clips of the study of long captions: a sentence an event, and galleries that differ in one word of one sentence.

A caption of n sentences goes with a clip of 2 n frames. The four clips of a gallery and their captions are the same
but for the colour of one actor, in a sentence anywhere in the caption, so that who reads the beginning alone cannot
tell.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pretrained_backbone import pooled_frames
from task_data import decode_clips
from torch import Tensor
from training_run import PooledSplit
from transformers import CLIPModel

from video_colbert.dataset_builders.shapes.graded_shapes_clips import Performance, TaskClip
from video_colbert.dataset_builders.shapes.moving_shapes_scenes import COLOURS, MOTIONS, SHAPES, Action

LENGTHS = {2: 16, 5: 32, 10: 64, 20: 128}
"""Sentences of a caption, and the tokens that it fits in."""

GALLERY = 4
_SPLITS = ("train", "test")
_FRAMES_AN_EVENT = 2
# Of the differing actor; all others have the first two, so that a colour tells.
_TELLING_COLOURS = COLOURS[2:]


@dataclass(frozen=True)
class LongCaptionsConfig:
    """How many clips of what size; equal configurations give equal clips.

    Attributes:
        seed: Seed of everything that varies.
        num_train: Training clips of each length.
        num_galleries: Galleries of each length in the test split.
        image_size: Side of the square frames, in pixels.
        fps: Frames a second.
    """

    seed: int = 0
    num_train: int = 600
    num_galleries: int = 48
    image_size: int = 48
    fps: int = 4


def plan_long_clips(config: LongCaptionsConfig, split: str, length: int) -> list[TaskClip]:
    """Decides what every clip of a split and a length shows; those of a gallery stand together.

    Args:
        config: The configuration.
        split: "train" or "test".
        length: Sentences of each caption.
    """
    rng = np.random.default_rng([config.seed, _SPLITS.index(split), length])
    clips: list[TaskClip] = []
    for number in range(config.num_train if split == "train" else config.num_galleries):
        place = int(rng.integers(length))
        colours = [str(colour) for colour in rng.permutation(_TELLING_COLOURS)]
        others = [_event(rng, COLOURS[: -len(_TELLING_COLOURS)]) for _ in range(length)]
        for colour in colours[: 1 if split == "train" else GALLERY]:
            told = others[place]
            events = [*others[:place], Action(colour, told.shape, told.motion), *others[place + 1 :]]
            clips.append(_clip(config, split, number, events))
    return clips


def _event(rng: np.random.Generator, colours: tuple[str, ...]) -> Action:
    return Action(str(rng.choice(colours)), str(rng.choice(SHAPES)), str(rng.choice(MOTIONS)))


def _clip(config: LongCaptionsConfig, split: str, gallery: int, events: list[Action]) -> TaskClip:
    return TaskClip(
        video_id=f"{split}_{len(events)}_{gallery}_{'_'.join(event.colour for event in events)}"[:80],
        task="long",
        gallery=gallery,
        caption=" ".join(f"a {event.colour} {event.shape} {event.motion}." for event in events),
        performances=tuple(
            Performance(event, tuple(range(number * _FRAMES_AN_EVENT, (number + 1) * _FRAMES_AN_EVENT)))
            for number, event in enumerate(events)
        ),
        seed=(config.seed, _SPLITS.index(split), len(events), gallery),
        num_frames=_FRAMES_AN_EVENT * len(events),
        image_size=config.image_size,
        fps=config.fps,
    )


def load_long_split(folder: Path, config: LongCaptionsConfig, backbone: Path, split: str) -> dict[int, PooledSplit]:
    """Loads a split as the frozen image tower sees it, after making its clips if the folder does not hold them.

    Args:
        folder: Where the vectors are kept.
        config: Of the clips.
        backbone: The CLIP of the study, whose image tower and projection are taken.
        split: "train" or "test".

    Returns:
        By number of sentences, the clips with an image embedding of unit length for each frame.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = CLIPModel.from_pretrained(backbone).eval()
    found = {}
    for length in LENGTHS:
        clips = plan_long_clips(config, split, length)
        facts = "_".join(f"{name}{value}" for name, value in asdict(config).items())
        file = folder / f"{split}_{length}_{facts}.npy"
        if not file.exists():
            frames = np.stack(decode_clips(clips, 1, f"clips of {length} sentences, {split}"))
            vectors = image_embeddings(model, frames.reshape(-1, *frames.shape[2:]))
            np.save(file, vectors.view(*frames.shape[:2], -1).numpy())
        found[length] = PooledSplit(clips, torch.from_numpy(np.load(file)))
    return found


@torch.inference_mode()
def image_embeddings(model: CLIPModel, frames: np.ndarray) -> Tensor:
    """Encodes uint8 frames [N, H, W, 3] into the joint space of the study's CLIP, [N, D] of unit length."""
    return F.normalize(model.visual_projection(pooled_frames(model, frames)), dim=-1)
