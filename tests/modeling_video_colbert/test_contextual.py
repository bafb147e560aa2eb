"""One contextual encoder over frames and texts (CLaMR, arXiv 2506.06144), against its formulas one video at a time."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.modeling_video_colbert.contextual_models import (
    PASSAGE_LEVELS,
    SCORE_LEVELS,
    contextual_batch,
    contextual_model,
    random_passages,
)
from tests.tiny_models import random_batch, tiny_model
from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel, VideoEmbeddings


def tokens_by_hand(model: VideoColBERTModel, batch: dict[str, Any], video: int) -> dict[str, Tensor]:
    """The tokens of one video: its own frames and windows alone, layer after layer, without any padding."""
    frames = batch["pixel_values_videos"][video, batch["video_mask"][video]]
    transformer = model.temporal_transformer
    frames = model.frame_head(model.vision_model(pixel_values=frames).pooler_output)
    texts, levels = [], []
    for level in range(len(PASSAGE_LEVELS)):
        ids, mask = (batch[f"passage_{name}"][video, level] for name in ("input_ids", "attention_mask"))
        windows = [
            model.query_head(model.text_model(input_ids=ids[window, None]).last_hidden_state)[0, mask[window].bool()]
            for window in range(len(ids))
            if mask[window].any()
        ]
        texts += windows
        levels += [level] * sum(map(len, windows))
    kinds = transformer.modality_embedding.weight
    passages = torch.cat([torch.zeros(0, frames.shape[1]), *texts])
    inputs = frames + transformer.position_embedding.weight[: len(frames)] + kinds[0]
    hidden = torch.cat([inputs, transformer.expansion_tokens, passages + kinds[1:][levels]])[None]
    for layer in transformer.layers:
        hidden = layer(hidden)[0]
    hidden = transformer.final_layer_norm(hidden)[0]
    of_frames, expansion, of_texts = hidden.split([len(frames), 2, len(passages)])
    video_tokens = torch.cat([frames + transformer.frame_output(of_frames), transformer.expansion_output(expansion)])
    outputs = passages + transformer.passage_output(of_texts)
    bags = {"frame": frames, "video": video_tokens}
    numbers = torch.tensor(levels)
    bags |= {name: outputs[numbers == number] for number, name in enumerate(PASSAGE_LEVELS)}
    return {level: F.normalize(bag, dim=-1) for level, bag in bags.items()}


def bags_of(video: VideoEmbeddings, row: int) -> dict[str, Tensor]:
    levels = ("frame", *SCORE_LEVELS)
    return {level: video[f"{level}_embeds"][row, video[f"{level}_mask"][row]] for level in levels}


def mean_max_sim_by_loop(query: Tensor, bags: list[Tensor]) -> float:
    tokens = torch.cat(bags)
    if not len(tokens):
        return -math.inf
    return sum(max(float(token @ other) for other in tokens) for token in query) / len(query)


@torch.no_grad()
def test_every_output_has_seen_all_frames_and_texts_of_its_video_and_nothing_else() -> None:
    model, batch = contextual_model(), contextual_batch()
    output = model(**batch)
    for row in range(5):
        expected, found = tokens_by_hand(model, batch, row), bags_of(output.video, row)
        for level, bag in expected.items():
            torch.testing.assert_close(found[level], bag, rtol=0, atol=1e-5)
    # Another word of what is said moves the tokens of frames, and those of the description.
    batch["passage_input_ids"][4, 0, 0, 0] = 5
    moved = model(**batch).video
    for level in ("video", "description"):
        before, after = bags_of(output.video, 4)[level], bags_of(moved, 4)[level]
        assert (before - after).norm(dim=1).min() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("level_scoring", ["sum", "token_max", "modality_max"])
def test_levels_make_one_score_as_it_is_said_and_a_missing_text_has_no_part(level_scoring: str) -> None:
    model, batch = contextual_model(level_scoring=level_scoring), contextual_batch()
    output = model(**batch)
    for i in range(4):
        query = output.query.query_embeds[i]
        for j in range(5):
            bags = bags_of(output.video, j)
            levels = {level: mean_max_sim_by_loop(query, [bags[level]]) for level in SCORE_LEVELS}
            for level, score in levels.items():
                assert output[f"{level}_scores"][i, j].item() == pytest.approx(score, abs=1e-5)
            there = [score for score in levels.values() if score > -math.inf]
            expected = {
                "sum": sum(there),
                "modality_max": max(there),
                "token_max": mean_max_sim_by_loop(query, [bags[level] for level in SCORE_LEVELS]),
            }[level_scoring]
            assert output.scores[i, j].item() == pytest.approx(expected, abs=1e-5)
    assert output.speech_scores[:, 0].tolist() == [-math.inf] * 4


@torch.no_grad()
@pytest.mark.parametrize("interaction", ["mean_max_sim", "weighted_token_wise", "attention_mean_max_sim"])
def test_a_score_is_the_same_alone_in_any_batch_and_with_any_padding(interaction: str) -> None:
    model, batch = contextual_model(interaction=interaction), contextual_batch()
    together = model(**batch)
    padded = {name: F.pad(batch[name], (0, 3, 0, 2)) for name in ("passage_input_ids", "passage_attention_mask")}
    wider = model(**batch | padded)
    torch.testing.assert_close(wider.scores, together.scores, rtol=0, atol=1e-5)
    for row in range(5):
        frames = int(batch["video_mask"][row].sum())
        passages = {name: batch[name][row, None] for name in padded}
        alone = model.get_video_features(batch["pixel_values_videos"][row, None, :frames], **passages)
        torch.testing.assert_close(
            model.score(together.query, alone).scores, together.scores[:, row, None], rtol=0, atol=1e-5
        )


@torch.no_grad()
def test_videos_without_any_text_score_alike_with_and_without_its_inputs() -> None:
    model, batch = contextual_model(), random_batch(num_videos=2)
    nothing = random_passages(2) | {"passage_attention_mask": torch.zeros(2, 3, 2, 5, dtype=torch.long)}
    without, masked = model(**batch, positive_mask=None), model(**batch | nothing)
    torch.testing.assert_close(without.scores, masked.scores, rtol=0, atol=1e-6)
    assert without.description_scores.isneginf().all()


@torch.no_grad()
def test_an_untrained_model_begins_with_the_text_towers_own_tokens() -> None:
    fresh = VideoColBERTModel(VideoColBERTConfig(**contextual_model().config.to_dict())).eval()
    batch = contextual_batch()
    video = fresh.get_video_features(batch["pixel_values_videos"], batch["video_mask"], **random_passages(5))
    ids, mask = (random_passages(5)[f"passage_{name}"][4, 2, 0] for name in ("input_ids", "attention_mask"))
    own = fresh.query_head(fresh.text_model(input_ids=ids[None]).last_hidden_state)[0, mask.bool()]
    found = video.description_embeds[4, : len(own)]
    torch.testing.assert_close(found, F.normalize(own, dim=-1), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"loss_type": "modality_info_nce", "level_scoring": "token_max", "logit_scale_init": 3.912},
        {"loss_type": "sigmoid", "level_scoring": "modality_max"},
        {"loss_type": "info_nce", "interaction": "weighted_token_wise"},
        {"interaction": "attention_mean_max_sim"},
    ],
    ids=str,
)
@pytest.mark.parametrize("has_texts", [True, False])
def test_every_parameter_gets_a_finite_gradient_whatever_is_missing(fields: dict[str, Any], has_texts: bool) -> None:
    model = contextual_model(**fields).train()
    batch = contextual_batch(num_queries=5) if has_texts else random_batch()
    model(**batch, return_loss=True).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # The best of levels may leave a level out of a batch.
        if has_texts and not fields and not name.endswith("k_proj.bias"):
            assert parameter.grad.abs().sum() > 0, name


def test_a_saved_model_loads_with_equal_scores(tmp_path: Path) -> None:
    model, batch = contextual_model(level_scoring="token_max"), contextual_batch()
    model.save_pretrained(tmp_path)
    loaded = VideoColBERTModel.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded(**batch).scores, model(**batch).scores, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"score_levels": ["frame", "speech"]}, r"\['speech'\] need 'video'"),
        ({"score_levels": ["video", "smell"]}, "score_levels names .'smell'.; the levels are"),
        ({"score_levels": SCORE_LEVELS, "video_representation": "mean"}, "video_representation must be 'tokens'"),
        ({"score_levels": SCORE_LEVELS, "passage_length": 8}, "passage_length is 8; a text is cut in windows"),
        (
            {"level_scoring": "token_max", "interaction": "max_sim"},
            "level_scoring='token_max' .* needs 'mean_max_sim'",
        ),
    ],
)
def test_what_does_not_fit_is_said(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        VideoColBERTConfig(**fields)


def test_inputs_that_do_not_fit_are_said() -> None:
    batch = contextual_batch()
    with pytest.raises(ValueError, match="the model's score_levels name no level of texts"):
        tiny_model()(**batch)
    model = contextual_model(score_levels=["video", "speech"])
    with pytest.raises(ValueError, match=r"both must be \[5, 1, W, L\], for 5 videos and the levels \['speech'\]"):
        model(**batch)
    del batch["passage_attention_mask"]
    with pytest.raises(ValueError, match="passage_attention_mask is needed"):
        contextual_model()(**batch)
