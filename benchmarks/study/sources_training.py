"""One encoder of the study of sources: trained on all queries and sources, or on those of one source alone."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors.torch import load_file, save_file
from sources_data import SOURCES, SourceSplit
from torch import Tensor
from torch.optim import AdamW
from tqdm import trange
from training_run import PooledFrames

from video_colbert.modeling_video_colbert import QueryEmbeddings, VideoColBERTModel, VideoEmbeddings
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.contrastive_step import contrastive_step
from video_colbert.training.tiny_backbones import save_tiny_clip_backbone, train_clip_tokenizer

_SCORED_AT_ONCE = 64


@dataclass(frozen=True)
class SourceRun:
    """How an encoder is trained; the same for all of the study but for what it sees.

    Attributes:
        sources: What it sees, and whose queries it is trained on; of others texts are missing and pictures are black.
        steps: Steps of training.
        modality_loss: As of `VideoColBERTConfig`.
        batch_size: Clips a step.
        learning_rate: The highest, after a twentieth of the steps; it falls to 0 by a cosine.
        weight_decay: Of AdamW.
    """

    sources: tuple[str, ...]
    steps: int
    modality_loss: str = "standard"
    batch_size: int = 48
    learning_rate: float = 1e-3
    weight_decay: float = 0.05


CONFIG: dict[str, Any] = {
    "score_levels": list(SOURCES),
    "level_scoring": "modality_max",
    "loss_type": "modality_info_nce",
    "logit_scale_init": 3.912,
    "query_length": 32,
    "passage_length": 32,
    "max_frames": 4,
    "temporal_num_layers": 2,
    "temporal_num_heads": 4,
    "temporal_dropout": 0.0,
    "temporal_position_std": 0.15,
}
"""Of every encoder: `recipes/peers/contextual.yaml`, tiny."""


def make_backbone(folder: Path, checkpoint: Path, texts: Collection[str]) -> Path:
    """Saves the backbone that all runs start from: the demo's image tower, and a new text tower for these texts.

    Args:
        folder: Where to.
        checkpoint: Model that `benchmarks/demo.py` made.
        texts: Queries and passages of training, from which the tokenizer learns its words.

    Returns:
        The folder.
    """
    if (folder / "model.safetensors").exists():
        return folder
    save_tiny_clip_backbone(folder, train_clip_tokenizer(texts, vocab_size=1500), text_length=CONFIG["query_length"])
    weights, trained = (load_file(path / "model.safetensors") for path in (folder, checkpoint))
    seen = {name: tensor for name, tensor in trained.items() if name.startswith("vision_model.")}
    weights.update(seen, **{"visual_projection.weight": trained["frame_head.weight"]})
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


class SourceEncoder:
    """A model that takes splits.

    Args:
        backbone: Folder of `make_backbone`.
        run: What it sees.
        seed: Of its new weights and of the order of the clips.
    """

    def __init__(self, backbone: Path, run: SourceRun, seed: int) -> None:
        set_seed(seed)
        self._run, self._seed = run, seed
        config = {**CONFIG, "modality_loss": run.modality_loss}
        self.model = VideoColBERTModel.from_backbone(backbone, **config)
        self.processor = VideoColBERTProcessor.from_backbone(backbone, query_length=CONFIG["query_length"])
        self.model.vision_model = PooledFrames()

    def train(self, split: SourceSplit) -> None:
        """Trains for as many steps as the run says."""
        accelerator, run = Accelerator(cpu=True), self._run
        inputs = self._inputs(split)
        asked = np.flatnonzero([source in run.sources for source in split.answering])
        levels = list(CONFIG["score_levels"])
        query_levels = torch.tensor([levels.index(source) for source in split.answering])
        captions = torch.from_numpy(np.unique(split.queries, return_inverse=True)[1])
        optimizer = AdamW(self.model.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._share_of_rate)
        batches = _batches(asked, run.batch_size, self._seed)
        self.model.train()
        for step in (progress := trange(run.steps, desc=", ".join(run.sources), disable=None)):
            rows = torch.from_numpy(next(batches))
            batch = {name: tensor[rows] for name, tensor in inputs.items()}
            batch |= {"video_keys": rows, "caption_keys": captions[rows], "query_levels": query_levels[rows]}
            losses = contrastive_step(accelerator, self.model, [batch])
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            if step % 50 == 0:
                progress.set_postfix(loss=f"{losses.loss.item():.3f}")
        self.model.eval()

    @torch.inference_mode()
    def scores(self, split: SourceSplit) -> dict[str, Tensor]:
        """The scores of every query with every clip, [N, N], by "token_max" and "modality_max"."""
        inputs = self._inputs(split)
        queries: list[QueryEmbeddings] = []
        videos: list[VideoEmbeddings] = []
        for start in range(0, len(split.clips), _SCORED_AT_ONCE):
            part = {name: tensor[start : start + _SCORED_AT_ONCE] for name, tensor in inputs.items()}
            output = self.model(**part, return_scores=False)
            queries.append(output.query)
            videos.append(output.video)
        found = {}
        for scoring in ("token_max", "modality_max"):
            self.model.config.level_scoring = scoring
            rows = [torch.cat([self.model.score(query, video).scores for video in videos], 1) for query in queries]
            found[scoring] = torch.cat(rows)
        return found

    def _inputs(self, split: SourceSplit) -> dict[str, Tensor]:
        """What the model takes of a split, without the sources that it does not see."""
        seen = self._run.sources
        passages = [{level: text for level, text in of_clip.items() if level in seen} for of_clip in split.passages]
        inputs = dict(self.processor.process_queries(split.queries))
        inputs |= self.processor.process_passages(passages, self.model.config.passage_levels, CONFIG["passage_length"])
        pixels = split.pooled[:, :, None, None] * float("video" in seen)
        mask = torch.ones(pixels.shape[:2], dtype=torch.bool)
        return {**inputs, "pixel_values_videos": pixels, "video_mask": mask}

    def _share_of_rate(self, step: int) -> float:
        warm = max(self._run.steps // 20, 1)
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1.0 + float(np.cos(np.pi * (step - warm) / max(self._run.steps - warm, 1))))


def _batches(rows: np.ndarray, size: int, seed: int) -> Iterator[np.ndarray]:
    """Batches of rows without an end, each row once an epoch; an incomplete batch is left out."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(rows)
        yield from (order[start : start + size] for start in range(0, len(order) - size + 1, size))
