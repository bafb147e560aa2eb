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
                    assert alone[level].item() == pytest.approx(together[level][row, column].item(), abs=1e-5)


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


@pytest.mark.parametrize("fields", [{"interaction": "mean"}, {"video_representation": "pooled"}])
def test_an_unknown_choice_is_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=next(iter(fields))):
        VideoColBERTConfig(**fields)
