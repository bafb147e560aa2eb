from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import video_colbert
from tests.video_files import write_clip
from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder

CAPTIONS = ["a red circle grows", "a blue circle rests", "a red square turns"]


@pytest.fixture(scope="module")
def encoder(clip_backbone_folder: Path) -> VideoColBERTEncoder:
    return VideoColBERTEncoder.from_pretrained(clip_backbone_folder, device="cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(len(CAPTIONS)):
        write_clip(tmp_path / f"{number}.mp4", number)
    lines = [json.dumps({"video": f"{number}.mp4", "caption": text}) for number, text in enumerate(CAPTIONS)]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_a_folder_is_evaluated_by_its_name_and_shown_as_a_table(encoder: VideoColBERTEncoder, folder: Path) -> None:
    report = video_colbert.evaluate(encoder, "video_folder", data_dir=folder)
    vectors = []
    for number in range(len(CAPTIONS)):
        [video] = encoder.encode_videos([VideoClip(str(folder / f"{number}.mp4"))])
        assert isinstance(video, EncodedVideo)
        vectors.append(video)
    # A zero-shot model compares one vector of a text with each frame.
    inputs = encoder.processor.process_queries(CAPTIONS)
    texts = encoder.model.get_text_features(**inputs).query_embeds[:, 0].detach().numpy()
    scores = np.array([[max(frame @ text for frame in frames_of(video)) for video in vectors] for text in texts])
    ranks = np.array([1 + int((row > row[place]).sum()) for place, row in enumerate(scores)])
    found = next(result for result in report.results if (result.level, result.direction) == ("sum", "text_to_video"))
    assert found.metrics["R@1"] == pytest.approx(100 * (ranks == 1).mean())
    assert found.metrics["MnR"] == pytest.approx(ranks.mean())
    lines = repr(report).splitlines()
    assert lines[0] == f"model: {encoder.reference}, zero-shot"
    assert lines[1] == "video_folder, split test: 3 of 3 videos, 3 captions"
    assert report.failures == []


def frames_of(video: EncodedVideo) -> np.ndarray:
    return video.embeds["frame"].numpy()


def test_a_folder_without_captions_says_what_is_missing(encoder: VideoColBERTEncoder, folder: Path) -> None:
    (folder / "captions.jsonl").unlink()
    with pytest.raises(ValueError, match=r"3 videos but no captions; put a captions.jsonl or"):
        video_colbert.evaluate(encoder, "video_folder", data_dir=folder)


def test_an_unknown_data_set_is_told_which_there_are(encoder: VideoColBERTEncoder) -> None:
    with pytest.raises(ValueError, match=r"there is no data set 'msr-vtt'; there are msrvtt, .*, moving_shapes"):
        video_colbert.evaluate(encoder, "msr-vtt", data_dir="x")
