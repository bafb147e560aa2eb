from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from video_colbert.processing.call_arguments import VideoColBERTVideoProcessorKwargs
from video_colbert.processing.video_processing_video_colbert import VideoColBERTVideoProcessor
from video_colbert.processing.video_settings import DecodingSettings

FRAMES = np.random.default_rng(0).integers(0, 256, size=(30, 40, 50, 3)).astype(np.uint8)
TINY = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
OTHERS: dict[str, Any] = {
    "num_frames": 5,
    "sampling": "segment_random",
    "fps": 0.5,
    "source_fps": 3.0,
    "do_sample_frames": False,
    "do_resize": False,
    "size": 38,
    "resample": 0,
    "do_center_crop": False,
    "crop_size": 30,
    "do_rescale": False,
    "rescale_factor": 0.1,
    "do_normalize": False,
    "image_mean": [0.1, 0.2, 0.3],
    "image_std": [0.4, 0.5, 0.6],
    "backend": "torchcodec",
    "tone_map": True,
    "max_pixels": 1000,
}
# These have no effect on arrays of frames, with any rate of their own.
ONLY_FOR_FILES = ("backend", "source_fps", "tone_map", "max_pixels")


def tiny_processor(**settings: Any) -> VideoColBERTVideoProcessor:
    return VideoColBERTVideoProcessor(**{"num_frames": 4, **TINY, **settings})


def test_every_declared_setting_is_tried_here() -> None:
    assert set(OTHERS) == set(VideoColBERTVideoProcessorKwargs.__annotations__)


@pytest.mark.parametrize("name", OTHERS)
def test_a_setting_given_at_a_call_at_loading_and_at_construction_means_the_same(name: str, tmp_path: Path) -> None:
    own = tiny_processor()
    at_construction: dict[str, Any] = {name: OTHERS[name]}
    if name == "do_sample_frames":
        at_construction = {"num_frames": None}
    expected = tiny_processor(**at_construction)
    own.save_pretrained(tmp_path)
    loaded = VideoColBERTVideoProcessor.from_pretrained(tmp_path, **{name: OTHERS[name]})
    assert loaded.to_dict() == own.with_settings(**{name: OTHERS[name]}).to_dict() == expected.to_dict()

    def pixels(processor: VideoColBERTVideoProcessor, **call: Any) -> torch.Tensor:
        draw = np.random.default_rng(0)
        values: torch.Tensor = processor(FRAMES, generator=draw, return_timestamps=True, **call)["pixel_values_videos"]
        return values

    there = pixels(expected)
    assert torch.equal(pixels(own, **{name: OTHERS[name]}), there)
    if name not in ONLY_FOR_FILES:
        before = pixels(own)
        assert before.shape != there.shape or not torch.equal(before, there)
    assert own.to_dict() == tiny_processor().to_dict()


def test_fps_alone_takes_so_many_frames_a_second() -> None:
    times = tiny_processor(source_fps=10.0)(FRAMES, fps=2, num_frames=None, return_timestamps=True)["timestamps"][0]
    assert times.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]


def test_another_sampling_leaves_the_processors_fps_aside() -> None:
    own = tiny_processor(fps=2.0)
    assert (own.sampling, own.fps) == ("fps", 2.0)
    assert own.with_settings(sampling="uniform").decoding == tiny_processor().decoding
    with pytest.raises(ValueError, match="fps belongs to sampling='fps'"):
        tiny_processor(sampling="uniform", fps=2.0)


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("num_frame", 3, "did you mean 'num_frames'"),
        ("do_normalise", False, "did you mean 'do_normalize'"),
        ("data_format", "channels_last", "pixels are always"),
        ("do_convert_rgb", False, "frames are always RGB"),
        ("temperature", 1.0, "it takes backend, crop_size"),
    ],
)
def test_an_unknown_setting_is_named_wherever_it_is_given(
    name: str, value: object, right: str, tmp_path: Path
) -> None:
    own = tiny_processor()
    own.save_pretrained(tmp_path)
    for attempt in (
        lambda: own(FRAMES, **{name: value}),
        lambda: tiny_processor(**{name: value}),
        lambda: VideoColBERTVideoProcessor.from_pretrained(tmp_path, **{name: value}),
        lambda: own.with_settings(**{name: value}),
    ):
        with pytest.raises(TypeError, match=f"takes no '{name}'.*{right}"):
            attempt()


def test_settings_that_contradict_each_other_are_named() -> None:
    with pytest.raises(
        ValueError, match="do_sample_frames=False takes all frames, so fps, num_frames cannot be given"
    ):
        tiny_processor()(FRAMES, do_sample_frames=False, num_frames=3, fps=1)


def test_metadata_tell_the_times_of_frames() -> None:
    own = tiny_processor()
    metadata = {"fps": 10.0, "total_num_frames": 30}
    times = own(FRAMES, video_metadata=metadata, start=1.0, end=1.4, return_timestamps=True)["timestamps"][0]
    np.testing.assert_allclose(times, [1.0, 1.1, 1.2, 1.3])
    few = {"fps": 10.0, "frames_indices": [0, 20, 40], "duration": 5.0}
    times = own([FRAMES[:3]], video_metadata=[few], return_timestamps=True)["timestamps"][0]
    assert times.tolist() == [0.0, 2.0, 4.0]
    for wrong, message in (
        ({"fps": 0.0}, "fps 0.0; it must be a positive number"),
        ({"fps": 1.0, "frames_indices": [0, 2, 1, *range(3, 30)]}, "not in order"),
        ([metadata] * 2, "lists 2 values for 1 videos"),
        ("ten", "video_metadata holds str"),
        ({"fps": 1.0, "frames_indices": [1]}, "1 frames_indices for 30 frames"),
    ):
        with pytest.raises(ValueError, match=message):
            own(FRAMES, video_metadata=wrong)
    with pytest.raises(ValueError, match="knows its own times"):
        own("a.mp4", video_metadata=metadata)


def test_without_tensors_lists_are_returned() -> None:
    batch = tiny_processor()([FRAMES[:2], FRAMES], return_tensors=None)
    assert [tuple(pixels.shape) for pixels in batch["pixel_values_videos"]] == [(4, 3, 32, 32)] * 2
    assert batch["video_mask"] == [[True, True, False, False], [True] * 4]


def test_settings_saved_before_some_of_them_existed_load_with_the_same_pixels() -> None:
    saved = tiny_processor().to_dict()
    # As it could be saved when no override was checked: neither had an effect.
    earlier = {**saved, "fps": 2.0, "do_sample_frames": False, "do_convert_rgb": True}
    assert VideoColBERTVideoProcessor.from_dict(earlier).to_dict() == saved


# Frame t of a made video is the grey level t.
GREY_LEVELS = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 8, 10, 3))


def decoded_levels(settings: DecodingSettings, **window: float) -> list[int]:
    return [int(level) for level in settings.decode(GREY_LEVELS, **window).frames[:, 0, 0, 0]]


def test_settings_decide_the_frames() -> None:
    assert decoded_levels(DecodingSettings(num_frames=4)) == [4, 14, 24, 34]
    assert decoded_levels(DecodingSettings(sampling="fps", fps=1.0, source_fps=10.0)) == [0, 10, 20, 30]
    assert decoded_levels(DecodingSettings(num_frames=None, source_fps=10.0), start=1.0, end=1.3) == [10, 11, 12]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_frames": 0}, "num_frames is 0; it must be a whole number from 1"),
        ({"sampling": "every"}, "sampling is 'every'; it must be one of uniform"),
        ({"backend": "opencv"}, "backend is 'opencv'; it must be one of pyav"),
        ({"fps": 2.0}, "fps is 2.0, but sampling is 'uniform'"),
    ],
)
def test_a_setting_out_of_range_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DecodingSettings(**settings)
