from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import video_colbert
from tests.data.opened.test_dataset_rows import write_parquet
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


def test_a_streamed_set_is_evaluated_as_the_whole_with_what_it_lacks(
    encoder: VideoColBERTEncoder, tmp_path: Path, quiet_datasets: None
) -> None:
    contents = [write_clip(tmp_path / f"clips/{number}.mp4", number).read_bytes() for number in range(3)]
    rows = [
        {"video": {"path": f"{number}.mp4", "bytes": content}, "caption": f"clip {number}"}
        for number, content in enumerate(contents)
    ]
    # A video that no caption is about is still one to be found wrongly; one that is missing is named.
    rows[1]["caption"] = ""
    rows.insert(1, {"video": None, "caption": "gone"})
    root = str(write_parquet(tmp_path / "set", rows))
    whole = video_colbert.evaluate(encoder, root, split="train")
    streamed = video_colbert.evaluate(encoder, root, split="train", streaming=True)
    assert (whole.split.num_expected_videos, len(whole.split.video_ids)) == (4, 3)
    assert [bad.reason for bad in streamed.split.bad] == ["the file is missing"]
    assert [result.metrics for result in streamed.results] == [result.metrics for result in whole.results]
    bare = write_parquet(tmp_path / "bare", [{"video": rows[0]["video"]}])
    with pytest.raises(ValueError, match="say which column holds them with --caption-column"):
        video_colbert.evaluate(encoder, str(bare), split="train", streaming=True)
