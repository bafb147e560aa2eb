"""Each family of backbones from a saved checkpoint, with the tokenizer and the image processor of its own."""

import re
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, PeVideoModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from tests.captions_in_ten_languages import CAPTIONS
from tests.tiny_checkpoints import IMAGE_SIZE
from tests.tiny_models import FAMILIES
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor

IMAGE_PROCESSORS = {"siglip": SiglipImageProcessorPil, "siglip2": Siglip2ImageProcessorPil}
ENGLISH = ["a red square moves left", "a blue ball rises", "two people are cooking dinner"]


# Height and width: what the towers take as it is, so that no picture is resized, which libraries round differently.
# The tower of variable resolution takes 12 patches in any arrangement.
SIZES = {"siglip2": ((48, 64), (32, 96), (64, 48))}
LENGTHS = (3, 4, 2)


def made_videos(family: str) -> list[torch.Tensor]:
    """Makes three videos of noise, `[T, 3, H, W]`, of several lengths and, where the family takes them, sizes."""
    generator = torch.Generator().manual_seed(3)
    sizes = SIZES.get(family, ((IMAGE_SIZE, IMAGE_SIZE),) * 3)
    return [
        torch.randint(0, 256, (length, 3, *size), generator=generator, dtype=torch.uint8)
        for length, size in zip(LENGTHS, sizes, strict=True)
    ]


def stock_pe_scores(folder: Path, captions: list[str], videos: list[torch.Tensor]) -> torch.Tensor:
    """Cosines of the two vectors of transformers' PE-AV, whose own score is a multiple of their plain product."""
    config, tokenizer = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    # What was stored is not read; without it the class builds another image tower.
    config.video_config.vision_config.num_labels = config.video_config.vision_config.num_classes
    stock = PeVideoModel.from_pretrained(folder, config=config).eval()
    tokens = tokenizer(captions, padding=True, return_tensors="pt")
    columns = []
    for video in videos:
        output = stock(**tokens, pixel_values_videos=video[None] / 255 * 2 - 1)
        columns.append(torch.nn.functional.cosine_similarity(output.text_video_embeds, output.video_embeds))
    return torch.stack(columns, dim=1)


def stock_scores(family: str, folder: Path, captions: list[str], videos: list[torch.Tensor]) -> torch.Tensor:
    """Scores as transformers' own classes give them, each video alone: the best cosine of a frame, or the video's."""
    if family == "pe_video":
        return stock_pe_scores(folder, captions, videos)
    stock, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    length = stock.config.text_config.max_position_embeddings
    tokens = tokenizer(
        captions, padding="max_length", padding_side="right", max_length=length, return_tensors="pt", truncation=True
    )
    if family == "videoprism":
        texts = stock.get_text_features(tokens["input_ids"], tokens["attention_mask"]).pooler_output
        pooled = [
            stock.get_video_features(video[None] / 255, interpolate_pos_encoding=len(video) != 4) for video in videos
        ]
        return torch.stack(
            [torch.nn.functional.cosine_similarity(texts, each.pooler_output[:, 0]) for each in pooled], 1
        )
    texts = torch.nn.functional.normalize(stock.get_text_features(tokens["input_ids"]).pooler_output, dim=-1)
    columns = []
    for video in videos:
        images = IMAGE_PROCESSORS.get(family, CLIPImageProcessorPil).from_pretrained(folder)(
            list(video), return_tensors="pt"
        )
        pooled = stock.get_image_features(**images).pooler_output
        columns.append((texts @ torch.nn.functional.normalize(pooled, dim=-1).T).amax(1))
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_zero_shot_search_of_a_saved_checkpoint_scores_as_the_stock_model_does(
    family: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(f"{family}_backbone_folder")
    captions = [*ENGLISH, *CAPTIONS.values()] if family == "metaclip_2" else ENGLISH
    videos = made_videos(family)
    expected = stock_scores(family, folder, captions, videos)
    model = VideoColBERTModel.from_backbone(folder, zero_shot=True)
    processor = VideoColBERTProcessor.from_backbone(folder, zero_shot=True, num_frames=4)
    scores = model(**processor(text=captions, videos=videos)).scores
    assert expected.std() > 0.01
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_score_depends_on_no_other_of_the_batch_and_on_no_padding(
    family: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(f"{family}_backbone_folder")
    sizes = {"max_frames": 8, "temporal_num_layers": 1, "temporal_num_heads": 4}
    model = VideoColBERTModel.from_backbone(folder, query_length=16, **sizes)
    processor = VideoColBERTProcessor.from_backbone(folder, query_length=16, num_frames=6)
    videos = made_videos(family)
    together = model(**processor(text=ENGLISH, videos=videos))
    for column, video in enumerate(videos):
        for row, caption in enumerate(ENGLISH):
            alone = model(**processor(text=caption, videos=[video], num_frames=len(video)))
            for level in ("scores", "frame_scores", "video_scores"):
                torch.testing.assert_close(alone[level][0, 0], together[level][row, column], rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_two_steps_of_training_lower_the_loss_and_reach_both_towers(
    family: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(f"{family}_backbone_folder")
    torch.manual_seed(0)
    sizes = {"query_length": 16, "max_frames": 8, "temporal_num_layers": 1, "temporal_num_heads": 4}
    model = VideoColBERTModel.from_backbone(
        folder, **sizes, temporal_dropout=0.0, logit_scale_init=2.0, logit_bias_init=-3.0
    ).train()
    processor = VideoColBERTProcessor.from_backbone(folder, query_length=16, num_frames=4)
    inputs = processor(text=ENGLISH, videos=made_videos(family))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
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
        layers = rf"{tower}\..*(layers|blocks)\.\d+\..*\.weight"
        weights = [name for name in after if re.fullmatch(layers, name)]
        assert len(weights) > 15
        assert [name for name in weights if torch.equal(after[name], before[name])] == []
