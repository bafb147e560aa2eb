"""Perception Encoder: what holds without timm and, where there is timm, checkpoints as they lie on the Hub."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, PeAudioVideoConfig, PeVideoModel, PreTrainedTokenizerBase

from tests.tiny_models import NEEDS_TIMM, random_batch, tiny_model, tiny_pe_config
from tests.video_files import write_clip
from video_colbert import VideoColBERTEncoder
from video_colbert.encoding.pretrained import load_pretrained
from video_colbert.errors import ModelLoadError
from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel, pe_tower_video_colbert
from video_colbert.modeling_video_colbert.backbone_video_colbert import backbone_config_fields
from video_colbert.modeling_video_colbert.pe_tower_video_colbert import pe_image_sizes
from video_colbert.modeling_video_colbert.towers_video_colbert import backbone_config, frame_side, num_patches
from video_colbert.processing import VideoColBERTProcessor


def test_sizes_of_a_published_checkpoint_follow_from_its_config() -> None:
    backbone = backbone_config(PeAudioVideoConfig())
    config = VideoColBERTConfig(**backbone_config_fields(backbone, zero_shot=True, temporal_init="random"))
    assert (config.projection_dim, config.query_length, config.score_levels) == (1024, 128, ["video"])
    assert (frame_side(config.vision_config), num_patches(config.vision_config)) == (336, 24 * 24)


def test_sizes_of_frames_are_those_of_the_timm_model() -> None:
    config = tiny_pe_config(600, 2, image_size=48).video_config
    assert pe_image_sizes(config) == (48, 16)
    config.vision_config.architecture = "resnet50"
    with pytest.raises(ValueError, match="architecture is 'resnet50'; it must end in patch and image size"):
        pe_image_sizes(config)


def test_without_timm_a_checkpoint_is_refused_in_one_sentence(
    tmp_path: Path, modernbert_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pe_tower_video_colbert, "is_timm_available", lambda: False)
    tiny_pe_config(600, 2, image_size=32).save_pretrained(tmp_path)
    modernbert_tokenizer.save_pretrained(tmp_path)
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    sentence = "The image tower of Perception Encoder is timm's, which is not installed: pip install timm"
    with pytest.raises(ImportError, match=f"^{sentence}$"):
        VideoColBERTModel.from_backbone(tmp_path)
    with pytest.raises(ModelLoadError, match=f"cannot be loaded: {sentence}$"):
        load_pretrained(tmp_path)


def test_attention_is_not_read_out_of_its_text_tower() -> None:
    fields = backbone_config_fields(tiny_pe_config(600, 2, image_size=32), zero_shot=False, temporal_init="random")
    with pytest.raises(StrictDataclassClassValidationError, match="not read out of that of 'pe_video'"):
        VideoColBERTConfig(**fields, temporal_num_heads=4, interaction="attention_max_sim")


def test_a_checkpoint_for_16_frames_takes_16_frames(
    tmp_path: Path, modernbert_tokenizer: PreTrainedTokenizerBase
) -> None:
    tiny_pe_config(600, 2, image_size=32).save_pretrained(tmp_path)
    modernbert_tokenizer.save_pretrained(tmp_path)
    # Where processors are saved whole, as those on the Hub are.
    saved = {
        "num_frames": 16,
        "do_sample_frames": True,
        "size": {"height": 336, "width": 336},
        "image_mean": [0.5] * 3,
    }
    (tmp_path / "processor_config.json").write_text(json.dumps({"video_processor": saved}))
    found = VideoColBERTProcessor.from_backbone(tmp_path).video_processor
    assert (found.num_frames, found.sampling, found.resizing.frame_size) == (16, "uniform", (336, 336))
    assert (found.resample, found.do_center_crop, found.image_mean) == (2, False, [0.5] * 3)


@NEEDS_TIMM
@torch.no_grad()
def test_a_checkpoint_with_audio_is_searched_as_its_part_of_texts_and_videos_scores(
    pe_audio_video_backbone_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = [write_clip(tmp_path / f"{number}.mp4", seed=number) for number in range(2)]
    captions = ["a red square moves left", "two people are cooking dinner"]
    encoder = VideoColBERTEncoder.from_pretrained(pe_audio_video_backbone_folder)
    found = encoder.similarity(captions, files)
    # Commands write their results there.
    assert capfd.readouterr().out == ""

    config = AutoConfig.from_pretrained(pe_audio_video_backbone_folder).video_config
    config.video_config.vision_config.num_labels = config.video_config.vision_config.num_classes
    stock = PeVideoModel.from_pretrained(pe_audio_video_backbone_folder, config=config).eval()
    processor = VideoColBERTProcessor.from_backbone(pe_audio_video_backbone_folder)
    texts = processor.tokenizer(captions, padding=True, return_tensors="pt")
    for column, file in enumerate(files):
        pixels = processor.process_videos([file])["pixel_values_videos"]
        output = stock(**texts, pixel_values_videos=pixels)
        expected = torch.nn.functional.cosine_similarity(output.text_video_embeds, output.video_embeds)
        torch.testing.assert_close(found[:, column], expected, rtol=0, atol=1e-5)
    assert found.std() > 0.001


@NEEDS_TIMM
def test_low_rank_updates_reach_each_of_its_three_stacks_of_layers() -> None:
    towers = r"(text_model|vision_model)\..*\.(q_proj|v_proj|Wqkv|qkv)"
    lora = get_peft_model(tiny_model("pe_video"), LoraConfig(r=2, target_modules=towers))
    lora(**random_batch(), return_loss=True).loss.backward()
    # Of the two parts of an update, the one that starts at 0 has a gradient at the start.
    moved = [name for name, weight in lora.named_parameters() if "lora_B" in name and weight.grad.abs().sum() > 0]
    for stack, number in {"text_model.layers.": 3, "timm_model.blocks.": 2, "vision_model.layers.": 4}.items():
        assert sum(stack in name for name in moved) == number


@NEEDS_TIMM
def test_frames_are_prepared_as_the_stock_processor_does(pe_video_backbone_folder: Path) -> None:
    from transformers import AutoVideoProcessor

    frames = np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3), dtype=np.uint8)
    stock = AutoVideoProcessor.from_pretrained(pe_video_backbone_folder)
    expected = stock([frames], return_tensors="pt")["pixel_values_videos"]
    found = VideoColBERTProcessor.from_backbone(pe_video_backbone_folder).process_videos([frames], num_frames=3)
    torch.testing.assert_close(found["pixel_values_videos"], expected, rtol=0, atol=1e-6)
