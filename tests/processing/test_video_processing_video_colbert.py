import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BaseImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from tests.processing.made_videos import write_video
from video_colbert.processing.frame_sampling import sampling_generator
from video_colbert.processing.video_decoding import DecodedVideo, decode_video
from video_colbert.processing.video_processing_video_colbert import VideoColBERTVideoProcessor
from video_colbert.processing.video_sources import VideoDecodingError

BICUBIC, BILINEAR = 3, 2
CLIP = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "resample": BICUBIC}
SIGLIP = {
    "size": {"height": 32, "width": 32},
    "do_center_crop": False,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": BICUBIC,
}


def random_frames(num_frames: int, height: int, width: int) -> np.ndarray:
    """Smooth colours with noise on them: both flat areas and hard edges."""
    generator = np.random.default_rng(height * 1000 + width)
    ramp = np.linspace(0, 200, width)[None, None, :, None] + np.zeros((num_frames, height, 1, 3))
    noise = generator.integers(0, 56, size=(num_frames, height, width, 3))
    frames = (ramp + noise).astype(np.uint8)
    frames[:, height // 3 : height // 2, width // 4 : width // 2] = 255
    return frames


def tiny_processor(**settings: object) -> VideoColBERTVideoProcessor:
    fields: dict[str, Any] = {"num_frames": 4, **CLIP, **settings}
    return VideoColBERTVideoProcessor(**fields)


REFERENCES: dict[str, tuple[BaseImageProcessor, dict[str, Any]]] = {
    "clip": (CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}), CLIP),
    "siglip": (SiglipImageProcessorPil(size={"height": 32, "width": 32}), SIGLIP),
    "siglip 2": (
        SiglipImageProcessorPil(size={"height": 32, "width": 32}, resample=BILINEAR),
        {**SIGLIP, "resample": BILINEAR},
    ),
}


@pytest.mark.parametrize("family", REFERENCES)
@pytest.mark.parametrize(("height", "width"), [(240, 320), (320, 240), (75, 131), (131, 75), (20, 24), (32, 32)])
def test_pixels_equal_the_librarys_own_image_processor(family: str, height: int, width: int) -> None:
    reference, settings = REFERENCES[family]
    frames = random_frames(2, height, width)
    ours = tiny_processor(**settings)
    given = list(frames)
    if "height" in settings["size"] and height > width:
        # Pillow 13 resizes what loses much more height than width vertically first; torchvision and every Pillow
        # before it go horizontally first, as is done here, whatever the Pillow.
        resample = Image.Resampling(settings["resample"])
        given = [np.asarray(Image.fromarray(frame).resize((32, height), resample)) for frame in frames]
    expected = np.stack(
        reference(given, do_rescale=False, do_normalize=False, input_data_format="channels_last")["pixel_values"]
    )
    resized = ours.resize_and_crop(frames).numpy()
    assert resized.dtype == np.uint8
    assert resized.shape == expected.shape == (2, 3, 32, 32)
    assert np.abs(resized.astype(int) - expected.astype(int)).max() <= 1

    normalised = np.stack(reference(given, input_data_format="channels_last")["pixel_values"])
    one_level = 1 / 255 / min(ours.image_std)
    np.testing.assert_allclose(ours.normalize(ours.resize_and_crop(frames)).numpy(), normalised, atol=one_level + 1e-5)


def test_frames_of_several_shapes_stand_on_one_canvas_with_their_sizes() -> None:
    reference = Siglip2ImageProcessorPil(patch_size=8, max_num_patches=20)
    patches = {"patch_size": 8, "max_num_patches": 20}
    half = {"image_mean": 0.5, "image_std": 0.5}
    ours = tiny_processor(size=patches, do_center_crop=False, resample=BILINEAR, num_frames=3, **half)
    videos = [random_frames(2, 90, 160), random_frames(3, 130, 60)]
    found = ours(videos)
    assert ours.model_input_names == ["pixel_values_videos", "video_mask", "frame_sizes"]
    for row, video in enumerate(videos):
        height, width = found["frame_sizes"][row].tolist()
        pixels = found["pixel_values_videos"][row, : len(video)]
        assert not pixels[:, :, height:].any()
        assert not pixels[:, :, :, width:].any()
        of_video = reference(list(video), return_tensors="pt", input_data_format="channels_last")
        rows, columns = of_video["spatial_shapes"][0].tolist()
        assert (rows * 8, columns * 8) == (height, width)
        # Patch by patch: its channels lie behind its pixels there.
        shown = (
            of_video["pixel_values"][:, : rows * columns].view(-1, rows, columns, 8, 8, 3).permute(0, 5, 1, 3, 2, 4)
        )
        difference = (pixels[:, :, :height, :width] - shown.reshape(len(video), 3, height, width)).abs()
        assert float(difference.max()) <= 2 / 255 + 1e-5
    with pytest.raises(ValueError, match="needs do_resize=True and do_center_crop=False"):
        tiny_processor(size=patches)


@pytest.mark.parametrize(("height", "width"), [(101, 177), (177, 101), (97, 98)])
def test_the_long_edge_is_cut_down_to_a_whole_number(height: int, width: int) -> None:
    processor = tiny_processor(do_center_crop=False)
    short, long = min(height, width), int(32 * max(height, width) / min(height, width))
    expected = (32, long) if height == short else (long, 32)
    assert tuple(processor.resize_and_crop(random_frames(1, height, width)).shape[2:]) == expected


def test_a_shorter_video_is_padded_with_zeros_and_masked() -> None:
    videos = [random_frames(2, 40, 50), random_frames(9, 60, 50)]
    batch = tiny_processor()(videos, return_timestamps=True)
    assert batch["pixel_values_videos"].shape == (2, 4, 3, 32, 32)
    assert batch["pixel_values_videos"].dtype == torch.float32
    assert batch["pixel_values_videos"].is_contiguous()
    assert batch["video_mask"].tolist() == [[True, True, False, False], [True] * 4]
    assert not batch["pixel_values_videos"][0, 2:].any()
    assert [times.tolist() for times in batch["timestamps"]] == [[0.0, 1.0], [0.0, 2.0, 4.0, 7.0]]


def test_a_video_gives_the_same_pixels_alone_and_in_a_batch() -> None:
    processor = tiny_processor()
    videos = [random_frames(count, 40, 50) for count in (3, 7, 1)]
    batch = processor(videos)["pixel_values_videos"]
    for row, video in enumerate(videos):
        assert torch.equal(processor(video)["pixel_values_videos"][0], batch[row])


def test_without_a_number_of_frames_the_longest_video_sets_the_length() -> None:
    batch = tiny_processor(num_frames=None)([random_frames(2, 40, 50), random_frames(5, 40, 50)])
    assert batch["video_mask"].sum(dim=1).tolist() == [2, 5]
    assert batch["pixel_values_videos"].shape[1] == 5


def test_arguments_of_a_call_stand_above_the_processors_own() -> None:
    video = random_frames(30, 40, 50)
    processor = tiny_processor(source_fps=10.0)
    batch = processor(video, num_frames=6, sampling="fps", fps=2.0, return_timestamps=True)
    assert batch["timestamps"][0].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert processor(video, source_fps=1.0, return_timestamps=True)["timestamps"][0].tolist() == [
        3.0,
        10.0,
        18.0,
        25.0,
    ]
    own = tiny_processor(source_fps=10.0, sampling="fps", fps=1.0)
    assert own(video, return_timestamps=True)["timestamps"][0].tolist() == [0.0, 1.0, 2.0]
    assert own(video, sampling="uniform")["video_mask"].sum() == 4


def test_each_video_of_a_batch_may_have_its_own_window() -> None:
    video = random_frames(20, 40, 50)
    batch = tiny_processor()([video, video], start=[None, 10.0], end=[4.0, 12.0], return_timestamps=True)
    assert [times.tolist() for times in batch["timestamps"]] == [[0.0, 1.0, 2.0, 3.0], [10.0, 11.0]]
    with pytest.raises(ValueError, match="start lists 1 values for 2 videos"):
        tiny_processor()([video, video], start=[0.0])


def test_segment_random_frames_follow_their_generator_alone() -> None:
    video = random_frames(40, 40, 50)

    def times(*generators: np.random.Generator) -> list[list[float]]:
        batch = tiny_processor()(
            [video] * len(generators), sampling="segment_random", generator=list(generators), return_timestamps=True
        )
        return [row.tolist() for row in batch["timestamps"]]

    first, second = sampling_generator(0, 0, "a"), sampling_generator(0, 0, "b")
    both = times(first, second)
    assert both[0] != both[1]
    assert times(sampling_generator(0, 0, "b")) == [both[1]]
    with pytest.raises(ValueError, match="generator"):
        tiny_processor()(video, sampling="segment_random")


def test_files_and_decoded_videos_give_the_same_pixels(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4")
    processor = tiny_processor()
    expected = processor(path)["pixel_values_videos"]
    decoded = decode_video(path)
    assert isinstance(decoded, DecodedVideo)
    assert torch.equal(processor(decoded)["pixel_values_videos"], expected)
    assert torch.equal(processor([str(path), path.read_bytes()])["pixel_values_videos"][1:], expected)
    np.testing.assert_array_equal(processor(path, return_tensors="np")["pixel_values_videos"], expected.numpy())


def test_a_bad_file_is_an_error_of_the_call_and_names_the_file(tmp_path: Path) -> None:
    good, bad = write_video(tmp_path / "good.mp4"), tmp_path / "bad.mp4"
    bad.touch()
    with pytest.raises(VideoDecodingError) as caught:
        tiny_processor()([good, bad])
    assert caught.value.source == str(bad)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_frames": 0}, "num_frames is 0"),
        ({"sampling": "every"}, "uniform, segment_random, fps"),
        ({"backend": "opencv"}, "pyav, torchcodec"),
        ({"size": {"longest_edge": 3}}, "shortest_edge, or height and width"),
        ({"crop_size": {"height": 3}}, "height and width"),
        ({"resample": 1}, "bilinear"),
        ({"image_std": [1.0, 0.0, 1.0]}, "image_std"),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_processor(**settings)


def test_bad_arguments_of_a_call_are_named() -> None:
    with pytest.raises(ValueError, match="empty list"):
        tiny_processor()([])
    with pytest.raises(ValueError, match="return_tensors is 'tf'"):
        tiny_processor()(random_frames(2, 40, 50), return_tensors="tf")
    with pytest.raises(ValueError, match="30x20 are smaller than the crop, 32x32"):
        tiny_processor(do_resize=False)(random_frames(2, 20, 30))
    with pytest.raises(ValueError, match="several sizes"):
        tiny_processor(do_center_crop=False)([random_frames(2, 40, 50), random_frames(2, 50, 40)])


def test_every_field_is_saved_and_comes_back(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "num_frames": None,
        "sampling": "fps",
        "fps": 2.0,
        "source_fps": 25.0,
        "do_resize": False,
        "size": {"height": 8, "width": 6},
        "resample": BILINEAR,
        "do_center_crop": False,
        "crop_size": {"height": 4, "width": 5},
        "do_rescale": False,
        "rescale_factor": 0.5,
        "do_normalize": False,
        "image_mean": [0.1, 0.2, 0.3],
        "image_std": [0.4, 0.5, 0.6],
        "backend": "torchcodec",
    }
    for processor in (VideoColBERTVideoProcessor(), VideoColBERTVideoProcessor(**settings)):
        assert set(settings) <= set(processor.to_dict())
        processor.save_pretrained(tmp_path)
        loaded = VideoColBERTVideoProcessor.from_pretrained(tmp_path)
        assert loaded.to_dict() == processor.to_dict()
    assert {name: loaded.to_dict()[name] for name in settings} == settings


def test_one_number_is_the_mean_and_the_deviation_of_all_colours() -> None:
    frames = random_frames(2, 40, 50)
    expected = tiny_processor(image_mean=[0.5] * 3, image_std=[0.25] * 3)(frames)["pixel_values_videos"]
    assert torch.equal(tiny_processor(image_mean=0.5, image_std=0.25)(frames)["pixel_values_videos"], expected)
    assert torch.equal(tiny_processor()(frames, image_mean=0.5, image_std=0.25)["pixel_values_videos"], expected)


def test_sampling_may_be_switched_off_as_an_attribute() -> None:
    processor = tiny_processor(fps=1.0)
    assert processor.do_sample_frames
    processor.do_sample_frames = False
    assert processor(random_frames(9, 40, 50))["pixel_values_videos"].shape[1] == 9
    with pytest.raises(ValueError, match="set num_frames"):
        processor.do_sample_frames = True
    processor.num_frames = 3
    processor.do_sample_frames = True
    assert processor(random_frames(9, 40, 50))["pixel_values_videos"].shape[1] == 3


def test_the_auto_class_of_video_processors_finds_it_here_and_in_a_saved_checkpoint(
    checkpoint_folder: Path,
) -> None:
    from transformers.models.auto.video_processing_auto import video_processor_class_from_name

    import video_colbert.processing

    name = "VideoColBERTVideoProcessor"
    assert video_processor_class_from_name(name) is getattr(video_colbert.processing, name)
    saved = json.loads((checkpoint_folder / "processor_config.json").read_text())["video_processor"]
    assert saved["video_processor_type"] == name
    assert saved["auto_map"]["AutoVideoProcessor"] == f"video_processing_video_colbert.{name}"
    assert (checkpoint_folder / "video_processing_video_colbert.py").is_file()


def test_the_auto_class_of_video_processors_loads_it(checkpoint_folder: Path) -> None:
    pytest.importorskip("torchvision")
    from transformers import AutoVideoProcessor

    for trust in (False, True):
        loaded = AutoVideoProcessor.from_pretrained(checkpoint_folder, trust_remote_code=trust)
        assert type(loaded) is VideoColBERTVideoProcessor
