"""The cached-gradient step, against one graph over the same micro-batches."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from tests.accelerators import needs_gpu
from tests.tiny_models import random_batch, tiny_model
from tests.training.process_groups import run_on_processes
from video_colbert.modeling_video_colbert import QueryEmbeddings, VideoColBERTModel, VideoEmbeddings
from video_colbert.training.calibration.logit_bias import set_logit_bias
from video_colbert.training.contrastive_step import contrastive_step

# Sizes of the micro-batches of a step on each rank; uneven, as at no time in training, but allowed.
FOUR_MICRO_BATCHES = ((3, 2, 1, 3), (2, 1, 3, 1))
ONE_MICRO_BATCH = ((5,), (3,))
LOSS_TYPES = ("dual_sigmoid", "info_nce", "distillation")

Results = dict[str, Any]


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def build_model(loss_type: str = "dual_sigmoid", family: str = "clip", **config: Any) -> VideoColBERTModel:
    if loss_type == "distillation":
        loss_type, config["level_distillation"] = "dual_sigmoid", "cross_level"
    model = tiny_model(family, loss_type=loss_type, logit_scale_init=2.0, logit_bias_init=-3.0, **config)
    assert model.config.temporal_dropout > 0
    return model.double().train()


def make_batches(rank: int, sizes: Sequence[int]) -> list[dict[str, Any]]:
    batches = []
    for index, size in enumerate(sizes):
        # Videos of another number of frames in each micro-batch.
        batch = random_batch(size, size, num_frames=3 + (index + rank) % 3, seed=10 * rank + index)
        batch["pixel_values_videos"] = batch["pixel_values_videos"].double()
        batch["video_keys"] = torch.arange(size) + 100 * rank + 10 * index
        batch["caption_keys"] = torch.arange(size) + 100 * rank + 10 * index
        # One video in every micro-batch of every rank, and one caption in the last of every rank.
        batch["video_keys"][0] = 7777
        if index == len(sizes) - 1:
            batch["caption_keys"][-1] = 8888
        batches.append(batch)
    return batches


def joined(parts: Sequence[Tensor]) -> Tensor:
    longest = max(part.shape[1] for part in parts)
    padding = [(0, 0) * (part.dim() - 2) + (0, longest - part.shape[1]) for part in parts]
    return torch.cat([F.pad(part, pad) for part, pad in zip(parts, padding, strict=True)])


def plain_step(model: VideoColBERTModel, ranks: Sequence[Sequence[dict[str, Any]]]) -> Results:
    """Keeps the graph of all micro-batches of all ranks, each rank with its own random numbers."""
    outputs = []
    for rank, batches in enumerate(ranks):
        torch.manual_seed(rank)
        for batch in batches:
            output = model(
                batch["input_ids"], batch["pixel_values_videos"], batch["attention_mask"], batch["video_mask"]
            )
            outputs.append((output.query, output.video))
    query = {name: joined([query[name] for query, _ in outputs]) for name in outputs[0][0]}
    video = {name: joined([video[name] for _, video in outputs]) for name in outputs[0][1]}
    keys = {
        name: torch.cat([batch[name] for batches in ranks for batch in batches])
        for name in ("video_keys", "caption_keys")
    }
    positives = torch.stack([values[:, None] == values for values in keys.values()]).any(0)
    loss, levels = model.loss(model.score(QueryEmbeddings(**query), VideoEmbeddings(**video)), positives)
    loss.backward()
    return results_of(model, loss, levels)


def results_of(model: VideoColBERTModel, loss: Tensor, levels: dict[str, Tensor]) -> Results:
    return {
        "loss": loss.detach(),
        **{f"loss_{level}": value.detach() for level, value in levels.items()},
        **{name: parameter.grad for name, parameter in model.named_parameters()},
    }


def step_on_rank(cases: list[tuple[VideoColBERTModel, tuple[Sequence[int], ...]]]) -> list[Results]:
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == 2
    results = []
    for model, sizes in cases:
        wrapped = accelerator.prepare(model)
        batches = make_batches(accelerator.process_index, sizes[accelerator.process_index])
        torch.manual_seed(accelerator.process_index)
        losses = contrastive_step(accelerator, wrapped, batches)
        results.append(results_of(model, losses.loss, losses.level_losses))
    return results


def calibrate_on_rank(model: VideoColBERTModel, sizes: tuple[Sequence[int], ...]) -> tuple[list[float], bool]:
    accelerator = Accelerator(cpu=True)
    wrapped = accelerator.prepare(model)
    before = torch.get_rng_state()
    set_logit_bias(accelerator, wrapped, make_batches(accelerator.process_index, sizes[accelerator.process_index]))
    return model.logit_bias.tolist(), torch.equal(before, torch.get_rng_state())


def assert_equal(actual: Results, expected: Results) -> None:
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=0, atol=1e-10, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize("sizes", [FOUR_MICRO_BATCHES, ONE_MICRO_BATCH], ids=["4 micro-batches", "1 micro-batch"])
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_one_process_equals_the_plain_step_with_dropout(
    family: str, loss_type: str, sizes: tuple[Sequence[int], ...]
) -> None:
    config = {"projection_dim": 32} if family == "siglip" else {}
    model, twin = (build_model(loss_type, family, **config) for _ in range(2))
    batches = make_batches(0, sizes[0])
    accelerator = Accelerator(cpu=True)
    wrapped = accelerator.prepare(model)
    torch.manual_seed(0)
    losses = contrastive_step(accelerator, wrapped, batches)
    expected = plain_step(twin, [batches])
    assert_equal(results_of(model, losses.loss, losses.level_losses), expected)


def test_two_processes_under_data_parallelism_equal_the_plain_step_of_one(tmp_path: Path) -> None:
    cases = [(loss_type, sizes) for loss_type in LOSS_TYPES for sizes in (FOUR_MICRO_BATCHES, ONE_MICRO_BATCH)]
    calls = [(build_model(loss_type), sizes) for loss_type, sizes in cases]
    ranks = run_on_processes(tmp_path, 2, step_on_rank, calls)
    for place, (loss_type, sizes) in enumerate(cases):
        expected = plain_step(build_model(loss_type), [make_batches(rank, sizes[rank]) for rank in range(2)])
        for results in ranks:
            assert_equal(results[place], expected)


@needs_gpu
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_on_a_gpu_a_micro_batch_draws_the_dropout_that_it_drew_before(loss_type: str) -> None:
    accelerator = Accelerator()
    model, twin = (build_model(loss_type).to(accelerator.device) for _ in range(2))
    batches = [
        {name: value.to(accelerator.device) for name, value in batch.items()}
        for batch in make_batches(0, FOUR_MICRO_BATCHES[0])
    ]
    wrapped = accelerator.prepare(model)
    torch.manual_seed(0)
    losses = contrastive_step(accelerator, wrapped, batches)
    after = torch.cuda.get_rng_state()
    assert_equal(results_of(model, losses.loss, losses.level_losses), plain_step(twin, [batches]))
    assert torch.equal(after, torch.cuda.get_rng_state())


def test_random_state_after_the_step_is_that_of_the_plain_step() -> None:
    model, twin = build_model(), build_model()
    batches = make_batches(0, FOUR_MICRO_BATCHES[0])
    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)
    contrastive_step(accelerator, accelerator.prepare(model), batches)
    after = torch.get_rng_state()
    plain_step(twin, [batches])
    assert torch.equal(after, torch.get_rng_state())


@pytest.mark.parametrize("frozen", [["text_model", "query_head"], ["vision_model", "frame_head"]])
def test_frozen_towers_have_no_gradient_and_the_others_theirs(frozen: list[str]) -> None:
    model, twin = build_model(), build_model()
    for each in (model, twin):
        for name in frozen:
            getattr(each, name).requires_grad_(False)
    batches = make_batches(0, FOUR_MICRO_BATCHES[0])
    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)
    losses = contrastive_step(accelerator, accelerator.prepare(model), batches)
    expected = plain_step(twin, [batches])
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, _ in model.named_parameters() if not name.startswith(tuple(frozen))}
    actual = results_of(model, losses.loss, losses.level_losses)
    assert_equal(*({name: value for name, value in each.items() if value is not None} for each in (actual, expected)))


@pytest.mark.parametrize(
    "config",
    [
        {"score_levels": ["frame"]},
        {"score_levels": ["video"]},
        {"video_representation": "mean", "query_representation": "pooled"},
        {"interaction": "weighted_token_wise", "query_expansion": False},
        {"interaction": "weighted_token_wise", "score_levels": ["video"]},
    ],
    ids=str,
)
def test_models_of_one_level_and_peers_take_micro_batches(config: dict[str, Any]) -> None:
    model, twin = (tiny_model(temporal_dropout=0.0, **config).double().train() for _ in range(2))
    batches = make_batches(0, (2, 3))
    accelerator = Accelerator(cpu=True)
    losses = contrastive_step(accelerator, accelerator.prepare(model), batches)
    assert_equal(results_of(model, losses.loss, losses.level_losses), plain_step(twin, [batches]))


@pytest.mark.parametrize("sizes", [(5,), (2, 3)], ids=["1 micro-batch", "2 micro-batches"])
def test_bytes_are_normalised_in_the_step(sizes: tuple[int, ...]) -> None:
    model, twin = build_model(), build_model()
    batches, normalised = make_batches(0, sizes), make_batches(0, sizes)
    for batch, other in zip(batches, normalised, strict=True):
        batch["pixel_values_videos"] = torch.randint(0, 256, batch["pixel_values_videos"].shape, dtype=torch.uint8)
        other["pixel_values_videos"] = batch["pixel_values_videos"].double() / 127.5 - 1
    accelerator = Accelerator(cpu=True)
    wrapped = accelerator.prepare(model)
    torch.manual_seed(0)
    losses = contrastive_step(accelerator, wrapped, batches, lambda pixels: pixels.double() / 127.5 - 1)
    assert all(batch["pixel_values_videos"].dtype == torch.uint8 for batch in batches)
    assert_equal(results_of(model, losses.loss, losses.level_losses), plain_step(twin, [normalised]))


def test_mixed_precision_computes_the_loss_in_float32() -> None:
    model = tiny_model(logit_scale_init=2.0, logit_bias_init=-3.0).train()
    batches = make_batches(0, (2, 3))
    for batch in batches:
        batch["pixel_values_videos"] = batch["pixel_values_videos"].float()
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    losses = contrastive_step(accelerator, accelerator.prepare(model), batches)
    assert losses.loss.dtype == torch.float32
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())


def test_bias_is_calibrated_on_the_batch_of_all_processes(tmp_path: Path) -> None:
    ranks = run_on_processes(tmp_path, 2, calibrate_on_rank, build_model(), FOUR_MICRO_BATCHES)
    model = build_model().eval()
    outputs, positives = [], []
    with torch.no_grad():
        for rank in range(2):
            for batch in make_batches(rank, FOUR_MICRO_BATCHES[rank]):
                query = model.get_text_features(batch["input_ids"], batch["attention_mask"])
                video = model.get_video_features(batch["pixel_values_videos"], batch["video_mask"])
                outputs.append((query, video))
                positives.append((batch["video_keys"], batch["caption_keys"]))
        query = QueryEmbeddings(**{name: joined([each[name] for each, _ in outputs]) for name in outputs[0][0]})
        video = VideoEmbeddings(**{name: joined([each[name] for _, each in outputs]) for name in outputs[0][1]})
        scores = model.score(query, video)
    videos, captions = (torch.cat(values) for values in zip(*positives, strict=True))
    negative = (videos[:, None] != videos) & (captions[:, None] != captions)
    size = len(videos)
    expected = [
        -torch.tensor(2.0, dtype=torch.float64).exp() * level[negative].mean() - torch.log(torch.tensor(size - 1.0))
        for level in (scores.frame_scores, scores.video_scores)
    ]
    for bias, is_random_state_kept in ranks:
        assert bias == pytest.approx([value.item() for value in expected], abs=1e-6)
        assert is_random_state_kept
