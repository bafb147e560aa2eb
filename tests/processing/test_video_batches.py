"""Every form in which videos are given makes the same pixels as an array of their frames."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.video_utils import VideoMetadata

from tests.video_files import write_clip
from video_colbert.processing import DecodedVideo, VideoDecodingError, decode_video
from video_colbert.processing.video_processing_video_colbert import VideoColBERTVideoProcessor
from video_colbert.processing.video_sources import encoded_row

FRAMES = np.random.default_rng(0).integers(0, 256, size=(6, 40, 50, 3)).astype(np.uint8)
PICTURES = [Image.fromarray(frame) for frame in FRAMES]
FIRST = [np.ascontiguousarray(frame.transpose(2, 0, 1)) for frame in FRAMES]
TIMES = np.array([0.0, 0.1, 0.2, 0.6, 0.7, 0.9])


def frame_batch(numbers: Any = slice(None)) -> SimpleNamespace:
    """What torchcodec's `FrameBatch` holds."""
    frames = torch.from_numpy(FRAMES).permute(0, 3, 1, 2)[numbers]
    return SimpleNamespace(
        data=frames,
        pts_seconds=torch.from_numpy(TIMES + 2.0)[numbers],
        duration_seconds=torch.full((len(frames),), 0.1, dtype=torch.float64),
    )


class Decoder:
    """A decoder of torchcodec's form, whose stream begins at 2 s."""

    def __init__(self) -> None:
        self.metadata = SimpleNamespace(begin_stream_seconds=2.0, end_stream_seconds=3.0)
        self.decoded: list[int] = []

    def __len__(self) -> int:
        return len(FRAMES)

    def get_frames_at(self, indices: list[int]) -> Any:
        self.decoded += indices
        return frame_batch(indices)


@pytest.fixture(scope="module")
def processor() -> VideoColBERTVideoProcessor:
    return VideoColBERTVideoProcessor(num_frames=6, size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("images")
    for number, picture in enumerate(PICTURES):
        picture.save(folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(len(PICTURES))]


@pytest.mark.parametrize(
    ("videos", "count"),
    [
        (FRAMES, 1),
        (torch.from_numpy(FRAMES).permute(0, 3, 1, 2), 1),
        (np.stack([FRAMES, FRAMES]), 2),
        (torch.from_numpy(FRAMES)[None], 1),
        ([FRAMES, FRAMES], 2),
        ([[FRAMES, FRAMES], [FRAMES]], 3),
        (PICTURES, 1),
        (tuple(PICTURES), 1),
        ([PICTURES, PICTURES], 2),
        ([PICTURES, FRAMES], 2),
        (list(FRAMES), 1),
        ([list(FRAMES)], 1),
        (FIRST, 1),
        ([[torch.from_numpy(frame) for frame in FIRST]], 1),
        ((FRAMES, VideoMetadata(total_num_frames=6, fps=3.0)), 1),
        ([(PICTURES, {"fps": 3.0}), (FRAMES, {"fps": None})], 2),
        (frame_batch(), 1),
        ([frame_batch(), frame_batch()], 2),
        (Decoder(), 1),
        ([Decoder(), FRAMES], 2),
        (DecodedVideo(FRAMES, TIMES, 1.0), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_form_makes_the_pixels_of_its_frames(processor: VideoColBERTVideoProcessor, videos: Any, count: int) -> None:
    expected = processor(FRAMES)["pixel_values_videos"]
    found = processor(videos)["pixel_values_videos"]
    assert torch.equal(found, expected.expand(count, -1, -1, -1, -1))


def test_a_single_frame_is_a_video_of_one(processor: VideoColBERTVideoProcessor) -> None:
    expected = processor(FRAMES[:1])
    for frame in (PICTURES[0], FRAMES[0], torch.from_numpy(FIRST[0])):
        for name, values in processor(frame).items():
            assert torch.equal(values, expected[name])


def test_names_of_images_in_a_nested_list_are_frames_and_videos_elsewhere(
    processor: VideoColBERTVideoProcessor, images: list[str]
) -> None:
    expected = processor(FRAMES)["pixel_values_videos"]
    for videos in ([images], [tuple(images)], [[images]], [[Path(image) for image in images]]):
        assert torch.equal(processor(videos)["pixel_values_videos"], expected)
    each = processor(images)
    assert each["video_mask"].tolist() == [[True] + [False] * 5] * 6
    assert torch.equal(each["pixel_values_videos"][:, 0], expected[0])
    assert processor([images, images[:2]])["video_mask"].sum(1).tolist() == [6, 2]


def test_nested_names_of_videos_are_videos(processor: VideoColBERTVideoProcessor, tmp_path: Path) -> None:
    paths = [str(write_clip(tmp_path / f"{number}.mp4", number, frames=6, size=32)) for number in range(3)]
    flat = processor(paths)["pixel_values_videos"]
    assert torch.equal(processor([paths[:2], paths[2:]])["pixel_values_videos"], flat)
    rows = [{"path": paths[0], "bytes": None}, {"path": None, "bytes": Path(paths[1]).read_bytes()}]
    assert torch.equal(processor([*rows, Path(paths[2])])["pixel_values_videos"], flat)


def test_pictures_are_made_rgb_with_what_is_transparent_on_black(processor: VideoColBERTVideoProcessor) -> None:
    clear = np.dstack([FRAMES[0], np.zeros((40, 50), np.uint8)])
    solid = np.dstack([FRAMES[0], np.full((40, 50), 255, np.uint8)])
    grey = FRAMES[0][..., 0]
    found = [processor(Image.fromarray(pixels))["pixel_values_videos"] for pixels in (clear, solid, grey)]
    right = [np.zeros_like(FRAMES[0]), FRAMES[0], np.dstack([grey] * 3)]
    for values, frame in zip(found, right, strict=True):
        assert torch.equal(values, processor(frame)["pixel_values_videos"])
    with pytest.raises(ValueError, match="picture of mode 'I;16'"):
        processor(Image.fromarray(np.zeros((40, 50), np.uint16)))


@pytest.mark.parametrize(
    ("videos", "error", "message"),
    [
        ([], ValueError, "empty list"),
        ([FRAMES, []], ValueError, "empty list"),
        ([[PICTURES[0], Image.new("RGB", (9, 9))]], VideoDecodingError, "of several sizes"),
        ([3], TypeError, "not as int"),
        ((FRAMES.astype(np.float32), {"fps": 1.0}), ValueError, "is uint8"),
        (("a.mp4", {"fps": 1.0}), ValueError, "a str knows its own times"),
        (frame_batch([3, 1]), ValueError, "not in order"),
    ],
)
def test_what_is_no_video_is_named(
    processor: VideoColBERTVideoProcessor, videos: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        processor(videos)


def test_a_pair_and_metadata_beside_it_tell_the_same_times(processor: VideoColBERTVideoProcessor) -> None:
    metadata = VideoMetadata(total_num_frames=60, fps=10.0, frames_indices=[0, 10, 20, 30, 40, 59])
    window = {"start": 1.0, "end": 3.5, "return_timestamps": True, "return_metadata": True}
    for found in (
        processor([(PICTURES, metadata)], **window),
        processor([FRAMES], video_metadata=metadata, **window),
        processor(PICTURES, video_metadata=[[metadata]], **window),
    ):
        assert found["timestamps"][0].tolist() == [1.0, 2.0, 3.0]
        described = found["video_metadata"][0]
        assert described.frames_indices == [10, 20, 30]
        assert described.timestamps == [1.0, 2.0, 3.0]
        assert (described.total_num_frames, described.fps, described.duration) == (60, 10.0, 6.0)


def test_metadata_of_a_file_are_those_of_its_frames(processor: VideoColBERTVideoProcessor, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 0, frames=20, size=64)
    found = processor([clip, FRAMES], num_frames=4, return_metadata=True, return_timestamps=True)
    whole = decode_video(clip)
    of_file, of_array = found["video_metadata"]
    assert (of_file.total_num_frames, of_file.height, of_file.width) == (20, *whole.frames.shape[1:3])
    assert (of_file.video_backend, of_array.video_backend) == ("pyav", None)
    assert of_file.fps == pytest.approx(20 / whole.duration)
    np.testing.assert_array_equal(whole.timestamps[of_file.frames_indices], found["timestamps"][0])
    assert (of_array.total_num_frames, of_array.height, of_array.width) == (6, 40, 50)
    assert "video_metadata" not in processor(FRAMES)


@pytest.mark.parametrize("settings", [{}, {"start": 0.25, "end": 0.8}, {"fps": 5.0, "num_frames": None}])
def test_a_decoder_gives_the_frames_that_a_decoded_video_gives(
    processor: VideoColBERTVideoProcessor, settings: dict[str, Any]
) -> None:
    decoder = Decoder()
    call: dict[str, Any] = {"num_frames": 3, "return_timestamps": True, **settings}
    expected = processor(DecodedVideo(FRAMES, TIMES, 1.0), **call)
    found = processor(decoder, **call)
    assert torch.equal(found["pixel_values_videos"], expected["pixel_values_videos"])
    np.testing.assert_allclose(found["timestamps"][0], expected["timestamps"][0])
    # Times are looked at only where they decide.
    assert (len(decoder.decoded) == 3) == (not settings)


def failing(indices: list[int]) -> Any:
    raise RuntimeError("Invalid data found")


def test_a_decoder_that_fails_is_a_video_that_cannot_be_decoded(processor: VideoColBERTVideoProcessor) -> None:
    decoder = Decoder()
    decoder.get_frames_at = failing  # type: ignore[method-assign]
    with pytest.raises(VideoDecodingError, match="Invalid data found"):
        processor(decoder)


def test_what_a_data_set_of_videos_gives_by_default_decodes_as_its_file(
    processor: VideoColBERTVideoProcessor, tmp_path: Path
) -> None:
    pytest.importorskip("torchcodec")
    from datasets import Dataset, Video

    clip = str(write_clip(tmp_path / "clip.mp4", 0, frames=20, size=64))
    expected = processor(clip, return_timestamps=True)
    column = Dataset.from_dict({"video": [clip]}).cast_column("video", Video())
    decode: Callable[[Any], Any] = lambda video: processor(video, return_timestamps=True)  # noqa: E731
    decoder = column[0]["video"]
    bare = type(decoder)(clip)
    for found in (decode([decoder]), decode(bare)):
        assert torch.equal(found["pixel_values_videos"], expected["pixel_values_videos"])
        np.testing.assert_allclose(found["timestamps"][0], expected["timestamps"][0])
    numbers = [1, 4, 9]
    assert torch.equal(
        decode(bare.get_frames_at(numbers))["pixel_values_videos"],
        processor(decode_video(clip).frames[numbers])["pixel_values_videos"],
    )


def test_a_decoder_of_a_data_set_tells_its_file_and_one_made_by_hand_none() -> None:
    decoder = Decoder()
    assert encoded_row(decoder) is None
    for row, expected in (
        ({"path": "a.mp4", "bytes": None}, {"path": "a.mp4", "bytes": None}),
        ({"path": None, "bytes": b"x"}, {"path": None, "bytes": b"x"}),
        ({"path": "zip://a.mp4::https://b.example/c.zip", "bytes": None}, None),
        (b"x", None),
    ):
        decoder._hf_encoded = row  # type: ignore[attr-defined]
        assert encoded_row(decoder) == expected
