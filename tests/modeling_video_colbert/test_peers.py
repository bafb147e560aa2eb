"""Peers of Video-ColBERT as configurations of the one model, against their formulas written out."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.tiny_models import QUERY_LENGTH, random_batch, tiny_backbone, tiny_model
from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel

MEAN = {"query_representation": "pooled", "video_representation": "mean"}
WEIGHTED = {"interaction": "weighted_token_wise"}
PEERS = {
    "mean of frames": {**MEAN, "score_levels": ["frame"]},
    "mean after the temporal transformer": {**MEAN, "score_levels": ["video"], "num_visual_expansion_tokens": 0},
    "query tokens and a mean": {"video_representation": "mean"},
    "sum": {"interaction": "max_sim", "query_expansion": False},
    "weighted, both levels": {**WEIGHTED, "query_expansion": False},
    "weighted, query expansion": {**WEIGHTED, "score_levels": ["frame"]},
    "weighted, video level": {**WEIGHTED, "score_levels": ["video"], "query_expansion": False},
}
PEERS["attention"] = {"interaction": "attention_mean_max_sim"}
PEERS["attention, first layer"] = {
    "interaction": "attention_max_sim",
    "query_expansion": False,
    "attention_layer": 0,
    "attention_heads": "max",
    "attention_rows": "max",
    "attention_length": 10,
}
LEVELS = ("scores", "frame_scores", "video_scores")


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(PEERS[request.param])


def build(peer: dict[str, Any]) -> VideoColBERTModel:
    """Builds a peer whose weights of tokens differ clearly from each other."""
    model = tiny_model(**peer)
    for name, parameter in model.named_parameters():
        if name.startswith("token_weights.") and parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=1.0)
    return model


@torch.no_grad()
def test_mean_of_frames_is_the_cosine_of_the_backbones_text_and_mean_frame(tmp_path: Path) -> None:
    backbone = tiny_backbone("clip")
    backbone.save_pretrained(tmp_path)
    model = VideoColBERTModel.from_backbone(tmp_path, score_levels=["frame"], query_length=QUERY_LENGTH, **MEAN)
    batch = random_batch(num_queries=3, num_videos=4)
    scores = model(**batch).scores
    text = backbone.get_text_features(input_ids=batch["input_ids"]).pooler_output
    for column in range(4):
        frames = batch["pixel_values_videos"][column, batch["video_mask"][column]]
        images = backbone.get_image_features(pixel_values=frames).pooler_output
        mean = torch.stack([image / image.norm() for image in images]).mean(0)
        for row in range(3):
            expected = F.cosine_similarity(text[row], mean, dim=0).item()
            assert scores[row, column].item() == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_mean_after_the_temporal_transformer_is_that_of_the_token_models_video_tokens() -> None:
    peer = PEERS["mean after the temporal transformer"]
    model, tokens = build(peer), build({**peer, "video_representation": "tokens"})
    tokens.load_state_dict(model.state_dict())
    batch = random_batch(num_queries=3, num_videos=4)
    output, bags = model(**batch), tokens(**batch).video
    assert output.video.video_embeds.shape == (4, 1, model.config.projection_dim)
    for column in range(4):
        mean = bags.video_embeds[column, bags.video_mask[column]].mean(0)
        for row in range(3):
            expected = F.cosine_similarity(output.query.query_embeds[row, 0], mean, dim=0).item()
            assert output.scores[row, column].item() == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_weights_are_the_softmax_of_the_network_over_the_tokens_that_count() -> None:
    model = build(PEERS["weighted, both levels"])
    batch = random_batch()
    output = model(**batch)
    network = model.token_weights["query"]
    hidden = model.query_head(model.text_model(input_ids=batch["input_ids"]).last_hidden_state)
    for row, mask in enumerate(batch["attention_mask"].bool()):
        logits = torch.stack([network.fc2(network.fc1(token).relu())[0] for token in hidden[row, mask]])
        expected = logits.exp() / logits.exp().sum()
        torch.testing.assert_close(output.query.query_weights[row, mask], expected, rtol=0, atol=1e-5)
        assert output.query.query_weights[row, ~mask].abs().sum() == 0
        # Far from alike, so that no test below passes without them.
        assert expected.max() > 2 * expected.mean()
    for level in ("frame", "video"):
        torch.testing.assert_close(output.video[f"{level}_weights"].sum(1), torch.ones(5))


@torch.no_grad()
def test_a_peers_score_is_the_same_alone_in_any_batch_and_with_any_padding(peer: dict[str, Any]) -> None:
    model = build(peer)
    batch = random_batch(num_queries=4, num_videos=5)
    batch["pixel_values_videos"] = F.pad(batch["pixel_values_videos"], (0,) * 7 + (3,), value=3.0)
    batch["video_mask"] = F.pad(batch["video_mask"], (0, 3))
    together = model(**batch)
    for row in range(4):
        query = model.get_text_features(batch["input_ids"][row, None], batch["attention_mask"][row, None])
        for column in range(5):
            frames = int(batch["video_mask"][column].sum())
            alone = model.score(query, model.get_video_features(batch["pixel_values_videos"][column, None, :frames]))
            for level in LEVELS:
                if level in together:
                    # Sums over query tokens go up to 16.
                    expected = pytest.approx(together[level][row, column].item(), rel=1e-6, abs=1e-5)
                    assert alone[level].item() == expected


def test_every_parameter_of_a_peer_gets_a_gradient(peer: dict[str, Any]) -> None:
    model = build(peer).train()
    model(**random_batch(), return_loss=True).loss.backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert missing == []


def test_a_saved_peer_loads_with_equal_scores(peer: dict[str, Any], tmp_path: Path) -> None:
    model = build(peer)
    model.save_pretrained(tmp_path)
    loaded = VideoColBERTModel.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded(**random_batch()).scores, model(**random_batch()).scores, rtol=0, atol=0)


def test_a_checkpoint_without_the_peers_fields_scores_by_mean_max_sim(tmp_path: Path) -> None:
    fields = VideoColBERTConfig().to_dict()
    del fields["interaction"], fields["video_representation"]
    config = VideoColBERTConfig(**fields)
    assert (config.interaction, config.video_representation) == ("mean_max_sim", "tokens")
    model = tiny_model()
    assert [name for name in model.state_dict() if name.startswith("token_weights")] == []
    output = model(**random_batch())

    def loop(bags: Tensor, mask: Tensor) -> Tensor:
        queries = output.query.query_embeds
        return torch.stack(
            [(queries @ bag[counts].T).amax(-1).mean(-1) for bag, counts in zip(bags, mask, strict=True)], 1
        )

    video = output.video
    expected = loop(video.frame_embeds, video.frame_mask) + loop(video.video_embeds, video.video_mask)
    torch.testing.assert_close(output.scores, expected, rtol=0, atol=1e-5)


def attention_by_loops(layer: Any, states: Tensor, is_causal: bool) -> Tensor:
    """`[heads, N, N]` of one layer and one input, row after row, head after head."""
    attention, normalised = layer.self_attn, layer.layer_norm1(states)
    queries, keys = attention.q_proj(normalised), attention.k_proj(normalised)
    width = queries.shape[1] // attention.num_heads
    heads = []
    for head in range(attention.num_heads):
        part = slice(head * width, (head + 1) * width)
        rows = torch.zeros(len(states), len(states))
        for row in range(len(states)):
            seen = row + 1 if is_causal else len(states)
            logits = queries[row, part] @ keys[:seen, part].T / width**0.5
            rows[row, :seen] = logits.exp() / logits.exp().sum()
        heads.append(rows)
    return torch.stack(heads)


@torch.no_grad()
@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_tokens_are_weighed_by_the_attention_that_the_towers_own_layer_gives_them(family: str) -> None:
    model = tiny_model(family, interaction="attention_mean_max_sim", query_expansion=False)
    batch = random_batch(num_queries=3, num_videos=3)
    output = model(**batch, output_hidden_states=True)
    for row, mask in enumerate(batch["attention_mask"].bool()):
        states = output.query.hidden_states[2][row]
        attention = attention_by_loops(model.text_model.encoder.layers[2], states, family == "clip")
        expected = attention.mean(0)[mask].mean(0).exp()
        torch.testing.assert_close(output.query.query_weights[row, mask], expected[mask], rtol=0, atol=1e-5)
        assert output.query.query_weights[row, ~mask].abs().sum() == 0
    for row, mask in enumerate(output.video.video_mask):
        states = output.video.temporal_hidden_states[1][row, mask]
        layer = model.temporal_transformer.layers[1]
        expected = attention_by_loops(layer, states, is_causal=False).mean((0, 1)).exp()
        torch.testing.assert_close(output.video.video_weights[row, mask], expected, rtol=0, atol=1e-5)
        frames = output.video.frame_mask[row]
        torch.testing.assert_close(
            output.video.frame_weights[row, frames], expected[: int(frames.sum())], rtol=0, atol=1e-5
        )
    # And they are those that eager attention returns.
    eager = tiny_model(family, attn_implementation="eager")
    recorded = eager(**batch, output_attentions=True)
    row_mask = batch["attention_mask"].bool()
    for row in range(3):
        of_rows = recorded.query.attentions[2][row].mean(0)[row_mask[row]].mean(0)
        found = output.query.query_weights[row, row_mask[row]]
        torch.testing.assert_close(found, of_rows[row_mask[row]].exp(), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_shorter_level_counts_its_attention_by_its_share_of_the_length_but_in_training() -> None:
    fields = {"interaction": "attention_max_sim", "temporal_dropout": 0.0}
    plain, scaled = tiny_model(**fields), tiny_model(**fields, attention_length=8)
    batch = random_batch(num_queries=2, num_videos=6)
    whole, part = (model(**batch).video for model in (plain, scaled))
    counts = whole.video_mask.sum(1, keepdim=True)
    delta = (counts / 8).clamp(max=1.0)
    expected = torch.where(whole.video_mask, whole.video_weights, 1.0) ** delta * whole.video_mask
    torch.testing.assert_close(part.video_weights, expected, rtol=0, atol=1e-5)
    assert delta.min() < 1
    in_training = scaled.train()(**batch).video
    torch.testing.assert_close(in_training.video_weights, whole.video_weights, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"score_levels": ["frame"]}, "needs the level 'video' in score_levels"),
        ({"query_representation": "pooled"}, "needs query_representation='tokens'"),
        ({"attention_layer": 4}, "attention_layer is 4; the shallower of text tower and temporal transformer has 4"),
        ({"attention_length": 0}, "attention_length is 0; it must be at least 1"),
    ],
)
def test_what_weighing_by_attention_needs_is_said(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        VideoColBERTConfig(interaction="attention_max_sim", **fields)


@pytest.mark.parametrize("fields", [{"interaction": "mean"}, {"video_representation": "pooled"}])
def test_an_unknown_choice_is_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=next(iter(fields))):
        VideoColBERTConfig(**fields)
