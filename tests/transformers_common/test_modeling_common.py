"""transformers' own tests of any model, over ours with towers of each family."""

import unittest
from typing import Any

import torch
from transformers import CLIPConfig, MetaClip2Config, SiglipConfig

from tests.tiny_models import IMAGE_SIZE, QUERY_LENGTH, VOCAB_SIZE, random_batch
from tests.transformers_common.common_tests import common_test
from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel

ModelTesterMixin = common_test("test_modeling_common", "ModelTesterMixin")
_SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


class VideoColBERTModelTester:
    """What the common tests ask of a model: a tiny configuration, and inputs.

    Args:
        parent: The test.
        family: Of the towers.
    """

    num_hidden_layers = 2
    hidden_size = _SIZES["hidden_size"]
    num_attention_heads = _SIZES["num_attention_heads"]
    batch_size = 3
    seq_length = QUERY_LENGTH
    num_frames = 4
    is_training = True

    def __init__(self, parent: unittest.TestCase, family: str) -> None:
        self.parent = parent
        self.family = family

    def get_config(self) -> VideoColBERTConfig:
        text = {**_SIZES, "vocab_size": VOCAB_SIZE, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
        vision = {**_SIZES, "image_size": IMAGE_SIZE, "patch_size": 16}
        whole = {"clip": CLIPConfig, "metaclip_2": MetaClip2Config, "siglip": SiglipConfig}[self.family]
        towers = whole(text_config={**text, "max_position_embeddings": 64}, vision_config=vision)
        towers.text_config.projection_size = towers.text_config.projection_dim = 32
        towers.vision_config.projection_dim = 32
        return VideoColBERTConfig(
            text_config=towers.text_config,
            vision_config=towers.vision_config,
            projection_dim=32,
            query_length=QUERY_LENGTH,
            max_frames=8,
            temporal_num_layers=2,
            temporal_num_heads=4,
        )

    def prepare_config_and_inputs_for_common(self) -> tuple[VideoColBERTConfig, dict[str, Any]]:
        batch = random_batch(self.batch_size, self.batch_size, self.num_frames)
        return self.get_config(), batch


class CommonModelTests(ModelTesterMixin):
    """The common tests, over one family of towers."""

    family: str
    all_model_classes = (VideoColBERTModel,)
    _is_composite = True
    # A model as old as its oldest tower would not be asked.
    test_can_init_all_missing_weights_before_2023 = True
    additional_model_inputs = ("pixel_values_videos",)

    def setUp(self) -> None:
        torch.manual_seed(0)
        self.model_tester = VideoColBERTModelTester(self, self.family)

    def _prepare_for_class(
        self, inputs: dict[str, Any], model_class: type, return_labels: bool = False
    ) -> dict[str, Any]:
        prepared: dict[str, Any] = super()._prepare_for_class(inputs, model_class, return_labels)
        return {**prepared, "return_loss": True} if return_labels else prepared


class ClipTowersTest(CommonModelTests, unittest.TestCase):
    family = "clip"


class MetaClip2TowersTest(CommonModelTests, unittest.TestCase):
    family = "metaclip_2"


class SiglipTowersTest(CommonModelTests, unittest.TestCase):
    family = "siglip"
