"""Each family of backbones from a saved checkpoint, with the tokenizer and the image processor of its own."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from tests.captions_in_ten_languages import CAPTIONS
from tests.tiny_checkpoints import IMAGE_SIZE
from tests.tiny_models import FAMILIES
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor

ENGLISH = ["a red square moves left", "a blue ball rises", "two people are cooking dinner"]


def made_videos(num_frames: int = 3) -> torch.Tensor:
    """Makes `[3, T, 3, H, W]` frames of noise, as large as the towers take them."""
    generator = torch.Generator().manual_seed(3)
    shape = (3, num_frames, 3, IMAGE_SIZE, IMAGE_SIZE)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_zero_shot_search_of_a_saved_checkpoint_scores_as_the_stock_model_does(
    family: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(f"{family}_backbone_folder")
    captions = [*ENGLISH, *CAPTIONS.values()] if family == "metaclip_2" else ENGLISH
    videos = made_videos()
    stock, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    image_class = SiglipImageProcessorPil if family == "siglip" else CLIPImageProcessorPil
    images = image_class.from_pretrained(folder)(list(videos.flatten(0, 1)), return_tensors="pt")
    length = stock.config.text_config.max_position_embeddings
    ids = tokenizer(captions, padding="max_length", max_length=length, return_tensors="pt")["input_ids"]
    output = stock(input_ids=ids, pixel_values=images["pixel_values"])
    cosines = (output.text_embeds @ output.image_embeds.T).unflatten(1, videos.shape[:2])
    model = VideoColBERTModel.from_backbone(folder, zero_shot=True)
    processor = VideoColBERTProcessor.from_backbone(folder, zero_shot=True, num_frames=3)
    scores = model(**processor(text=captions, videos=list(videos))).scores
    assert cosines.std() > 0.01
    torch.testing.assert_close(scores, cosines.amax(-1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_two_steps_of_training_lower_the_loss_and_reach_both_towers(
    family: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(f"{family}_backbone_folder")
    torch.manual_seed(0)
    sizes = {"query_length": 16, "max_frames": 4, "temporal_num_layers": 1, "temporal_num_heads": 4}
    model = VideoColBERTModel.from_backbone(
        folder, **sizes, temporal_dropout=0.0, logit_scale_init=2.0, logit_bias_init=-3.0
    ).train()
    processor = VideoColBERTProcessor.from_backbone(folder, query_length=16, num_frames=3)
    inputs = processor(text=ENGLISH, videos=list(made_videos()))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        loss = model(**inputs, return_loss=True).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[2] < losses[1] < losses[0]
    after = model.state_dict()
    # Layers after the first of tokens and pixels: nothing between them and the score stopped the gradient.
    for tower in ("text_model", "vision_model"):
        weights = [name for name in after if name.startswith(f"{tower}.encoder.layers.") and name.endswith(".weight")]
        assert len(weights) > 20
        assert [name for name in weights if torch.equal(after[name], before[name])] == []
