"""The backbone that every configuration starts from: a tiny CLIP, pretrained on stills.

The paper fine-tunes a pretrained CLIP, whose image tower knows what is where in an image and nothing of motion. So
does this one: it is trained contrastively on single images of shapes with captions of colour, shape, size and place.
No clip and no word of motion, order or number is in its training.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import trange
from transformers import AutoTokenizer, CLIPModel, get_cosine_schedule_with_warmup

from video_colbert.dataset_builders.shapes.shape_stills import render_stills
from video_colbert.training.tiny_backbones import save_tiny_clip_backbone, train_clip_tokenizer

PROBE_STILLS = 8000


@dataclass(frozen=True)
class BackboneSettings:
    """How the backbone is made; equal settings give equal weights.

    Attributes:
        seed: Of weights, stills and batches.
        image_size: Side of the stills, in pixels.
        patch_size: Side of a patch, in pixels.
        width: Of both towers and of the joint space.
        num_layers: Of both towers.
        text_length: Positions of the text tower.
        position_std: Standard deviation of the image tower's positions at the start.
        num_stills: Training stills.
        batch_size: Stills a step.
        steps: Steps.
        learning_rate: Highest learning rate.
        temperature: First factor on the cosines, a logarithm.
    """

    seed: int = 0
    image_size: int = 48
    patch_size: int = 8
    width: int = 64
    num_layers: int = 2
    text_length: int = 16
    position_std: float = 0.3
    num_stills: int = 30_000
    batch_size: int = 128
    steps: int = 3500
    learning_rate: float = 2e-3
    temperature: float = 2.3


def pretrain_backbone(folder: Path, settings: BackboneSettings, clip_captions: list[str]) -> Path:
    """Pretrains and saves the backbone unless the folder holds it.

    Args:
        folder: Where to.
        settings: How.
        clip_captions: Captions of the training clips, which the tokenizer alone sees, so that their words are
            tokens; their embeddings stay random here.

    Returns:
        The folder, with the probe of what the image tower encodes in `probe.json`.

    Raises:
        ValueError: The folder holds a backbone of other settings.
    """
    record = folder / "settings.json"
    if record.exists():
        if json.loads(record.read_text("utf-8")) != asdict(settings):
            raise ValueError(f"{folder} holds a backbone of other settings; remove it or choose another folder")
        return folder
    stills, captions = render_stills(settings.num_stills, settings.image_size, settings.seed)
    tokenizer = train_clip_tokenizer([*captions[:2000], *clip_captions])
    save_tiny_clip_backbone(
        folder,
        tokenizer,
        width=settings.width,
        num_layers=settings.num_layers,
        image_size=settings.image_size,
        patch_size=settings.patch_size,
        text_length=settings.text_length,
        seed=settings.seed,
    )
    model = CLIPModel.from_pretrained(folder)
    tokens = AutoTokenizer.from_pretrained(folder)(
        captions, padding="max_length", max_length=settings.text_length, return_tensors="pt"
    )
    if tokens["input_ids"].shape[1] != settings.text_length:
        raise ValueError(f"a still's caption has more than {settings.text_length} tokens")
    train_clip(model, stills, tokens["input_ids"], tokens["attention_mask"], settings)
    model.save_pretrained(folder)
    (folder / "probe.json").write_text(json.dumps(probe(model, settings), indent=2) + "\n", "utf-8")
    record.write_text(json.dumps(asdict(settings), indent=2) + "\n", "utf-8")
    return folder


def train_clip(
    model: CLIPModel, stills: np.ndarray, input_ids: Tensor, attention_mask: Tensor, settings: BackboneSettings
) -> None:
    """Trains both towers by CLIP's symmetric InfoNCE (Radford et al., arXiv 2103.00020), section 2.3."""
    torch.manual_seed(settings.seed)
    with torch.no_grad():
        model.vision_model.embeddings.position_embedding.weight.normal_(std=settings.position_std)
        model.logit_scale.fill_(settings.temperature)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.05, betas=(0.9, 0.98))
    schedule = get_cosine_schedule_with_warmup(optimizer, settings.steps // 20, settings.steps)
    rng = np.random.default_rng([settings.seed, 1])
    model.train()
    for _ in (progress := trange(settings.steps, desc="backbone", disable=None)):
        rows = rng.integers(len(stills), size=settings.batch_size)
        places = torch.from_numpy(rows)
        output = model(
            input_ids=input_ids[places],
            attention_mask=attention_mask[places],
            pixel_values=normalized_pixels(stills[rows]),
            return_loss=True,
        )
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        progress.set_postfix(loss=f"{output.loss.item():.2f}")
    model.eval()


def normalized_pixels(frames: np.ndarray) -> Tensor:
    """Turns uint8 frames [N, H, W, 3] into what the image tower takes, as the backbone's image settings say."""
    return torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).float().div(127.5).sub(1)


@torch.inference_mode()
def probe(model: CLIPModel, settings: BackboneSettings) -> dict[str, float]:
    """Asks what the image tower's pooled vector holds of one shape, by linear classifiers fitted to half of them.

    Args:
        model: The backbone.
        settings: Of the backbone.

    Returns:
        Accuracy in percent for colour, shape, size, row and column on the other half.
    """
    stills, captions = render_stills(PROBE_STILLS, settings.image_size, settings.seed + 1)
    alone = [i for i, caption in enumerate(captions) if len(caption.split()) == 6]
    words = [captions[i].split()[1:] for i in alone]
    pooled = pooled_frames(model, stills[alone])
    features = F.pad(pooled, (0, 1), value=1.0).double()
    half = len(alone) // 2
    accuracy = {}
    for place, name in enumerate(("size", "colour", "shape", "row", "column")):
        classes = sorted({word[place] for word in words})
        labels = torch.tensor([classes.index(word[place]) for word in words])
        ridge = 1e-3 * torch.eye(features.shape[1], dtype=torch.float64)
        targets = F.one_hot(labels, len(classes)).double()
        weights = torch.linalg.solve(features[:half].T @ features[:half] + ridge, features[:half].T @ targets[:half])
        right = (features[half:] @ weights).argmax(1) == labels[half:]
        accuracy[name] = round(100 * float(right.double().mean()), 1)
    return accuracy


@torch.inference_mode()
def pooled_frames(model: CLIPModel, frames: np.ndarray, batch_size: int = 1024) -> Tensor:
    """Encodes uint8 frames [N, H, W, 3] into the image tower's pooled vectors [N, width], before the projection."""
    return torch.cat(
        [
            model.vision_model(pixel_values=normalized_pixels(frames[start : start + batch_size])).pooler_output
            for start in range(0, len(frames), batch_size)
        ]
    )
