"""transformers' own tests of any processor, over ours."""

import tempfile
import unittest
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.processing_utils import ProcessorMixin
from transformers.utils import is_torchvision_available

from tests.tiny_tokenizers import build_clip_tokenizer
from tests.transformers_common.common_tests import common_test
from video_colbert.processing import VideoColBERTProcessor, VideoColBERTVideoProcessor

ProcessorTesterMixin = common_test("test_processing_common", "ProcessorTesterMixin")


class ProcessorTest(ProcessorTesterMixin, unittest.TestCase):
    processor_class = VideoColBERTProcessor

    @classmethod
    def _setup_tokenizer(cls) -> PreTrainedTokenizerBase:
        with tempfile.TemporaryDirectory() as folder:
            return build_clip_tokenizer(Path(folder))

    @classmethod
    def _setup_video_processor(cls) -> VideoColBERTVideoProcessor:
        return VideoColBERTVideoProcessor(
            num_frames=8, size={"shortest_edge": 20}, crop_size={"height": 18, "width": 18}
        )

    def get_component(self, attribute: str, use_tiny_ckpt: bool = True, **settings: Any) -> Any:
        # AutoVideoProcessor, which the common test would ask, itself asks for torchvision.
        if attribute == "video_processor" and not is_torchvision_available():
            return VideoColBERTVideoProcessor.from_pretrained(self.tmpdirname, **settings)
        return super().get_component(attribute, use_tiny_ckpt, **settings)

    @staticmethod
    def prepare_processor_dict() -> dict[str, Any]:
        return {"query_length": 24}

    @staticmethod
    def does_processor_return_mm_offsets(processor_class: type, method_name: str) -> bool:
        """As the common test has it, for a class that has other bases before the library's."""
        return getattr(processor_class, method_name) is not getattr(ProcessorMixin, method_name)
