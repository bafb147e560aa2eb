"""The SigLIP of the study of long captions: a text tower of 16 positions, tuned to the study's locked image tower.

Locked-image tuning is SigLIP's own way to a small text tower ("SigLiT", Zhai et al., arXiv 2303.15343): the sigmoid
loss on captions and the image embeddings of a tower that is not trained. The image tower is that of the study's CLIP,
whose outputs are computed once; the checkpoint has an untrained one in its place, which no run calls.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from long_data import image_embeddings
from torch import Tensor
from tqdm import trange
from transformers import (
    AutoTokenizer,
    CLIPModel,
    PreTrainedTokenizerBase,
    SiglipConfig,
    SiglipModel,
    get_cosine_schedule_with_warmup,
)

from video_colbert.dataset_builders.shapes.shape_stills import render_stills
from video_colbert.modeling_video_colbert.losses_video_colbert import sigmoid_loss
from video_colbert.training.stretched_backbone import stretch_text_positions

LONG_POSITIONS = 128


@dataclass(frozen=True)
class TextTowerSettings:
    """How the text tower is made; equal settings give equal weights.

    Attributes:
        seed: Of weights, stills and batches.
        width: Of the tower and of the joint space, which is that of the study's CLIP.
        num_layers: Its layers.
        positions: Its positions.
        num_stills: Stills.
        image_size: Side of the stills, in pixels.
        batch_size: Captions a step.
        steps: Steps on captions of a still.
        long_steps: Steps on long captions, of the tower that is trained on.
        learning_rate: Highest learning rate.
        temperature: First factor on the cosines, a logarithm.
        bias: First bias of the sigmoid loss.
    """

    seed: int = 0
    width: int = 64
    num_layers: int = 2
    positions: int = 16
    num_stills: int = 12_000
    image_size: int = 48
    batch_size: int = 96
    steps: int = 1500
    long_steps: int = 500
    learning_rate: float = 2e-3
    temperature: float = 2.3
    bias: float = -5.0


def make_text_towers(folder: Path, clip: Path, settings: TextTowerSettings) -> dict[str, Path]:
    """Makes the backbones, unless the folder holds them.

    Args:
        folder: Where to.
        clip: The study's CLIP.
        settings: How.

    Returns:
        By name: `short`, with 16 positions; `stretched`, the same with 128 interpolated ones; `long`, that one after
        training on long captions.

    Raises:
        ValueError: The folder holds backbones of other settings.
    """
    places = {name: folder / name for name in ("short", "stretched", "long")}
    record = folder / "settings.json"
    if record.exists():
        if json.loads(record.read_text("utf-8")) != asdict(settings):
            raise ValueError(f"{folder} holds backbones of other settings; remove it or choose another folder")
        return places
    stills, captions = render_stills(settings.num_stills, settings.image_size, settings.seed)
    images = image_embeddings(CLIPModel.from_pretrained(clip).eval(), stills)
    tokenizer = AutoTokenizer.from_pretrained(clip)
    save_untrained(places["short"], clip, tokenizer, settings)
    rng = np.random.default_rng([settings.seed, 2])

    def stills_of_step() -> tuple[list[str], Tensor]:
        rows = rng.integers(len(captions), size=settings.batch_size)
        return [captions[row] for row in rows], images[torch.from_numpy(rows)]

    def lists_of_step() -> tuple[list[str], Tensor]:
        # Of as many stills as a caption of a clip has sentences; what it should mean is the mean of what they show.
        texts, targets = [], []
        for _ in range(settings.batch_size // 2):
            rows = rng.integers(len(captions), size=rng.integers(2, 21))
            texts.append(" ".join(f"{captions[row]}." for row in rows))
            targets.append(F.normalize(images[torch.from_numpy(rows)].mean(0), dim=0))
        return texts, torch.stack(targets)

    tune_text_tower(places["short"], settings.steps, stills_of_step, settings)
    stretch_text_positions(places["short"], places["stretched"], LONG_POSITIONS)
    stretch_text_positions(places["short"], places["long"], LONG_POSITIONS)
    tune_text_tower(places["long"], settings.long_steps, lists_of_step, settings)
    record.write_text(json.dumps(asdict(settings), indent=2) + "\n", "utf-8")
    return places


def save_untrained(folder: Path, clip: Path, tokenizer: PreTrainedTokenizerBase, settings: TextTowerSettings) -> None:
    """Saves a SigLIP checkpoint of random weights with the tokenizer and image settings of the study's CLIP."""
    size = {"hidden_size": settings.width, "intermediate_size": 2 * settings.width, "num_attention_heads": 4}
    config = SiglipConfig(
        text_config={
            **size,
            "num_hidden_layers": settings.num_layers,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": settings.positions,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "projection_size": settings.width,
        },
        vision_config={**size, "num_hidden_layers": 1, "image_size": settings.image_size, "patch_size": 16},
    )
    torch.manual_seed(settings.seed)
    SiglipModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_bytes((clip / "preprocessor_config.json").read_bytes())


def tune_text_tower(
    folder: Path, steps: int, batch: Callable[[], tuple[list[str], Tensor]], settings: TextTowerSettings
) -> None:
    """Trains the text tower of a saved backbone by the sigmoid loss on captions and image embeddings.

    Args:
        folder: Of the backbone, which is replaced.
        steps: How many.
        batch: Gives the captions of a step and `[B, D]` image embeddings of unit length.
        settings: Of the towers.
    """
    model = SiglipModel.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    length = model.config.text_config.max_position_embeddings
    scale = torch.nn.Parameter(torch.tensor(settings.temperature))
    bias = torch.nn.Parameter(torch.tensor(settings.bias))
    parameters = [*model.text_model.parameters(), scale, bias]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.05, betas=(0.9, 0.98))
    schedule = get_cosine_schedule_with_warmup(optimizer, steps // 20, steps)
    model.train()
    for _ in (progress := trange(steps, desc=f"text tower of {length} positions", disable=None)):
        captions, images = batch()
        tokens = tokenizer(captions, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        texts = F.normalize(model.text_model(input_ids=tokens["input_ids"]).pooler_output, dim=-1)
        loss = sigmoid_loss(texts @ images.T, torch.eye(len(captions), dtype=torch.bool), scale, bias)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        progress.set_postfix(loss=f"{loss.item():.2f}")
    model.save_pretrained(folder)
