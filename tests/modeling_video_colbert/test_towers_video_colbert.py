from pathlib import Path

import pytest
import torch
from transformers import BertConfig, CLIPModel

from tests.tiny_models import FAMILIES, random_batch, save_backbone, tiny_backbone, tiny_model
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.modeling_video_colbert.towers_video_colbert import TOWER_FAMILIES


@pytest.mark.parametrize("family", ["clip", "metaclip_2"])
@torch.no_grad()
def test_a_query_token_of_clip_is_the_final_norm_and_the_projection_of_that_position(
    family: str,
) -> None:
    backbone, model = tiny_backbone(family), tiny_model(family)
    input_ids = random_batch()["input_ids"]
    hidden = backbone.text_model(input_ids=input_ids).last_hidden_state
    expected = torch.nn.functional.normalize(backbone.text_projection(hidden), dim=-1)
    torch.testing.assert_close(model.get_text_features(input_ids).query_embeds, expected)


@torch.no_grad()
def test_a_siglip_query_token_is_the_final_norm_and_the_head_of_that_position() -> None:
    backbone, model = tiny_backbone("siglip"), tiny_model("siglip")
    input_ids = random_batch()["input_ids"]
    hidden = backbone.text_model(input_ids=input_ids).last_hidden_state
    expected = torch.nn.functional.normalize(backbone.text_model.head(hidden), dim=-1)
    torch.testing.assert_close(model.get_text_features(input_ids).query_embeds, expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_new_heads_are_of_the_asked_width_and_leave_the_pretrained_ones_out(family: str) -> None:
    model = tiny_model(family, query_head="linear", frame_head="linear", projection_dim=20)
    output = model(**random_batch())
    assert output.query.query_embeds.shape[-1] == output.video.frame_embeds.shape[-1] == 20


def test_what_a_backbone_is_not_used_for_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import logging

    logger = logging.getLogger("video_colbert.modeling_video_colbert.backbone_video_colbert")
    logger.propagate = True
    logger.addHandler(caplog.handler)
    logger.setLevel(logging.INFO)
    VideoColBERTModel.from_backbone(save_backbone(tmp_path, "siglip"), temporal_num_heads=4)
    logger.removeHandler(caplog.handler)
    assert "logit_bias, logit_scale" in caplog.text
    assert "temporal_transformer" in caplog.text


def test_clip_initialisation_copies_the_first_text_layers_and_positions(tmp_path: Path) -> None:
    backbone = tiny_backbone("clip")
    backbone.config.projection_dim = backbone.config.text_config.hidden_size
    backbone = CLIPModel(backbone.config)
    backbone.save_pretrained(tmp_path)
    model = VideoColBERTModel.from_backbone(tmp_path, temporal_init="clip", temporal_num_layers=2, max_frames=12)
    for layer in range(2):
        theirs = backbone.text_model.encoder.layers[layer]
        ours = model.temporal_transformer.layers[layer]
        assert torch.equal(ours.self_attn.q_proj.weight, theirs.self_attn.q_proj.weight)
        assert torch.equal(ours.fc2.bias, theirs.mlp.fc2.bias)
    positions = backbone.text_model.embeddings.position_embedding.weight[:12]
    assert torch.equal(model.temporal_transformer.position_embedding.weight, positions)


def test_clip_initialisation_of_another_width_says_what_must_fit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"temporal_init='clip' copies .* projection_dim"):
        VideoColBERTModel.from_backbone(save_backbone(tmp_path), temporal_init="clip", temporal_num_layers=2)


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"'bert' are not supported; supported are CLIP, .*VideoPrism"):
        VideoColBERTModel.from_backbone(tmp_path)


def test_a_checkpoint_that_lacks_weights_is_refused_by_name(tmp_path: Path) -> None:
    backbone = tiny_backbone("clip")
    weights = {name: value for name, value in backbone.state_dict().items() if name != "text_projection.weight"}
    backbone.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(ValueError, match=r"lacks the weights .*text_projection.weight"):
        VideoColBERTModel.from_backbone(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_towers_that_a_checkpoint_lacks_start_as_those_of_the_backbone(family: str) -> None:
    config = tiny_model(family).config
    torch.manual_seed(0)
    backbone = type(tiny_backbone(family))(tiny_backbone(family).config)
    found = VideoColBERTModel.from_pretrained(None, config=config, state_dict={})
    sources = {"text_model": "text_model", "vision_model": TOWER_FAMILIES[family].vision_source}
    for tower, source in sources.items():
        for name, weight in getattr(backbone, source).named_parameters():
            if weight.numel() > 1000 and "head" not in name:
                start = getattr(found, tower).get_parameter(name)
                assert float(start.detach().std()) == pytest.approx(float(weight.detach().std()), rel=0.2), name
