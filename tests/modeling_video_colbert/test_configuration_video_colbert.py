from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from video_colbert.modeling_video_colbert import VideoColBERTConfig


def test_every_field_survives_saving_and_loading(tmp_path: Path) -> None:
    config = VideoColBERTConfig(
        query_windows="sentences",
        temporal_init="clip",
        logit_bias_calibration=[-1.5, -2.5],
        score_levels=["video"],
        level_weights={"video": 0.5},
    )
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is VideoColBERTConfig
    assert loaded.to_diff_dict() == config.to_diff_dict()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"projection_dim": "16"}, "projection_dim"),
        ({"query_length": 78}, "positions for 1 to 77"),
        ({"query_windows": "words"}, "query_windows"),
        ({"score_levels": ["frame", "shot"]}, "shot"),
        ({"score_levels": []}, "score_levels"),
        ({"temporal_num_heads": 7}, "temporal_num_heads is 7"),
        ({"temporal_num_layers": 0}, "temporal_num_layers is 0"),
        ({"temporal_dropout": 1.0}, "temporal_dropout"),
        ({"loss_type": "triplet"}, "loss_type"),
        ({"level_weights": {"speech": 1.0}}, "level_weights names 'speech'"),
        ({"level_weights": {"frame": -1.0}}, "finite and not negative"),
        ({"level_weights": {"frame": 0.0, "video": 0.0}}, "are all 0"),
        ({"level_weights": {"frame": 0.5}, "level_scoring": "token_max"}, "level_scoring='sum'"),
        ({"level_distillation": "cross_level", "score_levels": ["video"]}, "needs score_levels"),
        ({"level_distillation": "sum_to_frame", "loss_type": "sigmoid"}, "a loss of each level"),
        ({"temporal_num_layer": 3}, "did you mean 'temporal_num_layers'"),
        ({"text_config": {"model_type": "bert"}}, "text_config.model_type is 'bert'"),
        ({"text_config": {"model_type": "siglip_text_model"}}, "of one family"),
        (
            {
                "text_config": {"model_type": "siglip_text_model"},
                "vision_config": {"model_type": "siglip_vision_model"},
            },
            "use projection_dim=768",
        ),
    ],
)
def test_a_value_that_no_model_has_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        VideoColBERTConfig(**fields)
