from pathlib import Path

import torch
from transformers import CLIPModel

from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.tiny_backbones import save_tiny_clip_backbone, train_clip_tokenizer

CAPTIONS = ["a red square moves left", "a blue circle moves right", "a red circle grows"] * 3


def test_tokenizer_is_a_function_of_the_captions_and_reads_any_text() -> None:
    first, second = train_clip_tokenizer(CAPTIONS), train_clip_tokenizer(CAPTIONS)
    assert first.get_vocab() == second.get_vocab()
    ids = first("a red square")["input_ids"]
    assert (ids[0], ids[-1]) == (first.bos_token_id, first.eos_token_id)
    text = "Zebra, 7 µm - ein Größenvergleich!"
    assert first.unk_token_id not in first(text)["input_ids"][1:-1]
    assert first.decode(first("a red circle")["input_ids"], skip_special_tokens=True).strip() == "a red circle"


def test_backbone_is_one_that_a_model_and_a_processor_start_from(tmp_path: Path) -> None:
    folder = save_tiny_clip_backbone(tmp_path, train_clip_tokenizer(CAPTIONS), width=32, image_size=32)
    model = VideoColBERTModel.from_backbone(folder, query_length=8, temporal_num_heads=4)
    processor = VideoColBERTProcessor.from_backbone(folder, query_length=8, num_frames=2)
    inputs = processor(text=["a red square"], videos=[torch.zeros(4, 3, 40, 40, dtype=torch.uint8)])
    with torch.inference_mode():
        assert model.eval()(**inputs).scores.shape == (1, 1)


def test_weights_are_seeded_and_the_global_generator_is_left_alone(tmp_path: Path) -> None:
    tokenizer = train_clip_tokenizer(CAPTIONS)
    before = torch.get_rng_state()
    models = [
        CLIPModel.from_pretrained(save_tiny_clip_backbone(tmp_path / name, tokenizer, width=32, seed=seed))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    ]
    assert torch.equal(before, torch.get_rng_state())
    first, again, other = (model.visual_projection.weight for model in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
