"""A step of a model with levels of texts: micro-batches with texts of other lengths give one batch's gradients."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from tests.modeling_video_colbert.contextual_models import contextual_batch, contextual_model
from video_colbert.training.contrastive_step import contrastive_step


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def gradients(batches: list[dict[str, Any]], **fields: Any) -> dict[str, Tensor]:
    model = contextual_model(**fields).double().train()
    accelerator = Accelerator(cpu=True)
    loss = contrastive_step(accelerator, accelerator.prepare(model), batches).loss
    found = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    return {"loss": loss, **found}


@pytest.mark.parametrize(
    "fields",
    [{"logit_scale_init": 2.0}, {"loss_type": "modality_info_nce", "modality_loss": "hard_positive"}],
    ids=["dual sigmoid", "modality"],
)
def test_micro_batches_give_the_gradients_of_one_batch(fields: dict[str, Any]) -> None:
    whole = contextual_batch(4, 4, windows=3)
    whole["pixel_values_videos"] = whole["pixel_values_videos"].double()
    whole |= {
        "video_keys": torch.arange(4),
        "caption_keys": torch.arange(4),
        "query_levels": torch.tensor([-1, 1, 2, 3]),
    }
    halves = [{name: values[rows] for name, values in whole.items()} for rows in (slice(2), slice(2, 4))]
    # The texts of one half have fewer windows.
    for name in ("passage_input_ids", "passage_attention_mask"):
        whole[name][:2, :, 1:] = 0
        halves[0][name] = whole[name][:2, :, :1].clone()
    expected = gradients([whole], **fields)
    found = gradients(halves, **fields)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-9, msg=lambda text, name=name: name + text)
