import inspect
import json
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets.fingerprint import Hasher
from transformers import AutoProcessor, PreTrainedTokenizerBase

from tests.processing.test_processing_video_colbert import make_processor
from tests.warm_python import warm_python
from video_colbert.processing import VideoColBERTProcessor

FRAMES = np.random.default_rng(0).integers(0, 256, size=(9, 40, 50, 3)).astype(np.uint8)
LONG = "a red square moves left, then a blue star moves right, and a green cube grows while the man waits"


@pytest.fixture(scope="module")
def processor(clip_tokenizer: PreTrainedTokenizerBase) -> VideoColBERTProcessor:
    return make_processor(clip_tokenizer)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"text": "a", "video": [FRAMES]}, TypeError, "takes no 'video'; did you mean 'videos'"),
        ({"text": "a", "images": [FRAMES]}, TypeError, r"takes no 'images': give frames as videos=\[frames\]"),
        ({"text": "a", "audio": [0.0]}, TypeError, "takes no 'audio': it takes text and videos"),
        ({"text": "a", "max_lenght": 16}, TypeError, "did you mean 'max_length'"),
        ({"videos": FRAMES, "num_frame": 3}, TypeError, "did you mean 'num_frames'"),
        ({"text": "a", "num_frames": 3}, ValueError, "num_frames given for videos, of which the call has none"),
        ({"videos": FRAMES, "max_length": 16}, ValueError, "max_length given for text, of which the call has none"),
        ({"text": LONG, "max_length": 77}, ValueError, "max_length is 77; captions have query_length=16"),
        ({"text": LONG, "truncation": False}, ValueError, "query_windows='sentences' avoids it"),
        ({"text": "a", "padding": False}, ValueError, "padding is False; captions are always padded"),
        ({"text": "a", "padding": True}, ValueError, "padding='max_length', to query_length"),
        ({"text": "a", "return_tensors": "tf"}, ValueError, "return_tensors is 'tf'; it must be 'pt', 'np' or None"),
        ({"videos": FRAMES, "return_tensors": "tf"}, ValueError, "return_tensors is 'tf'"),
        ({"text": "a", "text_kwargs": {"num_frames": 3}}, TypeError, "text_kwargs takes no 'num_frames'"),
        (
            {"videos": FRAMES, "num_frames": 3, "videos_kwargs": {"num_frames": 4}},
            ValueError,
            "num_frames is given twice",
        ),
        ({"num_frames": 3}, ValueError, "num_frames given for videos"),
        ({}, ValueError, "give text, videos, or both"),
    ],
)
def test_an_argument_that_nothing_reads_is_named_with_what_is_right(
    processor: VideoColBERTProcessor, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        processor(**arguments)


def test_the_signature_of_a_call_over_videos_names_each_setting_that_it_takes(
    processor: VideoColBERTProcessor,
) -> None:
    video_processor = processor.video_processor
    parameters = inspect.signature(video_processor.preprocess).parameters
    assert set(type(video_processor).valid_kwargs.__annotations__) < set(parameters)
    assert all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values())
    assert next(iter(parameters)) == "videos"


def test_process_queries_names_what_it_does_not_do(processor: VideoColBERTProcessor) -> None:
    with pytest.raises(ValueError, match="return_tensors is 'tf'"):
        processor.process_queries("a", return_tensors="tf")
    with pytest.raises(ValueError, match="max_length is 77"):
        processor.process_queries("a", max_length=77)
    with pytest.raises(TypeError, match="'max_len'"):
        processor.process_queries("a", max_len=16)


def test_what_is_done_anyway_may_be_asked_for(processor: VideoColBERTProcessor) -> None:
    expected = processor.process_queries(LONG)["input_ids"]
    found = processor(text=LONG, padding="max_length", truncation=True, max_length=16, return_tensors="pt")
    assert torch.equal(found["input_ids"], expected)
    windows = make_processor(processor.tokenizer, query_windows="sentences")
    assert windows(text=LONG, truncation=False)["input_ids"].dim() == 3
    with pytest.raises(ValueError, match="never cut but split"):
        windows(text=LONG, truncation=True)


def test_arguments_may_stand_in_dictionaries_by_what_they_are_for(processor: VideoColBERTProcessor) -> None:
    flat = processor(text="a", videos=FRAMES, num_frames=3, return_tensors="np")
    nested = processor(
        text="a",
        videos=FRAMES,
        text_kwargs={},
        videos_kwargs={"num_frames": 3},
        common_kwargs={"return_tensors": "np"},
    )
    assert flat["pixel_values_videos"].shape[:2] == (1, 3)
    for name, value in flat.items():
        np.testing.assert_array_equal(nested[name], value)


def test_without_tensors_captions_come_as_lists(processor: VideoColBERTProcessor) -> None:
    found = processor(text=["a red ball", "a"], return_tensors=None)
    assert found["input_ids"] == processor(text=["a red ball", "a"])["input_ids"].tolist()
    assert isinstance(found["attention_mask"][0][0], int)


def test_settings_given_to_from_pretrained_take_effect(processor: VideoColBERTProcessor, tmp_path: Path) -> None:
    processor.save_pretrained(tmp_path)
    for load in (VideoColBERTProcessor.from_pretrained, AutoProcessor.from_pretrained):
        changed = load(tmp_path, fps=2.0, num_frames=None, query_length=24, do_lower_case=True)
        assert (changed.video_processor.sampling, changed.video_processor.fps) == ("fps", 2.0)
        assert (changed.query_length, changed.do_lower_case) == (24, True)
        assert load(tmp_path, do_sample_frames=False)(videos=FRAMES)["video_mask"].shape == (1, len(FRAMES))
        with pytest.raises(TypeError, match="from_pretrained takes no 'max_length'"):
            load(tmp_path, max_length=77)
        with pytest.raises(TypeError, match="did you mean 'num_frames'"):
            load(tmp_path, num_frame=3)
        with pytest.raises(ValueError, match="num_frames is 0"):
            load(tmp_path, num_frames=0)


def test_special_words_of_the_tokenizer_may_be_given_to_from_pretrained(
    processor: VideoColBERTProcessor, tmp_path: Path
) -> None:
    processor.save_pretrained(tmp_path)
    for load in (VideoColBERTProcessor.from_pretrained, AutoProcessor.from_pretrained):
        changed = load(tmp_path, mask_token="(MASK)", use_fast=True)  # noqa: S106 # a word, not a secret
        assert changed.tokenizer.convert_ids_to_tokens(changed.tokenizer.mask_token_id) == "(MASK)"
        assert changed.to_dict() == processor.to_dict()


def test_saving_a_processor_leaves_what_it_saves_as_it_was(
    clip_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    processor = make_processor(clip_tokenizer)
    before = processor.to_dict()
    processor.save_pretrained(tmp_path)
    loaded = VideoColBERTProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == processor.to_dict()
    assert before["auto_map"] == loaded.to_dict()["auto_map"]


def test_a_processor_that_cut_a_caption_is_still_the_same_processor(clip_tokenizer: PreTrainedTokenizerBase) -> None:
    processor = make_processor(clip_tokenizer)
    before, pickled = Hasher.hash(processor), pickle.dumps(processor)
    processor(text=[LONG])
    assert Hasher.hash(processor) == before
    assert pickle.dumps(processor) == pickled


def test_every_field_is_saved_and_a_missing_one_means_what_it_was(
    processor: VideoColBERTProcessor, tmp_path: Path
) -> None:
    processor.save_pretrained(tmp_path)
    file = tmp_path / "processor_config.json"
    saved = json.loads(file.read_text())
    assert {"query_length", "query_windows", "query_pad_token_id", "do_lower_case"} <= saved.keys()
    # As it was saved before captions could be lower-cased.
    del saved["do_lower_case"]
    file.write_text(json.dumps(saved))
    loaded = VideoColBERTProcessor.from_pretrained(tmp_path)
    inputs = {"text": ["A RED ball", LONG.upper()], "videos": [FRAMES]}
    for name, value in processor(**inputs).items():
        assert torch.equal(loaded(**inputs)[name], value)


def test_the_installed_processor_never_asks_to_run_code(checkpoint_folder: Path) -> None:
    code = f"""
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from video_colbert.processing import VideoColBERTProcessor
CONFIG_MAPPING._extra_content.clear()
print(type(VideoColBERTProcessor.from_pretrained({str(checkpoint_folder)!r})).__name__)
"""
    process = subprocess.Popen(
        [warm_python(), "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Its standard input stays open and silent, as under a service manager or a notebook.
    assert process.stdout is not None
    assert process.stdin is not None
    output = process.stdout.read()
    process.stdin.close()
    assert process.wait() == 0, output
    assert output.splitlines()[-1] == "VideoColBERTProcessor"
    assert "custom code" not in output
