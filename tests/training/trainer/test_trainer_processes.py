"""A step of `transformers.Trainer` over several processes, or several micro-batches, beside one over one batch."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments

from tests.training.process_groups import run_on_processes
from tests.video_files import write_clip
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training import TrainerParts

NUM_CLIPS = 4
LEARNING_RATE = 0.5


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        {
            "video_id": str(number),
            "video": {"path": str(write_clip(folder / f"{number}.mp4", number)), "bytes": None},
            "captions": [f"clip {number}"],
            "start": None,
            "end": None,
        }
        for number in range(NUM_CLIPS)
    ]


def gradients(
    folder: str, checkpoint: str, rows: list[dict[str, Any]], batch_size: int, accumulated: int = 1
) -> dict[str, Tensor]:
    """What a step of plain gradient descent moved the weights by, over the learning rate."""
    model = VideoColBERTModel.from_pretrained(checkpoint, dtype=torch.float32)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    model.config.temporal_dropout = 0.0
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    parts = TrainerParts(model, VideoColBERTProcessor.from_pretrained(checkpoint))
    arguments = TrainingArguments(
        folder,
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulated,
        max_steps=1,
        max_grad_norm=0.0,
        lr_scheduler_type="constant",
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        ddp_find_unused_parameters=False,
        ddp_backend="gloo" if dist.is_initialized() else None,
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    examples = parts.training_examples(rows, random_frames=False)
    Trainer(model, arguments, train_dataset=examples, optimizers=(optimizer, None), **parts.arguments()).train()
    AcceleratorState._reset_state(reset_partial_state=True)
    names = ("logit_scale", "logit_bias", "temporal_transformer.expansion_tokens", "query_head.weight")
    after = dict(model.named_parameters())
    return {name: (before[name] - after[name]).detach() / LEARNING_RATE for name in names}


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one_with_the_whole_batch(
    checkpoint_folder: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    expected = gradients(str(tmp_path / "one"), str(checkpoint_folder), rows, NUM_CLIPS)
    assert all(gradient.abs().max() > 1e-3 for gradient in expected.values())
    call = (gradients, str(tmp_path / "two"), str(checkpoint_folder), rows, NUM_CLIPS // 2)
    for found in run_on_processes(tmp_path, 2, *call):
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5)


def test_accumulated_gradients_are_the_mean_over_micro_batches(
    checkpoint_folder: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    whole = gradients(str(tmp_path / "a"), str(checkpoint_folder), rows, NUM_CLIPS // 2, accumulated=2)
    model = VideoColBERTModel.from_pretrained(checkpoint_folder, dtype=torch.float32).eval()
    parts = TrainerParts(model, VideoColBERTProcessor.from_pretrained(checkpoint_folder))
    examples = parts.training_examples(rows, random_frames=False)
    # Which clips meet is the sampler's choice: the gradient is held against each way to pair four clips up.
    pairings = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    means = []
    for pairing in pairings:
        total = torch.zeros_like(model.logit_bias)
        for pair in pairing:
            batch = parts.collate([examples[number] for number in pair])
            labels = batch.pop("labels")
            [gradient] = torch.autograd.grad(parts.loss(model(**batch), labels), [model.logit_bias])
            total += gradient / 2
        means.append(total)
    assert any(torch.allclose(whole["logit_bias"], mean, rtol=1e-3, atol=1e-5) for mean in means)
