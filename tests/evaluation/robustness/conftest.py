from pathlib import Path

import numpy as np
import pytest

from tests.video_files import write_clip
from video_colbert.encoding.encoded import VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.dataset_rows import DatasetRows
from video_colbert.evaluation.robustness.attack_split import prepare_victim
from video_colbert.evaluation.robustness.attacked_video import read_all_frames
from video_colbert.evaluation.robustness.victim import Victim
from video_colbert.processing import DecodedVideo

CAPTIONS = [
    f"a {colour} {shape} {motion}"
    for colour in ("red", "blue")
    for shape in ("circle", "square")
    for motion in ("grows", "turns", "rests")
]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A short clip for each of `CAPTIONS`."""
    folder = tmp_path_factory.mktemp("clips")
    return [write_clip(folder / f"{number}.mp4", number) for number in range(len(CAPTIONS))]


@pytest.fixture(scope="module")
def victim(encoder: VideoColBERTEncoder, clips: list[Path]) -> Victim:
    rows = [
        {"video_id": path.name, "video": str(path), "captions": [caption], "start": None, "end": None}
        for path, caption in zip(clips, CAPTIONS, strict=True)
    ]
    return prepare_victim(encoder, DatasetRows("video_folder", "test", rows))


@pytest.fixture(scope="module")
def video(encoder: VideoColBERTEncoder, clips: list[Path]) -> DecodedVideo:
    return read_all_frames(encoder, VideoClip(str(clips[0])))


def made_video(num_frames: int = 12, size: int = 48, seed: int = 0) -> DecodedVideo:
    """A video of smooth colours that move."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    phases = rng.uniform(0, 6, 3)
    frames = [
        np.stack([128 + 90 * np.sin(5 * x + 4 * y + phase + 0.3 * time) for phase in phases], -1)
        for time in range(num_frames)
    ]
    return DecodedVideo(np.stack(frames).astype(np.uint8), np.arange(num_frames) / 10, num_frames / 10)
