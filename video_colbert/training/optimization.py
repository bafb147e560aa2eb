"""Parameter groups, learning rates and freezing."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import get_scheduler

from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.training.arguments import TrainingArguments


class GroupRates(Protocol):
    """What the groups of parameters are trained with; `TrainingArguments` has it."""

    learning_rate: float
    backbone_learning_rate: float
    logit_learning_rate: float
    weight_decay: float


@dataclass
class DefaultRates:
    """The rates that `train.py` has without arguments.

    Attributes:
        learning_rate: Of new modules.
        backbone_learning_rate: Of the pretrained towers.
        logit_learning_rate: Of the loss's temperature and bias.
        weight_decay: Of matrices.
    """

    learning_rate: float = TrainingArguments.learning_rate
    backbone_learning_rate: float = TrainingArguments.backbone_learning_rate
    logit_learning_rate: float = TrainingArguments.logit_learning_rate
    weight_decay: float = TrainingArguments.weight_decay


def freeze(model: VideoColBERTModel, towers: list[str]) -> None:
    """Freezes towers, with the heads that came with them.

    Args:
        model: The model.
        towers: `"text"`, `"image"` or both.
    """
    modules = {"text": (model.text_model, model.query_head), "image": (model.vision_model, model.frame_head)}
    for tower in towers:
        for module in modules[tower]:
            module.requires_grad_(False)


def parameter_groups(model: VideoColBERTModel, arguments: GroupRates) -> list[dict[str, Any]]:
    """Groups the trained parameters: backbone, new modules, temperature and bias; with and without decay.

    Args:
        model: The model.
        arguments: Learning rates and weight decay.

    Returns:
        Groups for an optimizer, named. Biases, norms, temperature and bias of the loss are not decayed. What LoRA puts
        into the towers is new.
    """
    pretrained = ["text_model.", "vision_model."]
    pretrained += ["query_head."] if model.config.query_head == "pretrained" else []
    pretrained += ["frame_head."] if model.config.frame_head == "pretrained" else []
    learning_rates = {
        "backbone": arguments.backbone_learning_rate,
        "new": arguments.learning_rate,
        "logit": arguments.logit_learning_rate,
    }
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_pretrained = name.startswith(tuple(pretrained)) and ".lora_" not in name
        kind = "logit" if name.startswith("logit_") else "backbone" if is_pretrained else "new"
        is_decayed = kind != "logit" and parameter.dim() > 1
        group = groups.setdefault(
            f"{kind}_{'decay' if is_decayed else 'no_decay'}",
            {
                "name": kind,
                "params": [],
                "lr": learning_rates[kind],
                "weight_decay": arguments.weight_decay if is_decayed else 0.0,
            },
        )
        group["params"].append(parameter)
    return list(groups.values())


def build_optimizer(model: VideoColBERTModel, arguments: TrainingArguments) -> AdamW:
    """Builds AdamW over [`parameter_groups`]."""
    return AdamW(parameter_groups(model, arguments), betas=(arguments.adam_beta1, arguments.adam_beta2))


def build_scheduler(optimizer: Optimizer, num_steps: int, arguments: TrainingArguments) -> LRScheduler:
    """Builds the schedule of all learning rates: a linear rise, then by default half a cosine down to 0.

    Args:
        optimizer: Whose learning rates are scaled.
        num_steps: Optimizer steps of the whole run.
        arguments: Kind of schedule and share of steps that rise.
    """
    num_warmup_steps = math.ceil(num_steps * arguments.warmup_ratio)
    scheduler: LRScheduler = get_scheduler(arguments.lr_scheduler_type, optimizer, num_warmup_steps, num_steps)
    return scheduler


class GroupSettings:
    """Learning rates and decay as this run's arguments ask for them, to be put back over those of a checkpoint.

    Args:
        scheduler: Of the run, before a checkpoint is loaded into it and its optimizer.
    """

    def __init__(self, scheduler: LRScheduler) -> None:
        self.scheduler = scheduler
        self.base_learning_rates = list(scheduler.base_lrs)
        self.groups = [
            {name: value for name, value in group.items() if name != "params"}
            for group in scheduler.optimizer.param_groups
        ]

    def put_back(self) -> None:
        """Sets them at the step that the schedule has come to."""
        self.scheduler.base_lrs = list(self.base_learning_rates)
        schedules = getattr(self.scheduler, "lr_lambdas", [])
        for group, kept in zip(self.scheduler.optimizer.param_groups, self.groups, strict=True):
            group.update(kept)
        groups = zip(self.scheduler.optimizer.param_groups, self.base_learning_rates, schedules, strict=False)
        for group, learning_rate, schedule in groups:
            group["lr"] = learning_rate * schedule(self.scheduler.last_epoch)


__all__ = [
    "DefaultRates",
    "GroupRates",
    "GroupSettings",
    "build_optimizer",
    "build_scheduler",
    "freeze",
    "parameter_groups",
]
