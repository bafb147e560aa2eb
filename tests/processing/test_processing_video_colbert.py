import json
import logging
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoProcessor,
    BertConfig,
    CLIPConfig,
    PreTrainedTokenizerBase,
    SiglipConfig,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from tests.processing.made_videos import write_video
from tests.warm_python import warm_python
from video_colbert.processing import VideoColBERTProcessor, VideoColBERTVideoProcessor, VideoDecodingError

SHORT = "a red ball"
LONG = "a red square moves left, then a blue star moves right, and a green cube grows while the man waits"
PARAGRAPH = "A man runs. The red ball moves left, then it falls and a dog runs across the park after it! He stops."


@pytest.fixture(params=["clip", "siglip"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    return request.getfixturevalue(f"{request.param}_tokenizer")


def make_processor(tokenizer: PreTrainedTokenizerBase, **arguments: object) -> VideoColBERTProcessor:
    video_processor = VideoColBERTVideoProcessor(
        num_frames=4, size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    settings: dict[str, Any] = {"query_length": 16, **arguments}
    return VideoColBERTProcessor(video_processor, tokenizer, **settings)


def save_backbone(folder: Path, family: str, tokenizer: PreTrainedTokenizerBase) -> Path:
    """What a CLIP, SigLIP or VideoPrism checkpoint holds besides its weights."""
    if family == "clip":
        CLIPConfig(text_config={"max_position_embeddings": 77}).save_pretrained(folder)
        CLIPImageProcessorPil(
            size={"shortest_edge": 48}, crop_size={"height": 40, "width": 40}, image_mean=[0.1, 0.2, 0.3]
        ).save_pretrained(folder)
    else:
        SiglipConfig(text_config={"max_position_embeddings": 64}).save_pretrained(folder)
        SiglipImageProcessorPil(size={"height": 40, "width": 40}, resample=2).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_captions_are_padded_on_the_right_and_masked(tokenizer: PreTrainedTokenizerBase) -> None:
    processor = make_processor(tokenizer)
    tokenizer.padding_side = "left"
    try:
        batch = processor.process_queries([SHORT, "a"])
    finally:
        tokenizer.padding_side = "right"
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 16)
    for caption, ids, mask in zip([SHORT, "a"], batch["input_ids"], batch["attention_mask"], strict=True):
        own = tokenizer(caption)["input_ids"]
        assert ids.tolist() == own + [tokenizer.pad_token_id] * (16 - len(own))
        assert mask.tolist() == [1] * len(own) + [0] * (16 - len(own))


def test_a_query_is_the_same_alone_and_in_a_batch(tokenizer: PreTrainedTokenizerBase) -> None:
    processor = make_processor(tokenizer)
    batch = processor.process_queries([SHORT, LONG])
    assert torch.equal(processor.process_queries(SHORT)["input_ids"][0], batch["input_ids"][0])


def test_the_pad_token_can_be_chosen(clip_tokenizer: PreTrainedTokenizerBase) -> None:
    assert make_processor(clip_tokenizer).query_pad_token_id == clip_tokenizer.eos_token_id
    ids = make_processor(clip_tokenizer, query_pad_token_id=0).process_queries("a")["input_ids"][0]
    assert ids.tolist() == [*clip_tokenizer("a")["input_ids"], *[0] * 13]


def test_a_long_caption_is_cut_with_one_warning_and_found(
    tokenizer: PreTrainedTokenizerBase, caplog: pytest.LogCaptureFixture
) -> None:
    processor = make_processor(tokenizer)
    with caplog.at_level(logging.WARNING, logger="video_colbert.processing"):
        batch = processor.process_queries([SHORT, LONG, LONG])
        processor.process_queries(LONG)
    assert len(caplog.records) == 1
    assert "2 of 3 captions are longer than query_length=16" in caplog.text
    assert batch["input_ids"][1].tolist() == [*tokenizer(LONG)["input_ids"][:15], tokenizer.eos_token_id]
    assert processor.truncated_queries([SHORT, LONG, SHORT, LONG]) == [1, 3]


def test_sentence_windows_cut_nothing(tokenizer: PreTrainedTokenizerBase, caplog: pytest.LogCaptureFixture) -> None:
    processor = make_processor(tokenizer, query_windows="sentences")
    batch = processor.process_queries([PARAGRAPH, SHORT])
    num_windows = batch["input_ids"].shape[1]
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, num_windows, 16)
    assert num_windows > 3
    assert batch["attention_mask"][0].any(dim=1).all()
    assert batch["attention_mask"][1].any(dim=1).tolist() == [True] + [False] * (num_windows - 1)
    assert (batch["input_ids"][1, 1:] == processor.query_pad_token_id).all()
    own = batch["input_ids"][0][batch["attention_mask"][0].bool()].tolist()
    special = set(tokenizer.all_special_ids)
    whole = [token for token in tokenizer(PARAGRAPH)["input_ids"] if token not in special]
    assert [token for token in own if token not in special] == whole
    assert processor.truncated_queries([PARAGRAPH, LONG]) == []
    assert not caplog.records


@pytest.mark.parametrize("query_windows", [None, "sentences"])
def test_word_positions_point_into_the_flattened_query(
    tokenizer: PreTrainedTokenizerBase, query_windows: str | None
) -> None:
    processor = make_processor(tokenizer, query_windows=query_windows)
    ids = processor.process_queries([PARAGRAPH, SHORT])["input_ids"].flatten(1)
    words = processor.query_words([PARAGRAPH, SHORT])
    assert [word.word for word in words[1]] == ["a", "red", "ball"]
    if query_windows:
        spoken = PARAGRAPH.replace(",", "").replace(".", "").replace("!", "").split()
        assert [word.word for word in words[0]] == spoken
    for row, caption_words in zip(ids, words, strict=True):
        for word in caption_words:
            spelled = tokenizer.decode(row[word.token_positions].tolist()).replace(" ", "")
            assert word.word.lower().startswith(spelled) if query_windows is None else spelled == word.word.lower()


def test_text_and_videos_come_together(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    processor = make_processor(tokenizer)
    path = write_video(tmp_path / "v.mp4")
    batch = processor(text=SHORT, videos=[path, path], start=[None, 1.0], return_timestamps=True)
    assert set(processor.model_input_names) == set(batch) - {"timestamps"}
    assert batch["pixel_values_videos"].shape == (2, 4, 3, 32, 32)
    assert torch.equal(batch["pixel_values_videos"][0], processor.process_videos(path)["pixel_values_videos"][0])
    assert len(batch["timestamps"]) == 2
    as_numpy = processor(text=SHORT, videos=path, return_tensors="np")
    np.testing.assert_array_equal(as_numpy["input_ids"], batch["input_ids"].numpy())
    assert isinstance(as_numpy["pixel_values_videos"], np.ndarray)


def test_bad_arguments_are_named(clip_tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    processor = make_processor(clip_tokenizer)
    with pytest.raises(ValueError, match="give text, videos, or both"):
        processor()
    with pytest.raises(ValueError, match="empty list"):
        processor.process_queries([])
    with pytest.raises(TypeError, match="a caption is a str, not int"):
        processor.process_queries([3])  # type: ignore[list-item]
    with pytest.raises(VideoDecodingError, match="no such file"):
        processor(videos=tmp_path / "gone.mp4")
    with pytest.raises(ValueError, match="from 7 to 65536"):
        make_processor(clip_tokenizer, query_length=6)
    with pytest.raises(ValueError, match="None or 'sentences'"):
        make_processor(clip_tokenizer, query_windows="words")
    with pytest.raises(TypeError, match="video_processor is a CLIPTokenizer"):
        VideoColBERTProcessor(clip_tokenizer, clip_tokenizer)  # type: ignore[arg-type]


def test_a_tokenizer_without_a_pad_token_needs_one_named(clip_tokenizer: PreTrainedTokenizerBase) -> None:
    pad_token = clip_tokenizer.pad_token
    try:
        clip_tokenizer.pad_token = None
        with pytest.raises(ValueError, match="query_pad_token_id"):
            make_processor(clip_tokenizer)
    finally:
        clip_tokenizer.pad_token = pad_token


def test_a_backbones_own_settings_are_taken(
    tmp_path: Path, clip_tokenizer: PreTrainedTokenizerBase, siglip_tokenizer: PreTrainedTokenizerBase
) -> None:
    clip = VideoColBERTProcessor.from_backbone(save_backbone(tmp_path / "clip", "clip", clip_tokenizer))
    assert clip.video_processor.size == {"shortest_edge": 48}
    assert clip.video_processor.crop_size == {"height": 40, "width": 40}
    assert clip.video_processor.image_mean == [0.1, 0.2, 0.3]
    assert (clip.video_processor.do_center_crop, clip.video_processor.resample) == (True, 3)
    assert clip.query_length == 32

    folder = save_backbone(tmp_path / "siglip", "siglip", siglip_tokenizer)
    siglip = VideoColBERTProcessor.from_backbone(folder, num_frames=6, query_length=20)
    assert siglip.video_processor.size == {"height": 40, "width": 40}
    assert siglip.video_processor.image_mean == [0.5, 0.5, 0.5]
    assert (siglip.video_processor.do_center_crop, siglip.video_processor.resample) == (False, 2)
    assert (siglip.video_processor.num_frames, siglip.query_length) == (6, 20)


@pytest.mark.parametrize(("family", "length"), [("clip", 77), ("siglip", 64)])
def test_zero_shot_pads_to_the_towers_full_length(
    request: pytest.FixtureRequest, tmp_path: Path, family: str, length: int
) -> None:
    folder = save_backbone(tmp_path, family, request.getfixturevalue(f"{family}_tokenizer"))
    processor = VideoColBERTProcessor.from_backbone(folder, zero_shot=True)
    assert processor.process_queries("a")["input_ids"].shape == (1, length)


def test_a_clip_config_from_before_sizes_were_dictionaries_is_read(
    tmp_path: Path, clip_tokenizer: PreTrainedTokenizerBase
) -> None:
    folder = save_backbone(tmp_path, "clip", clip_tokenizer)
    old = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 48, "crop_size": 40, "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps({**old, "do_center_crop": True}))
    processor = VideoColBERTProcessor.from_backbone(folder)
    assert processor.video_processor.size == {"shortest_edge": 48}
    assert processor.video_processor.crop_size == {"height": 40, "width": 40}


def test_what_no_backbone_can_be_is_named(tmp_path: Path, clip_tokenizer: PreTrainedTokenizerBase) -> None:
    BertConfig().save_pretrained(tmp_path / "bert")
    with pytest.raises(ValueError, match="supported are clip, metaclip_2, siglip"):
        VideoColBERTProcessor.from_backbone(tmp_path / "bert")
    folder = save_backbone(tmp_path / "clip", "clip", clip_tokenizer)
    with pytest.raises(ValueError, match="77 positions"):
        VideoColBERTProcessor.from_backbone(folder, query_length=78)
    with pytest.raises(TypeError, match="takes no 'frames'; did you mean 'num_frames'"):
        VideoColBERTProcessor.from_backbone(folder, frames=3)


def test_a_saved_processor_comes_back_whole(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    processor = make_processor(tokenizer, query_windows="sentences", query_pad_token_id=5)
    processor.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "processor_config.json").read_text())
    for name in ("query_length", "query_windows", "query_pad_token_id"):
        assert stored[name] == getattr(processor, name)
    for loaded in (AutoProcessor.from_pretrained(tmp_path), VideoColBERTProcessor.from_pretrained(tmp_path)):
        assert type(loaded) is VideoColBERTProcessor
        assert {**loaded.to_dict(), "auto_map": stored["auto_map"]} == processor.to_dict()
        for name, tensor in processor.process_queries([PARAGRAPH, SHORT]).items():
            assert torch.equal(loaded.process_queries([PARAGRAPH, SHORT])[name], tensor)


def test_loading_takes_other_settings(clip_tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    make_processor(clip_tokenizer).save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path, query_length=20, num_frames=7, sampling="segment_random")
    assert (loaded.query_length, loaded.video_processor.num_frames) == (20, 7)
    assert loaded.video_processor.sampling == "segment_random"


def test_a_checkpoint_without_this_processor_is_an_error_that_says_what_to_do(
    clip_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    clip_tokenizer.save_pretrained(tmp_path)
    (tmp_path / "processor_config.json").write_text("{}")
    with pytest.raises(OSError, match="from_backbone"):
        VideoColBERTProcessor.from_pretrained(tmp_path)


def test_a_saved_processor_loads_where_none_of_our_packages_can_be_imported(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    processor = make_processor(tokenizer)
    folder, path = tmp_path / "saved", write_video(tmp_path / "v.mp4")
    processor.save_pretrained(folder)
    code = """
import sys

class Refuse:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in {"processing", "modeling_video_colbert", "dataset_builders", "video_colbert"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse)
import torch
from transformers import AutoProcessor

folder, video, caption, saved = sys.argv[1:]
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
torch.save(dict(processor(text=caption, videos=video)), saved)
processor.save_pretrained(folder + "_again")
"""
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    subprocess.run(
        [warm_python(), "-I", "-c", code, str(folder), str(path), LONG, str(tmp_path / "batch.pt")],
        env=environment,
        cwd=tmp_path,
        check=True,
    )
    there = torch.load(tmp_path / "batch.pt", weights_only=True)
    here = processor(text=LONG, videos=path)
    assert set(there) == set(here)
    assert all(torch.equal(there[name], here[name]) for name in here)
    # What was loaded from the folder saves the same folder again.
    assert {file.name for file in folder.iterdir()} == {file.name for file in Path(f"{folder}_again").iterdir()}
