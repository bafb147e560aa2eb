"""A budget of tokens: attention-guided clustering, in the model, in training and on what is encoded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch.nn.functional import normalize

from tests.tiny_models import random_batch, tiny_model
from video_colbert import VideoColBERTEncoder
from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel
from video_colbert.modeling_video_colbert.received_attention import cluster_tokens


def clustered_one_by_one(tokens: np.ndarray, attention: np.ndarray, budget: int) -> tuple[list[int], np.ndarray]:
    """The definition, token by token, for one video without padding."""
    unit = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    centres = sorted(np.argsort(-attention)[:budget].tolist())
    sums = np.zeros((len(centres), tokens.shape[1]))
    for place, token in enumerate(unit):
        own = (
            centres.index(place) if place in centres else int(np.argmax([token @ unit[centre] for centre in centres]))
        )
        sums[own] += attention[place] * token
    return centres, sums / np.linalg.norm(sums, axis=1, keepdims=True)


@pytest.mark.parametrize("budget", [1, 3, 5])
def test_clusters_are_those_of_the_definition_whatever_pads_the_batch(budget: int) -> None:
    generator = torch.Generator().manual_seed(budget)
    lengths = (9, 5, 2)
    tokens = torch.randn(3, 9, 6, generator=generator)
    attention = torch.rand(3, 9, generator=generator)
    mask = torch.arange(9) < torch.tensor(lengths)[:, None]
    found = cluster_tokens(tokens, mask, attention, budget)
    for row, length in enumerate(lengths):
        expected = clustered_one_by_one(tokens[row, :length].numpy(), attention[row, :length].numpy(), budget)
        kept = found.mask[row]
        assert int(kept.sum()) == min(budget, length)
        assert found.centres[row, kept].tolist() == expected[0]
        unit = normalize(found.tokens[row, kept], dim=-1).numpy()
        np.testing.assert_allclose(unit, expected[1], atol=1e-5)


def test_equal_tokens_stay_and_unattended_ones_still_have_a_mean() -> None:
    tokens = torch.ones(1, 4, 3)
    found = cluster_tokens(tokens, torch.ones(1, 4, dtype=torch.bool), torch.zeros(1, 4), 2)
    torch.testing.assert_close(normalize(found.tokens, dim=-1), torch.full((1, 2, 3), 3**-0.5))


@torch.no_grad()
def test_a_budget_that_is_no_less_than_the_tokens_changes_no_score() -> None:
    batch = random_batch()
    expected = tiny_model()(**batch)
    found = tiny_model(token_budget=8)(**batch)
    torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=1e-5)
    assert found.video.frame_embeds.shape == (5, 6, 24)


@torch.no_grad()
def test_a_score_with_a_budget_is_the_same_alone_and_in_any_batch() -> None:
    model, batch = tiny_model(token_budget=2), random_batch(num_queries=3, num_videos=6)
    together = model(**batch)
    assert together.video.frame_embeds.shape == together.video.video_embeds.shape == (6, 2, 24)
    for column in range(6):
        frames = int(batch["video_mask"][column].sum())
        alone = model.get_video_features(batch["pixel_values_videos"][column : column + 1, :frames])
        scores = model.score(together.query, alone).scores[:, 0]
        torch.testing.assert_close(scores, together.scores[:, column], rtol=0, atol=1e-5)


def test_training_with_a_budget_reaches_every_parameter_also_those_that_choose() -> None:
    model = tiny_model(token_budget=2, temporal_dropout=0.0).train()
    model(**random_batch(num_queries=6, num_videos=6), return_loss=True).loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    guiding = model.temporal_transformer.layers[-1].self_attn.q_proj.weight.grad
    assert guiding is not None
    assert float(guiding.abs().max()) > 0


def test_a_trained_checkpoint_takes_a_budget_afterwards_and_keeps_it(tmp_path: Path, checkpoint_folder: Path) -> None:
    whole = VideoColBERTEncoder.from_pretrained(checkpoint_folder)
    VideoColBERTModel.from_pretrained(checkpoint_folder, token_budget=2).save_pretrained(tmp_path)
    whole.processor.save_pretrained(tmp_path)
    small = VideoColBERTEncoder.from_pretrained(tmp_path)
    video = np.random.default_rng(0).integers(0, 256, (6, 40, 60, 3), dtype=np.uint8)
    [of_all], [of_few] = list(whole.encode_videos([video])), list(small.encode_videos([video]))
    assert {level: len(bag) for level, bag in of_all.embeds.items()} == {"frame": 6, "video": 8}
    assert {level: len(bag) for level, bag in of_few.embeds.items()} == {"frame": 2, "video": 2}
    # Each stands at the time of the frame that it is centred on, in order.
    assert len(of_few.timestamps) == 2
    assert set(of_few.timestamps) < set(of_all.timestamps)
    assert of_few.timestamps[0] < of_few.timestamps[1]
    assert small.reference != whole.reference


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"token_budget": 0}, "token_budget is 0; it must be at least 1"),
        ({"token_budget": 4, "score_levels": ["frame"]}, "token_budget needs the level 'video'"),
        ({"token_budget": 4, "video_representation": "mean"}, "token_budget needs"),
        ({"token_budget": 4, "interaction": "weighted_token_wise"}, "an interaction without weights of tokens"),
    ],
)
def test_a_budget_that_no_model_can_keep_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(StrictDataclassClassValidationError, match=message):
        VideoColBERTConfig(**fields)
