"""R@1 of a model on each task and level: every caption searches the clips of its own gallery."""

from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from training_run import PooledSplit

from video_colbert.evaluation.metrics import RankAccumulator, pairwise_discrimination
from video_colbert.modeling_video_colbert import QueryEmbeddings, VideoColBERTModel, VideoEmbeddings
from video_colbert.processing import VideoColBERTProcessor

TWINS = ("motion_twins", "order_twins")
_BATCH_SIZE = 256


@dataclass(frozen=True)
class TaskScore:
    """What a level of a model reaches on a task.

    Attributes:
        task: The task.
        level: "frame", "video" or "sum", the score that the model retrieves by.
        recall_at_1: In percent; on twins the share of captions that score their own clip above its twin, a
            difference within 1e-6 counting half.
        num_queries: Captions.
        gallery: Clips that each caption searched.
    """

    task: str
    level: str
    recall_at_1: float
    num_queries: int
    gallery: int


@torch.inference_mode()
def score_tasks(model: VideoColBERTModel, processor: VideoColBERTProcessor, split: PooledSplit) -> list[TaskScore]:
    """Scores a model on every task of a split.

    Args:
        model: In evaluation mode, with `PooledFrames` for its image tower.
        processor: The model's processor.
        split: With galleries.

    Returns:
        One score for each task and level.
    """
    inputs = processor.process_queries([clip.caption for clip in split.clips])
    queries, videos = [], []
    for start in range(0, len(split.clips), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        queries.append(model.get_text_features(inputs["input_ids"][rows], inputs["attention_mask"][rows]))
        places = np.arange(len(split.clips))[rows]
        videos.append(model.get_video_features(split.pixel_values(places)))
    query = {name: torch.cat([part[name] for part in queries]) for name in queries[0]}
    video = {name: torch.cat([part[name] for part in videos]) for name in videos[0]}
    results = []
    for task, members in groupby(enumerate(split.clips), key=lambda item: item[1].task):
        galleries = [
            [place for place, _ in gallery] for _, gallery in groupby(members, key=lambda item: item[1].gallery)
        ]
        by_level: dict[str, list[torch.Tensor]] = {}
        for gallery in galleries:
            scores = model.score(
                QueryEmbeddings(**{name: tensor[gallery] for name, tensor in query.items()}),
                VideoEmbeddings(**{name: tensor[gallery] for name, tensor in video.items()}),
            )
            for name, matrix in scores.items():
                level = "sum" if name == "scores" else name.removesuffix("_scores")
                by_level.setdefault(level, []).append(matrix)
        for level, matrices in by_level.items():
            size = len(galleries[0])
            recall = twin_accuracy(matrices) if task in TWINS else gallery_recall(matrices)
            results.append(TaskScore(task, level, recall, size * len(galleries), size))
    return results


def gallery_recall(matrices: list[torch.Tensor]) -> float:
    """R@1 in percent over galleries of one size, each a square matrix whose diagonal is right."""
    accumulator = RankAccumulator()
    for matrix in matrices:
        accumulator.update(matrix, list(range(len(matrix))))
    return accumulator.compute(ks=(1,)).hit_rate[1]


def twin_accuracy(matrices: list[torch.Tensor]) -> float:
    """Percentage of captions that score their own clip above its twin; of matrices [2, 2] whose diagonal is right."""
    stacked = torch.stack(matrices)
    own = torch.diagonal(stacked, dim1=1, dim2=2).flatten()
    other = torch.diagonal(stacked.flip(2), dim1=1, dim2=2).flatten()
    return pairwise_discrimination(own, other)
