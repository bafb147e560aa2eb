import math

import pytest
import torch

from tests.tiny_models import random_batch, tiny_model
from video_colbert.modeling_video_colbert import VideoColBERTConfig
from video_colbert.modeling_video_colbert.temporal_video_colbert import TemporalTransformer, sinusoidal_positions


def test_the_video_level_starts_as_the_frame_level() -> None:
    config = VideoColBERTConfig(projection_dim=16, temporal_num_layers=1, temporal_num_heads=2)
    config._attn_implementation = "sdpa"
    torch.manual_seed(0)
    transformer = TemporalTransformer(config)
    torch.nn.init.zeros_(transformer.frame_output.weight)
    # The model does this; until then they are whatever the memory holds.
    torch.nn.init.normal_(transformer.expansion_tokens)
    frames = torch.randn(2, 5, 16)
    output = transformer.eval()(frames, torch.ones(2, 5, dtype=torch.bool))
    torch.testing.assert_close(output.tokens[:, :5], frames)
    assert output.tokens.shape == (2, 7, 16)
    assert output.token_mask.all()


def test_a_model_from_a_backbone_has_equal_frame_outputs_on_both_levels() -> None:
    model = tiny_model()
    torch.nn.init.zeros_(model.temporal_transformer.frame_output.weight)
    batch = random_batch()
    video = model.get_video_features(batch["pixel_values_videos"], batch["video_mask"])
    torch.testing.assert_close(video.video_embeds[:, :6], video.frame_embeds)
    assert not torch.allclose(video.video_embeds[:, 6], video.video_embeds[:, 7])


@pytest.mark.parametrize("position", ["learned", "sinusoidal"])
def test_frame_order_matters_with_positions(position: str) -> None:
    model = tiny_model(temporal_position_embedding=position)
    pixels = random_batch()["pixel_values_videos"][5 - 1 :]
    forward = model.get_video_features(pixels).video_embeds
    backward = model.get_video_features(pixels.flip(1)).video_embeds
    assert (forward[:, :6].flip(1) - backward[:, :6]).abs().max() > 1e-3


def test_frame_order_does_not_matter_without_positions() -> None:
    model = tiny_model(temporal_position_embedding="none")
    pixels = random_batch()["pixel_values_videos"][4:]
    forward = model.get_video_features(pixels).video_embeds
    backward = model.get_video_features(pixels.flip(1)).video_embeds
    torch.testing.assert_close(forward[:, :6].flip(1), backward[:, :6], rtol=0, atol=1e-5)


def test_sinusoidal_table_holds_sine_and_cosine_of_the_published_frequencies() -> None:
    table = sinusoidal_positions(7, 6)
    for position in range(7):
        for index in range(3):
            angle = position / 10000 ** (2 * index / 6)
            assert table[position, 2 * index].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[position, 2 * index + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)
