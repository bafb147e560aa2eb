"""Spoken shapes for the study of sources: frames as a frozen image tower sees them, and texts as they were made."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from video_colbert import VideoColBERTEncoder
from video_colbert.dataset_builders.shapes.moving_shapes_clips import render_scene
from video_colbert.dataset_builders.shapes.spoken_shapes_plan import (
    SpokenClip,
    SpokenShapesConfig,
    plan_spoken_clips,
)

SOURCES = ("video", "speech", "screen_text", "description")
"""What answers a query: "visible", "spoken", "written" and "told" of a clip."""

_SOURCE_OF = {"visible": "video", "spoken": "speech", "written": "screen_text", "told": "description"}
# As the demo's model was trained.
_IMAGE_SIZE, _NUM_FRAMES = 64, 20
_BATCH = 64


@dataclass(frozen=True)
class SourceSplit:
    """Clips with what each source says of them.

    Attributes:
        clips: What each clip says and shows, and what is asked.
        pooled: float32 [N, T, width], the image tower's pooled vector of each frame.
    """

    clips: list[SpokenClip]
    pooled: Tensor

    @property
    def queries(self) -> list[str]:
        """What is asked for each clip."""
        return [clip.query for clip in self.clips]

    @property
    def answering(self) -> list[str]:
        """For each clip the source that answers its query."""
        return [_SOURCE_OF[clip.asked] for clip in self.clips]

    @property
    def passages(self) -> list[dict[str, str]]:
        """For each clip its texts by source, without a reader's errors."""
        return [
            {"speech": clip.spoken.text, "screen_text": clip.written.text, "description": clip.told.text}
            for clip in self.clips
        ]


def load_source_split(folder: Path, checkpoint: Path, configs: list[SpokenShapesConfig], split: str) -> SourceSplit:
    """Plans a split, draws its scenes and sends them through the image tower, or finds that in the folder.

    Args:
        folder: Where the pooled vectors are kept.
        checkpoint: Model of moving shapes that `benchmarks/demo.py` made, whose image tower it is.
        configs: Of spoken shapes; their splits are joined.
        split: "train", "validation" or "test".

    Returns:
        The split.

    Raises:
        ValueError: The folder holds other clips, or those of another checkpoint.
    """
    clips = [clip for config in configs for clip in plan_spoken_clips(config, split)]
    settings, array = folder / f"{split}.json", folder / f"{split}.npy"
    weights = (checkpoint / "model.safetensors").stat()
    wanted = {"configs": [asdict(config) for config in configs], "weights": [weights.st_size, weights.st_mtime]}
    if not settings.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(array, _pool(checkpoint, clips, split))
        settings.write_text(json.dumps(wanted) + "\n", "utf-8")
    elif json.loads(settings.read_text("utf-8")) != wanted:
        raise ValueError(f"{folder} holds other clips than these; remove it or choose another folder")
    return SourceSplit(clips, torch.from_numpy(np.load(array)))


@torch.inference_mode()
def _pool(checkpoint: Path, clips: list[SpokenClip], split: str) -> np.ndarray:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint)
    pooled = []
    for start in tqdm(range(0, len(clips), _BATCH), desc=f"frames, {split}", disable=None):
        videos = [
            render_scene(clip.scene, _NUM_FRAMES, _IMAGE_SIZE, np.random.default_rng(clip.seed))
            for clip in clips[start : start + _BATCH]
        ]
        pixels = encoder.processor(videos=videos)["pixel_values_videos"]
        vectors = encoder.model.vision_model(pixel_values=pixels.flatten(0, 1)).pooler_output
        pooled.append(vectors.view(*pixels.shape[:2], -1).numpy())
    return np.concatenate(pooled)
