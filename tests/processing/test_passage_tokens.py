"""Texts of videos as token ids: windows, what is missing, what is too long."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from video_colbert.processing import VideoColBERTProcessor

LEVELS = ["speech", "description"]


@pytest.fixture(scope="module")
def processor(clip_backbone_folder: Path) -> VideoColBERTProcessor:
    return VideoColBERTProcessor.from_backbone(clip_backbone_folder, query_length=16, num_frames=2)


def test_each_sentence_is_a_window_of_the_text_and_what_is_missing_is_masked(processor: VideoColBERTProcessor) -> None:
    texts = ["A red ball.", "It goes up.", "A man rides a bike."]
    passages = [{"speech": " ".join(texts[:2])}, {"description": texts[2], "speech": "  "}, {}]
    inputs = processor.process_passages(passages, LEVELS)
    ids, mask = inputs["passage_input_ids"], inputs["passage_attention_mask"]
    assert ids.shape == mask.shape == (3, 2, 2, 16)
    own = processor.process_queries(texts)
    for place, text in (((0, 0, 0), 0), ((0, 0, 1), 1), ((1, 1, 0), 2)):
        assert torch.equal(ids[place], own["input_ids"][text])
        assert torch.equal(mask[place], own["attention_mask"][text])
    there = mask.any(-1).nonzero().tolist()
    assert there == [[0, 0, 0], [0, 0, 1], [1, 1, 0]]
    assert mask[2].sum() == 0


def test_a_text_beyond_the_longest_is_cut_at_a_window_and_said(
    processor: VideoColBERTProcessor, caplog: pytest.LogCaptureFixture
) -> None:
    long = "A red ball goes up. " * 20
    with caplog.at_level(logging.WARNING):
        inputs = processor.process_passages([{"speech": long}, {"speech": "A ball."}], LEVELS, max_length=40)
    assert "1 texts have more than 40 tokens" in caplog.text
    counts = inputs["passage_attention_mask"].sum((2, 3))
    one = int(processor.process_queries("A red ball goes up.")["attention_mask"].sum())
    assert counts[0, 0] == 40 // one * one


def test_what_cannot_be_processed_is_said(processor: VideoColBERTProcessor) -> None:
    with pytest.raises(ValueError, match=r"passages name \['smell'\]; the model's passage_levels are \['speech'"):
        processor.process_passages([{"smell": "roses"}], LEVELS)
    with pytest.raises(ValueError, match="max_length is 15; a window has up to query_length=16 tokens"):
        processor.process_passages([{}], LEVELS, max_length=15)
    with pytest.raises(ValueError, match="needs a mapping for each video"):
        processor.process_passages([], LEVELS)
    with pytest.raises(TypeError, match="a caption is a str"):
        processor.process_passages([{"speech": 5}], LEVELS)  # type: ignore[dict-item]
