from pathlib import Path

import pytest
import torch

from tests.accelerators import DEVICES, needs_gpu
from tests.tiny_models import FAMILIES, IMAGE_FAMILIES, QUERY_LENGTH, random_batch, tiny_backbone, tiny_model
from video_colbert.modeling_video_colbert import QueryEmbeddings, VideoColBERTModel, VideoEmbeddings
from video_colbert.modeling_video_colbert.losses_video_colbert import level_distillation_loss


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_have_the_documented_shapes_and_unit_length(family: str) -> None:
    model = tiny_model(family)
    output = model(**random_batch(num_queries=3, num_videos=4))
    width = model.config.projection_dim
    assert output.query.query_embeds.shape == (3, QUERY_LENGTH, width)
    assert output.video.frame_embeds.shape == (4, 6, width)
    assert output.video.video_embeds.shape == (4, 8, width)
    for side, name in ((output.query, "query"), (output.video, "frame"), (output.video, "video")):
        norms = side[f"{name}_embeds"][side[f"{name}_mask"]].norm(dim=-1)
        torch.testing.assert_close(norms, torch.ones_like(norms))
    torch.testing.assert_close(output.scores, output.frame_scores + output.video_scores)


@needs_gpu
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_gpu_scores_as_the_processor_does(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Convolutions round to 10 bits of precision otherwise.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    batch = random_batch(num_queries=5, num_videos=7)
    expected = tiny_model(family)(**batch)
    found = tiny_model(family).to("cuda")(**{name: value.to("cuda") for name, value in batch.items()})
    for level in ("scores", "frame_scores", "video_scores"):
        torch.testing.assert_close(found[level].cpu(), expected[level], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("device", DEVICES)
@torch.no_grad()
def test_a_score_is_the_same_alone_in_any_batch_and_with_any_padding(device: str, family: str) -> None:
    model = tiny_model(family).to(device)
    batch = {name: value.to(device) for name, value in random_batch(num_queries=5, num_videos=7).items()}
    together = model(**batch)
    for row in range(5):
        query = model.get_text_features(batch["input_ids"][row : row + 1], batch["attention_mask"][row : row + 1])
        for column in range(7):
            frames = int(batch["video_mask"][column].sum())
            unpadded = batch["pixel_values_videos"][column : column + 1, :frames]
            alone = model.score(query, model.get_video_features(unpadded))
            for level in ("scores", "frame_scores", "video_scores"):
                assert alone[level].item() == pytest.approx(together[level][row, column].item(), abs=1e-5)


@torch.no_grad()
def test_padding_longer_than_the_batch_changes_no_score() -> None:
    model = tiny_model()
    batch = random_batch()
    padded = dict(batch)
    padded["pixel_values_videos"] = torch.nn.functional.pad(batch["pixel_values_videos"], (0,) * 7 + (4,), value=3.0)
    padded["video_mask"] = torch.nn.functional.pad(batch["video_mask"], (0, 4))
    torch.testing.assert_close(model(**padded).scores, model(**batch).scores, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_query_in_windows_scores_as_its_windows_tokens_joined() -> None:
    model = tiny_model(query_windows="sentences")
    batch = random_batch(num_queries=3)
    windows = batch["input_ids"][None, :2]
    mask = batch["attention_mask"][None, :2]
    absent = torch.zeros_like(mask[:, :1])
    query = model.get_text_features(torch.cat([windows, absent.long()], dim=1), torch.cat([mask, absent], dim=1))
    assert query.query_embeds.shape[1] == 3 * QUERY_LENGTH
    video = model.get_video_features(batch["pixel_values_videos"], batch["video_mask"])
    single = model.get_text_features(batch["input_ids"][:2])
    expected = model.score(single, video).scores.mean(0, keepdim=True)
    torch.testing.assert_close(model.score(query, video).scores, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_without_query_expansion_pad_positions_do_not_count() -> None:
    model = tiny_model(query_expansion=False)
    batch = random_batch()
    query = model.get_text_features(batch["input_ids"], batch["attention_mask"])
    assert torch.equal(query.query_mask, batch["attention_mask"].bool())
    with pytest.raises(ValueError, match="attention_mask is needed"):
        model.get_text_features(batch["input_ids"])


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
@torch.no_grad()
def test_zero_shot_score_is_the_backbones_best_cosine_over_frames(family: str, tmp_path: Path) -> None:
    backbone = tiny_backbone(family)
    backbone.save_pretrained(tmp_path)
    model = VideoColBERTModel.from_backbone(tmp_path, zero_shot=True)
    length = backbone.config.text_config.max_position_embeddings
    assert model.config.query_length == length
    batch = random_batch(num_queries=3, num_videos=4)
    input_ids = torch.nn.functional.pad(batch["input_ids"], (0, length - QUERY_LENGTH), value=1)
    scores = model.score(
        model.get_text_features(input_ids),
        model.get_video_features(batch["pixel_values_videos"], batch["video_mask"]),
    )
    text = backbone.get_text_features(input_ids=input_ids).pooler_output
    for column in range(4):
        frames = batch["pixel_values_videos"][column, batch["video_mask"][column]]
        images = backbone.get_image_features(pixel_values=frames).pooler_output
        cosines = torch.nn.functional.cosine_similarity(text[:, None], images[None], dim=-1)
        torch.testing.assert_close(scores.scores[:, column], cosines.amax(1), rtol=0, atol=1e-5)
    assert scores.video_scores is None


@pytest.mark.parametrize("family", FAMILIES)
def test_saving_and_loading_keeps_scores_and_every_buffer(family: str, tmp_path: Path) -> None:
    model = tiny_model(family, temporal_position_embedding="sinusoidal")
    model.save_pretrained(tmp_path)
    for _ in range(2):
        loaded = VideoColBERTModel.from_pretrained(tmp_path)
        buffers = dict(loaded.named_buffers())
        assert buffers.keys() == dict(model.named_buffers()).keys()
        for name, buffer in model.named_buffers():
            assert torch.equal(buffers[name], buffer), name
        torch.testing.assert_close(loaded(**random_batch()).scores, model(**random_batch()).scores, rtol=0, atol=0)


@pytest.mark.parametrize("loss_type", ["dual_sigmoid", "sigmoid", "info_nce"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_gets_a_gradient(family: str, loss_type: str) -> None:
    model = tiny_model(family, loss_type=loss_type).train()
    batch = random_batch(num_queries=6, num_videos=6)
    model(**batch, return_loss=True).loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_gradient_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for is_checkpointing in (False, True):
        model = tiny_model(temporal_dropout=0.0).train()
        if is_checkpointing:
            model.gradient_checkpointing_enable()
        model(**random_batch(), return_loss=True).loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(checkpointed, plain)


@pytest.mark.parametrize("family", ["clip", pytest.param("metaclip_2", marks=pytest.mark.slow), "siglip"])
def test_compiles_without_graph_breaks_loss_and_backward_included(family: str) -> None:
    model = tiny_model(family, temporal_dropout=0.0)
    batch = random_batch()
    expected = model(**batch, return_loss=True)
    # `aot_eager` traces forward and backward as every backend does, and skips the slow generation of code.
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    output = compiled(**batch, return_loss=True)
    torch.testing.assert_close(output.loss, expected.loss, rtol=1e-5, atol=1e-5)
    output.loss.backward()
    assert model.logit_scale.grad is not None


@pytest.mark.slow
def test_compiles_to_machine_code_with_equal_loss() -> None:
    model = tiny_model(temporal_dropout=0.0)
    batch = random_batch()
    expected = model(**batch, return_loss=True).loss
    loss = torch.compile(model, fullgraph=True)(**batch, return_loss=True).loss
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    loss.backward()


@torch.no_grad()
def test_bfloat16_and_eager_attention_score_alike(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    batch = random_batch()
    expected = VideoColBERTModel.from_pretrained(tmp_path, attn_implementation="sdpa")(**batch).scores
    eager = VideoColBERTModel.from_pretrained(tmp_path, attn_implementation="eager")(**batch).scores
    torch.testing.assert_close(eager, expected, rtol=0, atol=1e-5)
    low = VideoColBERTModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    batch["pixel_values_videos"] = batch["pixel_values_videos"].bfloat16()
    torch.testing.assert_close(low(**batch).scores, expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("is_shared", [False, True])
def test_calibration_sets_and_records_the_bias(is_shared: bool) -> None:
    model = tiny_model(share_logit_parameters=is_shared)
    output = model(**random_batch())
    scores = model.score(output.query, output.video)
    before = model.loss(scores)[0]
    model.calibrate_logit_bias(scores)
    assert model.loss(scores)[0] < before
    assert model.config.logit_bias_calibration == model.logit_bias.tolist()
    assert len(model.logit_bias) == (1 if is_shared else 2)


def test_level_weights_scale_the_levels_losses() -> None:
    model = tiny_model(frame_loss_weight=0.25, video_loss_weight=2.0)
    output = model(**random_batch(), return_loss=True)
    expected = 0.25 * output.level_losses["frame"] + 2.0 * output.level_losses["video"]
    torch.testing.assert_close(output.loss, expected)


@pytest.mark.parametrize(("levels", "has_video"), [(["frame"], False), (["video"], True)])
def test_a_model_sums_only_the_levels_it_names(levels: list[str], has_video: bool) -> None:
    model = tiny_model(score_levels=levels)
    output = model(**random_batch(), return_loss=True)
    assert (output.video_scores is not None) == has_video
    torch.testing.assert_close(output.scores, output[f"{levels[0]}_scores"])
    assert list(output.level_losses) == levels


def test_wrong_inputs_are_named() -> None:
    model = tiny_model()
    batch = random_batch()
    with pytest.raises(ValueError, match=r"input_ids must be \[B, L\]"):
        model.get_text_features(torch.ones(3, dtype=torch.long))
    with pytest.raises(ValueError, match="pixel_values_videos must be"):
        model.get_video_features(batch["pixel_values_videos"][0])
    with pytest.raises(ValueError, match="video_mask is"):
        model.get_video_features(batch["pixel_values_videos"], batch["video_mask"][:, :3])
    with pytest.raises(ValueError, match="positions for 16"):
        model.get_video_features(torch.zeros(1, 17, 3, 32, 32))
    scores = model.score(
        QueryEmbeddings(query_embeds=torch.rand(2, 3, 24)),
        VideoEmbeddings(frame_embeds=torch.rand(3, 4, 24), video_embeds=torch.rand(3, 4, 24)),
    )
    with pytest.raises(ValueError, match="positive_mask is needed for 2 queries and 3 videos"):
        model.loss(scores)


def test_levels_count_what_their_weights_say() -> None:
    weighted = tiny_model(level_weights={"frame": 0.25, "video": 1.75})(**random_batch())
    plain = tiny_model()(**random_batch())
    torch.testing.assert_close(weighted.frame_scores, plain.frame_scores)
    torch.testing.assert_close(weighted.scores, 0.25 * plain.frame_scores + 1.75 * plain.video_scores)
    alone = tiny_model(level_weights={"frame": 0.0})(**random_batch())
    torch.testing.assert_close(alone.scores, plain.video_scores)


def test_what_levels_learn_from_each_other_is_added_to_the_loss_with_its_weight() -> None:
    model = tiny_model(level_distillation="cross_level", level_distillation_weight=0.5, share_logit_parameters=True)
    output = model(**random_batch(), return_loss=True)
    temperature = model.logit_scale[0].exp()
    logits = {level: temperature * output[f"{level}_scores"] for level in ("frame", "video")}
    expected = level_distillation_loss(logits, "cross_level")
    torch.testing.assert_close(output.level_losses["distillation"], expected)
    levels = output.level_losses["frame"] + output.level_losses["video"]
    torch.testing.assert_close(output.loss, levels + 0.5 * expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pooled_query_in_windows_has_the_pooled_vector_of_each(family: str) -> None:
    model = tiny_model(family, query_representation="pooled", query_windows="sentences")
    batch = random_batch(num_queries=4)
    windows = batch["input_ids"].view(2, 2, QUERY_LENGTH)
    mask = batch["attention_mask"].view(2, 2, QUERY_LENGTH).clone()
    mask[1, 1] = 0
    found = model.get_text_features(windows, mask)
    alone = model.get_text_features(batch["input_ids"], batch["attention_mask"])
    torch.testing.assert_close(found.query_embeds.flatten(0, 1)[:3], alone.query_embeds[:3, 0])
    assert found.query_mask.tolist() == [[True, True], [True, False]]
