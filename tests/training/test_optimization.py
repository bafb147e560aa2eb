import math

import pytest
import torch
from torch import nn

from tests.tiny_models import FAMILIES, tiny_model
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.optimization import build_optimizer, build_scheduler, freeze, parameter_groups


def arguments(**values: object) -> TrainingArguments:
    rates = {"learning_rate": 3.0, "backbone_learning_rate": 1.0, "logit_learning_rate": 2.0, "weight_decay": 0.5}
    return TrainingArguments(backbone="b", **(rates | values))  # type: ignore[arg-type]


def rates_of(model: VideoColBERTModel) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay of each trained parameter."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in parameter_groups(model, arguments())
        for parameter in group["params"]
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_is_in_one_group_with_the_rate_of_its_kind(family: str) -> None:
    model = tiny_model(family, **({"projection_dim": 32} if family == "siglip" else {}))
    groups = parameter_groups(model, arguments())
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    rates = rates_of(model)
    assert rates.keys() == {name for name, _ in model.named_parameters()}
    for name, (rate, decay) in rates.items():
        if name.startswith("logit_"):
            assert (rate, decay) == (2.0, 0.0)
        else:
            assert rate == (3.0 if name.startswith("temporal_transformer.") else 1.0), name
            assert decay == (0.5 if model.get_parameter(name).dim() > 1 else 0.0)


def test_new_heads_take_the_rate_of_new_modules() -> None:
    rates = rates_of(tiny_model(query_head="linear", frame_head="linear"))
    assert {rates[name][0] for name in rates if name.startswith(("query_head.", "frame_head."))} == {3.0}


@pytest.mark.parametrize(
    ("towers", "prefixes"),
    [
        (["text"], ("text_model.", "query_head.")),
        (["image"], ("vision_model.", "frame_head.")),
        (["text", "image"], ("text_model.", "query_head.", "vision_model.", "frame_head.")),
    ],
)
def test_frozen_towers_are_in_no_group(towers: list[str], prefixes: tuple[str, ...]) -> None:
    model = tiny_model()
    freeze(model, towers)
    assert rates_of(model).keys() == {name for name, _ in model.named_parameters() if not name.startswith(prefixes)}


def test_rates_rise_and_fall_by_half_a_cosine() -> None:
    optimizer = build_optimizer(tiny_model(), arguments(adam_beta1=0.8, adam_beta2=0.9))
    assert optimizer.defaults["betas"] == (0.8, 0.9)
    scheduler = build_scheduler(optimizer, 20, arguments(warmup_ratio=0.25))
    found = []
    for _ in range(20):
        found.append(scheduler.get_last_lr()[0] / optimizer.param_groups[0]["initial_lr"])
        optimizer.step()
        scheduler.step()
    rise = [step / 5 for step in range(5)]
    fall = [(1 + math.cos(math.pi * step / 15)) / 2 for step in range(15)]
    assert found == pytest.approx(rise + fall)
    assert scheduler.get_last_lr()[0] == pytest.approx(0)


def test_unknown_schedule_is_refused() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    with pytest.raises(ValueError, match="zigzag"):
        build_scheduler(optimizer, 20, arguments(lr_scheduler_type="zigzag"))
