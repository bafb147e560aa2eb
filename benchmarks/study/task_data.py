"""The clips of the study as arrays: made as mp4 files, decoded once, kept."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from video_colbert.dataset_builders.shapes.graded_shapes import SPLITS, GradedShapesConfig, plan_task_clips
from video_colbert.dataset_builders.shapes.graded_shapes_clips import TaskClip, generate_task_clip
from video_colbert.processing import decode_video


@dataclass(frozen=True)
class TaskSplit:
    """A split with its frames.

    Attributes:
        clips: What each clip shows and is called.
        frames: uint8 [N, T, H, W, 3], as decoded.
    """

    clips: list[TaskClip]
    frames: np.ndarray


def load_split(folder: Path, config: GradedShapesConfig, split: str, num_proc: int = 1) -> TaskSplit:
    """Loads a split, after making and decoding its clips if the folder does not hold it.

    A clip goes through the mp4 file that would be published and through the decoder that any video goes through, so
    its frames are those that training from files would see. All frames are kept: clips have as many as are sampled.

    Args:
        folder: Where the arrays are kept.
        config: Of the clips.
        split: "train", "validation" or "test".
        num_proc: Processes that make clips.

    Returns:
        The split; its frames are read from the disk as needed.

    Raises:
        ValueError: The folder holds other clips.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    clips = plan_task_clips(config, split)
    folder.mkdir(parents=True, exist_ok=True)
    settings, array = folder / f"{split}.json", folder / f"{split}.npy"
    plan = hashlib.sha256(repr(clips).encode()).hexdigest()
    wanted = {"config": asdict(config), "plan": plan}
    if settings.exists():
        if json.loads(settings.read_text("utf-8")) != wanted:
            raise ValueError(f"{folder} holds other clips than these; remove it or choose another folder")
    else:
        frames = np.stack(decode_clips(clips, num_proc, f"clips, {split}"))
        np.save(array, frames)
        settings.write_text(json.dumps(wanted, indent=2) + "\n", "utf-8")
    return TaskSplit(clips, np.load(array, mmap_mode="r"))


def decode_clips(clips: Sequence[TaskClip], num_proc: int, title: str) -> list[np.ndarray]:
    """Makes and decodes clips; returns the frames of each, uint8 [T, H, W, 3]."""
    with tqdm(total=len(clips), desc=title, unit="clip", disable=None) as progress:
        decoded = []
        if num_proc == 1:
            for clip in clips:
                decoded.append(decode_clip(clip))
                progress.update()
            return decoded
        # Forking a process that has torch's threads can hang it.
        with ProcessPoolExecutor(num_proc, mp_context=get_context("spawn")) as pool:
            for frames in pool.map(decode_clip, clips, chunksize=64):
                decoded.append(frames)
                progress.update()
    return decoded


def decode_clip(clip: TaskClip) -> np.ndarray:
    """Makes the file of a clip and decodes as many frames as it has."""
    return decode_video(generate_task_clip(clip), clip.num_frames).frames
