"""transformers' own tests of any video processor, over ours."""

import unittest
from typing import Any

from transformers.utils import is_torchvision_available

from tests.transformers_common.common_tests import common_test
from video_colbert.processing import VideoColBERTVideoProcessor

VideoProcessingTestMixin = common_test("test_video_processing_common", "VideoProcessingTestMixin")
prepare_video_inputs = common_test("test_video_processing_common", "prepare_video_inputs")


class VideoProcessorTester:
    """What the common tests ask of a video processor: settings, and videos."""

    batch_size = 5
    num_channels = 3
    num_frames = 8
    settings: dict[str, Any] = {  # noqa: RUF012 # the common tests read it of an instance
        "num_frames": 8,
        "do_resize": True,
        "size": {"shortest_edge": 20},
        "do_center_crop": True,
        "crop_size": {"height": 18, "width": 18},
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }

    def expected_output_video_shape(self, videos: list[Any]) -> list[int]:
        return [self.num_frames, self.num_channels, 18, 18]

    def prepare_video_inputs(self, equal_resolution: bool = False, return_tensors: str = "pil") -> list[Any]:
        videos: list[Any] = prepare_video_inputs(
            batch_size=self.batch_size,
            num_frames=self.num_frames,
            num_channels=self.num_channels,
            min_resolution=30,
            max_resolution=80,
            equal_resolution=equal_resolution,
            return_tensors=return_tensors,
        )
        return videos


class VideoProcessorTest(VideoProcessingTestMixin, unittest.TestCase):
    fast_video_processing_class = VideoColBERTVideoProcessor
    test_cast_dtype = True

    def setUp(self) -> None:
        super().setUp()
        self.video_processor_tester = VideoProcessorTester()

    @unittest.skipUnless(is_torchvision_available(), "AutoVideoProcessor needs torchvision")
    def test_video_processor_save_load_with_autovideoprocessor(self) -> None:
        super().test_video_processor_save_load_with_autovideoprocessor()

    @property
    def video_processor_dict(self) -> dict[str, Any]:
        return self.video_processor_tester.settings
