from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.processing.made_videos import write_video
from tests.stand_in_decoder import StandInDecoder
from video_colbert.modeling_video_colbert import VideoColBERTConfig
from video_colbert.processing import VideoColBERTProcessor, decode_video
from video_colbert.training.frame_cache import FrameCache
from video_colbert.training.video_text_dataset import (
    Example,
    NoExample,
    TrainingCollator,
    VideoTextDataset,
    text_key,
)

NUM_VIDEOS = 6
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def processor(clip_backbone_folder: Path) -> VideoColBERTProcessor:
    return VideoColBERTProcessor.from_backbone(clip_backbone_folder, query_length=16, num_frames=3)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    folder = tmp_path_factory.mktemp("videos")
    return [
        {
            "video_id": f"v{number}",
            "video": {"path": str(write_video(folder / f"{number}.mp4", num_frames=20 + number)), "bytes": None},
            "captions": [f"caption {place} of {number}" for place in range(4)],
            "start": None,
            "end": None,
        }
        for number in range(NUM_VIDEOS)
    ]


def bad_row(video_id: str, path: Path) -> dict[str, Any]:
    path.write_bytes(b"not a video")
    return {
        "video_id": video_id,
        "video": {"path": str(path), "bytes": None},
        "captions": ["c"],
        "start": None,
        "end": None,
    }


def contents(examples: Iterable[Example | NoExample]) -> list[tuple[str, str, bytes]]:
    return [(each.video_id, each.caption, each.pixels.numpy().tobytes()) for each in examples]


def test_caption_and_frames_are_functions_of_seed_epoch_and_video_alone(
    rows: Rows, processor: VideoColBERTProcessor
) -> None:
    dataset = VideoTextDataset(rows, processor, seed=3)
    epoch = contents(dataset[0, position] for position in range(NUM_VIDEOS))
    # In another order, from a data set of other rows, and asked twice.
    reordered = VideoTextDataset(rows[::-1], processor, seed=3)
    assert contents(reordered[0, NUM_VIDEOS - 1 - position] for position in range(NUM_VIDEOS)) == epoch
    assert contents([dataset[0, 2]]) == [epoch[2]]
    assert contents(dataset[1, position] for position in range(NUM_VIDEOS)) != epoch
    assert contents(VideoTextDataset(rows, processor, seed=4)[0, place] for place in range(NUM_VIDEOS)) != epoch


def test_workers_give_what_the_main_process_gives(rows: Rows, processor: VideoColBERTProcessor) -> None:
    dataset = VideoTextDataset(rows, processor)
    order = [(1, position) for position in (4, 0, 3, 5, 1, 2)]
    loaded = DataLoader(dataset, sampler=order, batch_size=None, num_workers=2)
    assert contents(loaded) == contents(dataset[index] for index in order)


def test_captions_of_all_epochs_cover_those_of_the_video(rows: Rows, processor: VideoColBERTProcessor) -> None:
    dataset = VideoTextDataset(rows[:1], processor)
    assert len(dataset) == 1
    assert {dataset[epoch, 0].caption for epoch in range(40)} == set(rows[0]["captions"])


def test_all_sampling_makes_an_example_of_every_pair(rows: Rows, processor: VideoColBERTProcessor) -> None:
    dataset = VideoTextDataset(rows, processor, caption_sampling="all")
    pairs = [(dataset[0, place].video_id, dataset[0, place].caption) for place in range(len(dataset))]
    assert pairs == [(row["video_id"], caption) for row in rows for caption in row["captions"]]
    assert dataset.num_videos == NUM_VIDEOS


def test_middle_frames_are_those_of_evaluation(rows: Rows, processor: VideoColBERTProcessor) -> None:
    dataset = VideoTextDataset(rows, processor, random_frames=False)
    pixels = processor.video_processor.normalize(dataset[0, 1].pixels)
    expected = processor.process_videos([rows[1]["video"]["path"]])["pixel_values_videos"][0]
    torch.testing.assert_close(pixels, expected)


def test_bad_video_is_replaced_by_the_next_that_decodes_and_listed(
    rows: Rows, processor: VideoColBERTProcessor, tmp_path: Path
) -> None:
    dataset = VideoTextDataset([bad_row("bad", tmp_path / "bad.mp4"), *rows], processor)
    example = dataset[0, 0]
    assert contents([example]) == contents([dataset[0, 1]])
    [(video_id, reason)] = example.bad_videos
    assert video_id == "bad"
    assert reason
    assert dataset[0, 1].bad_videos == []


def test_too_many_bad_videos_give_no_example(rows: Rows, processor: VideoColBERTProcessor, tmp_path: Path) -> None:
    bad = [bad_row(f"bad{number}", tmp_path / f"{number}.mp4") for number in range(4)]
    dataset = VideoTextDataset(bad + rows, processor, max_bad_share=0.2)
    found = dataset[0, 0]
    assert isinstance(found, NoExample)
    # More than a fifth of the ten.
    assert [video_id for video_id, _ in found.bad_videos] == ["bad0", "bad1", "bad2"]
    only_bad = VideoTextDataset(bad, processor)[0, 1]
    assert {video_id for video_id, _ in only_bad.bad_videos} == {"bad0", "bad1", "bad2", "bad3"}
    batch = TrainingCollator(processor)([dataset[0, 5], found])
    assert batch == {"video_ids": [], "bad_videos": found.bad_videos}


def test_rows_without_a_file_are_left_out_and_counted(
    rows: Rows, processor: VideoColBERTProcessor, caplog: pytest.LogCaptureFixture
) -> None:
    missing = {**rows[0], "video": None, "video_id": "missing"}
    dataset = VideoTextDataset([missing, *rows], processor)
    assert len(dataset) == NUM_VIDEOS
    assert f"1 of {NUM_VIDEOS + 1} training videos have no file" in caplog.text
    with pytest.raises(ValueError, match="no row with both a video file and a caption"):
        VideoTextDataset([missing], processor)


@pytest.mark.parametrize("random_frames", [False, True])
def test_cached_frames_are_chosen_as_decoded_ones(
    rows: Rows, processor: VideoColBERTProcessor, tmp_path: Path, random_frames: bool
) -> None:
    cache = FrameCache(tmp_path / "cache", 10**8)
    segments = 4 if random_frames else 1
    dataset = VideoTextDataset(
        rows, processor, random_frames=random_frames, cache=cache, cache_frames_per_segment=segments
    )
    first = contents(dataset[0, position] for position in range(NUM_VIDEOS))
    assert len(list((tmp_path / "cache").iterdir())) == NUM_VIDEOS
    assert contents(dataset[0, position] for position in range(NUM_VIDEOS)) == first
    again = contents(dataset[1, position] for position in range(NUM_VIDEOS))
    if random_frames:
        assert [pixels for *_, pixels in again] != [pixels for *_, pixels in first]
        kept = decode_video(rows[0]["video"], 3 * segments)
        known = {frame.numpy().tobytes() for frame in processor.video_processor.resize_and_crop(kept.frames)}
        assert {frame.numpy().tobytes() for frame in dataset[0, 0].pixels} <= known
    else:
        plain = VideoTextDataset(rows, processor, random_frames=False)
        assert first == contents(plain[0, position] for position in range(NUM_VIDEOS))


@pytest.mark.parametrize("is_of_data_set", [True, False])
def test_rows_with_decoders_give_the_frames_of_their_files_and_are_cached_where_they_name_one(
    rows: Rows, processor: VideoColBERTProcessor, is_of_data_set: bool, tmp_path: Path
) -> None:
    decoded = [
        {**row, "video": StandInDecoder(row["video"]["path"], row["video"] if is_of_data_set else None)}
        for row in rows
    ]
    cache = FrameCache(tmp_path / "cache", 10**8)
    expected = VideoTextDataset(rows, processor, random_frames=False)
    for found in (decoded, decoded):
        dataset = VideoTextDataset(found, processor, random_frames=False, cache=cache)
        for position in range(len(rows)):
            assert torch.equal(dataset[0, position].pixels, expected[0, position].pixels)
    assert len(list((tmp_path / "cache").glob("*.frames"))) == (len(rows) if is_of_data_set else 0)


def test_a_processor_that_samples_by_a_clock_does_so_in_training_too(
    rows: Rows, clip_backbone_folder: Path, tmp_path: Path
) -> None:
    processor = VideoColBERTProcessor.from_backbone(clip_backbone_folder, num_frames=8, fps=2.0)
    expected = processor.video_processor.resize_and_crop(
        decode_video(rows[0]["video"], 8, sampling="fps", fps=2.0).frames
    )
    cache = FrameCache(tmp_path / "cache", 10**8)
    for options in ({}, {"cache": cache, "cache_frames_per_segment": 2}):
        dataset = VideoTextDataset(rows, processor, **options)
        assert torch.equal(dataset[0, 0].pixels, expected)


def test_without_a_number_of_frames_a_batch_is_as_long_as_its_longest_video(
    rows: Rows, clip_backbone_folder: Path
) -> None:
    processor = VideoColBERTProcessor.from_backbone(clip_backbone_folder, query_length=16, num_frames=None, fps=1.0)
    dataset = VideoTextDataset(rows, processor)
    examples = [dataset[0, position] for position in range(3)]
    batch = TrainingCollator(processor)(examples)
    assert batch["video_mask"].sum(1).tolist() == [len(example.pixels) for example in examples]


def test_video_that_changed_is_decoded_again(processor: VideoColBERTProcessor, tmp_path: Path, rows: Rows) -> None:
    path = write_video(tmp_path / "clip.mp4", num_frames=20)
    row = {**rows[0], "video": {"path": str(path), "bytes": None}}
    cache = FrameCache(tmp_path / "cache", 10**8)
    dataset = VideoTextDataset([row], processor, random_frames=False, cache=cache)
    before = dataset[0, 0].pixels
    write_video(path, num_frames=20, draw=lambda number: np.full((48, 64, 3), 200, dtype=np.uint8))
    assert not torch.equal(dataset[0, 0].pixels, before)


def test_collator_pads_short_videos_and_masks_them(
    rows: Rows, processor: VideoColBERTProcessor, tmp_path: Path
) -> None:
    short = {
        **rows[0],
        "video_id": "short",
        "video": {"path": str(write_video(tmp_path / "short.mp4", num_frames=1)), "bytes": None},
    }
    dataset = VideoTextDataset([short, *rows], processor)
    batch = TrainingCollator(processor)([dataset[0, 0], dataset[0, 1]])
    assert batch["pixel_values_videos"].shape == (2, 3, 3, 32, 32)
    assert batch["pixel_values_videos"].dtype == torch.uint8
    assert batch["video_mask"].tolist() == [[True, False, False], [True, True, True]]
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 16)
    assert batch["video_ids"] == ["short", "v0"]
    assert batch["video_keys"].tolist() == [text_key("short"), text_key("v0")]


def test_text_key_is_the_same_in_every_run() -> None:
    assert text_key("a dog") == 9151722581430185315
    assert text_key("a dog") != text_key("a cat")


def test_texts_and_what_answers_a_caption_come_with_the_batch_of_a_model_that_has_levels_of_texts(
    rows: Rows, processor: VideoColBERTProcessor
) -> None:
    texts = [
        {"passages": {"speech": "A red ball.", "description": None}, "caption_levels": ["speech"] * 4},
        {"spoken": "It goes up.", "written": "Up", "told": "A title", "sources": ["subtitles"] * 4},
        {},
    ]
    dataset = VideoTextDataset([row | text for row, text in zip(rows, texts, strict=False)], processor)
    examples = [dataset[0, position] for position in range(3)]
    config = VideoColBERTConfig(score_levels=["video", "description", "speech"], query_length=16)
    batch = TrainingCollator(processor, config)(examples)
    assert batch["query_levels"].tolist() == [2, 2, -1]
    expected = processor.process_passages(
        [{"speech": "A red ball."}, {"speech": "It goes up.", "description": "A title"}, {}], ["speech", "description"]
    )
    for name, values in expected.items():
        assert torch.equal(batch[name], values)
    assert "passage_input_ids" not in TrainingCollator(processor, VideoColBERTConfig())(examples)
