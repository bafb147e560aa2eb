"""SigLIP 2 was trained on lower-case captions, and its tokenizer, Gemma's, does not make them so."""

import string
from pathlib import Path

import pytest
import torch
from transformers import GemmaTokenizer, PreTrainedTokenizerBase

from tests.tiny_checkpoints import save_tiny_backbone
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor

CAPTION = "a red square moves, then a dog runs"


@pytest.fixture(scope="module")
def siglip2_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fixed-resolution SigLIP 2 checkpoint as it lies on the Hub: SigLIP's model type and Gemma's tokenizer."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = [*"▁,.i̇", *string.ascii_letters]
    merges = [("r", "e"), ("re", "d"), ("R", "E"), ("▁", "a"), ("▁", "A")]
    pieces = [*special, *letters, *map("".join, merges)]
    tokenizer = GemmaTokenizer(
        vocab={piece: number for number, piece in enumerate(dict.fromkeys(pieces))},
        merges=merges,
        add_bos_token=False,
        add_eos_token=True,
    )
    return save_tiny_backbone(tmp_path_factory.mktemp("siglip2"), tokenizer, "siglip")


@torch.no_grad()
def test_a_query_in_capitals_is_the_same_query_for_siglip_2(siglip2_backbone: Path, tmp_path: Path) -> None:
    VideoColBERTProcessor.from_backbone(siglip2_backbone, query_length=64).save_pretrained(tmp_path)
    processor = VideoColBERTProcessor.from_pretrained(tmp_path)
    assert processor.do_lower_case
    ids = processor(text=[CAPTION, CAPTION.upper(), CAPTION.title()])["input_ids"]
    assert torch.equal(ids[0], ids[1])
    assert torch.equal(ids[0], ids[2])
    as_trained = processor.tokenizer(CAPTION)["input_ids"]
    assert ids[0, : len(as_trained)].tolist() == as_trained
    model = VideoColBERTModel.from_backbone(siglip2_backbone, zero_shot=True)
    vectors = model.get_text_features(ids).query_embeds[:, 0]
    assert vectors[0] @ vectors[1] == pytest.approx(1.0, abs=1e-6)


def test_words_are_named_as_the_caption_has_them(siglip2_backbone: Path) -> None:
    processor = VideoColBERTProcessor.from_backbone(siglip2_backbone, query_length=64)
    [lower], [upper] = processor.query_words(CAPTION), processor.query_words(CAPTION.upper())
    assert [word.word for word in upper] == [word.word.upper() for word in lower]
    assert [word.token_positions for word in upper] == [word.token_positions for word in lower]
    # A letter that becomes two: the positions still are those of the word.
    [turkish] = processor.query_words("İ red DOG")
    tokens = processor.tokenizer.convert_ids_to_tokens(processor(text="İ red DOG")["input_ids"][0].tolist())
    spelled = ["".join(tokens[position] for position in word.token_positions) for word in turkish]
    assert [word.word for word in turkish[-2:]] == ["red", "dog"]
    assert [piece.lstrip("▁") for piece in spelled[-2:]] == ["red", "dog"]


def test_sentence_windows_are_lower_cased_too(siglip2_backbone: Path) -> None:
    processor = VideoColBERTProcessor.from_backbone(siglip2_backbone, query_length=12, query_windows="sentences")
    text = "A red dog. The dog runs far away"
    ids = processor(text=[text, text.upper()])["input_ids"]
    assert torch.equal(ids[0], ids[1])


def test_an_own_choice_stands_above_the_backbones(siglip2_backbone: Path) -> None:
    processor = VideoColBERTProcessor.from_backbone(siglip2_backbone, query_length=64, do_lower_case=False)
    ids = processor(text=[CAPTION, CAPTION.upper()])["input_ids"]
    assert not torch.equal(ids[0], ids[1])


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_clip_and_siglip_1_take_captions_as_their_own_tokenizers_do(
    family: str, request: pytest.FixtureRequest
) -> None:
    backbone = request.getfixturevalue(f"{family}_backbone_folder")
    tokenizer: PreTrainedTokenizerBase = request.getfixturevalue(f"{family}_tokenizer")
    processor = VideoColBERTProcessor.from_backbone(backbone, query_length=64)
    assert not processor.do_lower_case
    for caption in (CAPTION, CAPTION.upper()):
        own = tokenizer(caption)["input_ids"]
        assert processor(text=caption)["input_ids"][0, : len(own)].tolist() == own
