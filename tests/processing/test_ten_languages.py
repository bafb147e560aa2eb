"""Captions of many languages, through the tokenizers that MetaCLIP 2 and SigLIP 2 have for them."""

from pathlib import Path

import pytest
import torch
from transformers import GemmaTokenizer, XLMRobertaTokenizer

from tests.captions_in_ten_languages import CAPTIONS
from video_colbert.processing import VideoColBERTProcessor

# Those scripts put no spaces between words.
UNSPACED = ("Chinese", "Japanese", "Thai")


@pytest.fixture(scope="module", params=["metaclip_2", "siglip_2"])
def processor(request: pytest.FixtureRequest) -> VideoColBERTProcessor:
    folder: Path = request.getfixturevalue(f"{request.param}_backbone_folder")
    processor = VideoColBERTProcessor.from_backbone(folder, zero_shot=True)
    expected = XLMRobertaTokenizer if request.param == "metaclip_2" else GemmaTokenizer
    assert type(processor.tokenizer) is expected
    # MetaCLIP 2 was trained on captions as they are written.
    assert processor.do_lower_case is (request.param == "siglip_2")
    return processor


def test_captions_are_what_the_backbones_own_tokenizer_makes_of_them(processor: VideoColBERTProcessor) -> None:
    captions = list(CAPTIONS.values())
    as_trained = [caption.lower() for caption in captions] if processor.do_lower_case else captions
    length = 64 if processor.do_lower_case else 77
    expected = processor.tokenizer(
        as_trained, padding="max_length", max_length=length, padding_side="right", return_tensors="pt"
    )
    found = processor(text=captions)
    assert torch.equal(found["input_ids"], expected["input_ids"])
    assert torch.equal(found["attention_mask"], expected["attention_mask"])
    assert processor.tokenizer.unk_token_id not in found["input_ids"]
    assert processor.truncated_queries(captions) == []


@pytest.mark.parametrize("language", CAPTIONS)
def test_words_are_those_of_the_caption_and_share_no_token(processor: VideoColBERTProcessor, language: str) -> None:
    caption = CAPTIONS[language]
    [words] = processor.query_words(caption)
    assert [word.word for word in words] == ([caption] if language in UNSPACED else caption.split())
    ids = processor(text=caption)["input_ids"][0]
    positions = [position for word in words for position in word.token_positions]
    assert len(set(positions)) == len(positions)
    # Together they are the caption: all but the special tokens.
    spelled = processor.tokenizer.decode(ids[sorted(positions)]).strip()
    read = processor.tokenizer.decode(ids, skip_special_tokens=True).strip()
    assert spelled == read


def test_a_caption_that_is_cut_keeps_its_end(processor: VideoColBERTProcessor) -> None:
    long = " ".join(CAPTIONS.values())
    ids = processor(text=long)["input_ids"][0]
    assert ids[-1] == processor.tokenizer.eos_token_id
    assert (ids == processor.tokenizer.eos_token_id).sum() == 1
