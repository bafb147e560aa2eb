"""A tiny Video-ColBERT checkpoint that learns within seconds to tell the balls' colours apart.

Each colour has a direction of its own in the space of tokens, to which frames and words are trained one by one: that
takes a hundredth of what training on captions and clips takes. Other words point where the colour before them does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from tests.app.browser.balls import COLOURS, Scene, draw
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.tiny_backbones import save_tiny_clip_backbone, train_clip_tokenizer

FRAMES = 8
IMAGE_SIZE = 32
_WIDTH = 48
_STEPS = 120
_STILLS = 600
_BATCH = 32
_CAPTIONS = 10
_LEARNING_RATE = 2e-3


def save_ball_checkpoint(folder: Path) -> Path:
    """Trains the checkpoint and saves it with its processor."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    names = list(COLOURS)
    captions = [Scene((one,)).caption() for one in names]
    captions += [Scene((one, other)).caption() for one in names for other in names]
    backbone = save_tiny_clip_backbone(
        folder / "backbone", train_clip_tokenizer(captions), width=_WIDTH, image_size=IMAGE_SIZE, patch_size=8
    )
    model = VideoColBERTModel.from_backbone(
        backbone, query_length=24, max_frames=16, temporal_num_layers=1, temporal_num_heads=4
    )
    processor = VideoColBERTProcessor.from_backbone(backbone, query_length=24, num_frames=FRAMES)
    directions = torch.eye(_WIDTH)[: len(names) + 1]
    colours = generator.integers(len(names), size=_STILLS)
    stills = [
        draw(Scene((names[colour],), seed=1000 + place), generator.uniform(), IMAGE_SIZE, IMAGE_SIZE)[None]
        for place, colour in enumerate(colours)
    ]
    pixels = processor.process_videos(stills)["pixel_values_videos"]
    queries = processor.process_queries(captions)
    wanted_frames = directions[torch.from_numpy(colours)]
    wanted_words = _wanted_words(processor, queries["input_ids"], directions)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE)
    for _ in range(_STEPS):
        rows = torch.from_numpy(generator.choice(_STILLS, _BATCH, replace=False))
        texts = torch.from_numpy(generator.choice(len(captions), _CAPTIONS, replace=False))
        frames = model.get_video_features(pixels[rows]).frame_embeds[:, 0]
        words = model.get_text_features(queries["input_ids"][texts], queries["attention_mask"][texts]).query_embeds
        loss = 2 - cosine_similarity(frames, wanted_frames[rows]).mean()
        loss = loss - cosine_similarity(words, wanted_words[texts], dim=-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval().save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    return folder / "model"


def _wanted_words(processor: VideoColBERTProcessor, input_ids: Tensor, directions: Tensor) -> Tensor:
    """Where each token is to point: a word where the colour before it does, the marks of begin and end elsewhere."""
    ends = {processor.tokenizer.bos_token_id, processor.tokenizer.eos_token_id, processor.tokenizer.pad_token_id}
    place_of = {}
    for place, name in enumerate(COLOURS):
        [token] = processor.tokenizer(name, add_special_tokens=False)["input_ids"]
        place_of[token] = place
    wanted = directions[-1].repeat(*input_ids.shape, 1)
    for row, tokens in enumerate(input_ids.tolist()):
        place = len(directions) - 1
        for position, token in enumerate(tokens):
            place = place_of.get(token, place)
            if token not in ends:
                wanted[row, position] = directions[place]
    return wanted
