"""What a training run is told, by recipes in YAML and by arguments, and how both are read."""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NoReturn

from transformers import HfArgumentParser

from video_colbert.modeling_video_colbert import VideoColBERTConfig
from video_colbert.training.recipe_files import read_recipe

_EXAMPLE = "--backbone openai/clip-vit-base-patch32 --dataset msrvtt --data-dir MSRVTT --output-dir run"

CaptionSampling = Literal["random", "all"]


class JSONObject(dict[str, Any]):
    """A dictionary that a command line gives as a JSON object.

    Args:
        value: A JSON object as text, or a mapping.

    Raises:
        ValueError: If the text is not a JSON object.
    """

    def __init__(self, value: str | Mapping[str, Any] = "{}") -> None:
        try:
            content = json.loads(value) if isinstance(value, str) else value
        except RecursionError as error:
            raise ValueError("the JSON object is nested too deeply") from error
        if not isinstance(content, Mapping):
            raise ValueError(f"expected a JSON object, got {value!r}")
        super().__init__(content)


@dataclass
class TrainingArguments:
    """Arguments of `train.py`; a recipe is a YAML file of the same names.

    Attributes:
        backbone: Hub id or folder of a CLIP, SigLIP or VideoPrism checkpoint to start from.
        model: Hub id or folder of a Video-ColBERT checkpoint to go on from, instead of a backbone.
        revision: Revision of `backbone` or `model` on the Hub.
        config_overrides: Fields of `VideoColBERTConfig`, as JSON on the command line.
        processor_overrides: Arguments of `VideoColBERTProcessor.from_backbone`, as JSON on the command line.
        dataset: `video_folder`, `moving_shapes`, the name of a benchmark, `OWNER/NAME` of a data set of the Hub,
            `videofolder`, or a folder that `datasets.load_dataset` opens.
        data_dir: Where its files are; for `video_folder` and `videofolder` the folder of the training videos.
        mirror: Whether a benchmark's files (2 to 42 GB) are first fetched into `data_dir` from a copy on the Hub that
            others than the authors keep; copies of msrvtt, msvd, didemo and activitynet are known.
        protocol: The benchmark's protocol, or the configuration of a data set of the Hub; its default if not given.
        caption_column: Column of a Hub data set's captions; `captions`, `caption` or `text` if not given.
        streaming: Whether a data set of the Hub is read as it comes, for one larger than the disk; then epochs are
            windows of it, and `max_train_steps` ends the run.
        stream_window: Rows that are on the disk at a time; they are shuffled among themselves.
        train_split: Split that is trained on.
        validation_split: Split that the best checkpoint is chosen on; `null` holds part of the training split out.
        validation_data_dir: For `video_folder`, the folder of the validation videos.
        hold_out: How many training videos are held out where there is no validation split.
        allow_missing: Whether videos whose file is missing are left out rather than an error.
        max_bad_share: Share of the training videos that may fail to decode before the run stops.
        caption_sampling: `random`: one caption a video an epoch; `all`: every pair is an example.
        num_frames: Frames of a video.
        random_frames: Whether training takes a random frame of each segment rather than its middle.
        frame_cache: Directory of decoded frames; none if not given.
        frame_cache_gigabytes: Its largest size, in units of 10^9 bytes.
        frame_cache_frames_per_segment: Frames kept of each segment, for random ones to be drawn from.
        num_workers: Decoding processes of each training process.
        output_dir: Where checkpoints, reports and the best model go.
        num_train_epochs: Epochs, unless `max_train_steps` is given.
        max_train_steps: Optimizer steps of the whole run.
        per_device_train_batch_size: Examples of one micro-batch.
        gradient_accumulation_steps: Micro-batches of one step. The loss is over all their pairs, so this makes
            the contrastive batch larger at the memory of one micro-batch.
        per_device_eval_batch_size: Videos or queries encoded at once.
        learning_rate: Of new modules.
        backbone_learning_rate: Of the pretrained towers.
        logit_learning_rate: Of the loss's temperature and bias.
        weight_decay: Of matrices.
        adam_beta1: AdamW's first beta.
        adam_beta2: AdamW's second beta.
        lr_scheduler_type: A schedule of transformers, such as `cosine` or `linear`.
        warmup_ratio: Share of the steps over which the learning rates rise.
        max_grad_norm: Norm that gradients are clipped to.
        adversarial_budget: The most by which pixels of training videos are changed against the model; 0 for none.
        adversarial_steps: Steps of gradient in which they are changed; each costs about as much as the training step.
        fit_level_weights: Whether each evaluation fits what each level counts in the sum to the held-out videos
            (`level_weights` of the model's configuration), and is of that sum.
        freeze: Towers that are not trained: `text`, `image`.
        mixed_precision: `no`, `fp16` or `bf16`; accelerate's own setting if not given.
        gradient_checkpointing: Whether activations are computed again in the backward pass.
        seed: Of weights, order, captions and frames.
        eval_epochs: Epochs between evaluations.
        checkpointing_steps: Steps between checkpoints inside an epoch; none if not given.
        checkpoints_total_limit: Checkpoints kept; all if not given.
        resume_from_checkpoint: A checkpoint of this run, or `latest`.
        allow_changes: Whether to resume though data, settings or model are not those of the checkpoint's run.
        logging_steps: Steps between log lines.
        report_to: Trackers of accelerate, such as `tensorboard`.
        push_to_hub: Whether the best model is pushed at the end.
        hub_model_id: Repository it is pushed to.
        hub_private: Whether that repository is private if it is created.

    Raises:
        ValueError: If a value is out of range; the message names the argument.
    """

    backbone: str | None = None
    model: str | None = None
    revision: str | None = None
    config_overrides: JSONObject = field(default_factory=JSONObject)
    processor_overrides: JSONObject = field(default_factory=JSONObject)
    dataset: str = "video_folder"
    data_dir: str | None = None
    mirror: bool = False
    protocol: str | None = None
    caption_column: str | None = None
    streaming: bool = False
    stream_window: int = 1024
    train_split: str = "train"
    validation_split: str | None = None
    validation_data_dir: str | None = None
    hold_out: int = 500
    allow_missing: bool = False
    max_bad_share: float = 0.05
    caption_sampling: CaptionSampling = "random"
    num_frames: int = 12
    random_frames: bool = True
    frame_cache: str | None = None
    frame_cache_gigabytes: float = 100.0
    frame_cache_frames_per_segment: int = 1
    num_workers: int = 2
    output_dir: str = "runs/train"
    num_train_epochs: int = 5
    max_train_steps: int | None = None
    per_device_train_batch_size: int = 32
    gradient_accumulation_steps: int = 1
    per_device_eval_batch_size: int = 32
    learning_rate: float = 1e-4
    backbone_learning_rate: float = 1e-7
    logit_learning_rate: float = 1e-3
    weight_decay: float = 0.2
    adam_beta1: float = 0.9
    adam_beta2: float = 0.98
    lr_scheduler_type: str = "cosine"
    warmup_ratio: float = 0.1
    max_grad_norm: float = 1.0
    adversarial_budget: int = 0
    adversarial_steps: int = 1
    fit_level_weights: bool = False
    freeze: list[str] = field(default_factory=list)
    mixed_precision: Literal["no", "fp16", "bf16"] | None = None
    gradient_checkpointing: bool = False
    seed: int = 0
    eval_epochs: int = 1
    checkpointing_steps: int | None = None
    checkpoints_total_limit: int | None = None
    resume_from_checkpoint: str | None = None
    allow_changes: bool = False
    logging_steps: int = 10
    report_to: list[str] = field(default_factory=list)
    push_to_hub: bool = False
    hub_model_id: str | None = None
    hub_private: bool = False

    def __post_init__(self) -> None:
        if (self.backbone is None) == (self.model is None):
            raise ValueError(
                "Give either backbone (a CLIP, SigLIP or VideoPrism checkpoint) or model (a Video-ColBERT one)."
            )
        if self.model is not None and (self.config_overrides or self.processor_overrides):
            raise ValueError("config_overrides and processor_overrides go with backbone; a model has its own.")
        if self.push_to_hub and self.hub_model_id is None:
            raise ValueError("push_to_hub needs hub_model_id, the repository to push to.")
        if self.frame_cache is not None and self.random_frames and self.frame_cache_frames_per_segment == 1:
            raise ValueError(
                "frame_cache keeps one frame of each segment, which leaves random_frames nothing to choose from; give "
                "frame_cache_frames_per_segment, 2 or more, or random_frames=false."
            )
        if self.streaming and (self.max_train_steps is None or self.frame_cache or self.caption_sampling != "random"):
            raise ValueError(
                "streaming needs max_train_steps, since a stream has no end that is known, and goes with neither "
                "frame_cache nor caption_sampling=all."
            )
        if self.num_workers < 0:
            raise ValueError(f"num_workers is {self.num_workers}; it must be at least 0.")
        if not 0 <= self.adversarial_budget <= 255:
            raise ValueError(f"adversarial_budget is {self.adversarial_budget}; it must be from 0 to 255.")
        if unknown := set(self.freeze) - {"text", "image"}:
            raise ValueError(f"freeze names {sorted(unknown)}; the towers are 'text' and 'image'.")
        for name in (
            "num_frames",
            "frame_cache_frames_per_segment",
            "num_train_epochs",
            "max_train_steps",
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "per_device_eval_batch_size",
            "eval_epochs",
            "checkpointing_steps",
            "checkpoints_total_limit",
            "logging_steps",
            "hold_out",
            "stream_window",
            "adversarial_steps",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1.")
        for name in ("max_bad_share", "warmup_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1].")
        known = {item.name for item in fields(VideoColBERTConfig)}
        if unknown := set(self.config_overrides) - known:
            raise ValueError(f"config_overrides names {sorted(unknown)}, which VideoColBERTConfig does not have.")

    def save(self, file: Path) -> None:
        """Writes the arguments as JSON, without those that name places on this machine."""
        of_this_machine = (
            "output_dir",
            "data_dir",
            "validation_data_dir",
            "frame_cache",
            "resume_from_checkpoint",
            "allow_changes",
        )
        content = {name: value for name, value in vars(self).items() if name not in of_this_machine}
        for name in ("backbone", "model", "dataset"):
            if content[name] is not None and Path(content[name]).is_dir():
                content[name] = Path(content[name]).name
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def parse_arguments(argv: Sequence[str] | None = None, *, program: str | None = None) -> TrainingArguments:
    """Reads `--recipe` files, each over the one before, and then arguments over all of them.

    JSON arguments are merged by key, so that one field of a recipe's can be overridden.

    Args:
        argv: Command line; `None` takes the process's own.
        program: What `--help` and errors call the command; the script's name by default.

    Returns:
        The arguments.

    Raises:
        ValueError: If a recipe is malformed, names an unknown argument or has a value of a wrong type, and the message
            names the file; or if a value is out of range.
    """
    recipe_parser = argparse.ArgumentParser(add_help=False)
    recipe_parser.add_argument(
        "--recipe", nargs="+", default=[], type=Path, help="YAML files of arguments, each over the one before."
    )
    recipes, rest = recipe_parser.parse_known_args(argv)
    for item in fields(TrainingArguments):
        item.metadata = MappingProxyType({"help": _attribute_descriptions()[item.name]})
    parser = HfArgumentParser(
        TrainingArguments,
        parents=[recipe_parser],
        prog=program,
        description="Trains Video-ColBERT.",
        epilog=f"example: %(prog)s {_EXAMPLE}",
    )
    from_recipes = merged_recipes(recipes.recipe)
    values = vars(parser.parse_args([*_as_command_line(from_recipes), *rest]))
    for name, value in from_recipes.items():
        if isinstance(value, dict):
            values[name] = JSONObject({**value, **values[name]})
    return TrainingArguments(**{item.name: values[item.name] for item in fields(TrainingArguments)})


def merged_recipes(files: Sequence[Path]) -> dict[str, Any]:
    """Merges recipes, each over the one before; dictionaries are merged by key.

    Raises:
        ValueError: If a file is missing or malformed, names an unknown argument or has a value of a wrong type.
    """
    known = {item.name for item in fields(TrainingArguments)}
    merged: dict[str, Any] = {}
    for file in files:
        content = read_recipe(file)
        for name in content:
            if name not in known:
                close = get_close_matches(str(name), known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise ValueError(f"Recipe {file} names {name!r}, which is no argument{hint}")
        try:
            parsed = vars(_RecipeParser(TrainingArguments).parse_args(_as_command_line(content)))
        except (TypeError, ValueError) as error:
            # A TypeError is of a value that JSON does not have, such as a date within a dictionary.
            raise ValueError(f"Recipe {file}: {error}") from error
        for name, value in content.items():
            is_dictionary = isinstance(parsed[name], JSONObject)
            merged[name] = {**merged.get(name, {}), **parsed[name]} if is_dictionary else value
    return merged


class _RecipeParser(HfArgumentParser):
    """Reads a recipe as it would a command line, for the types and choices; raises where that one would exit."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _as_command_line(values: Mapping[str, Any]) -> list[str]:
    """Writes arguments as a command line; what is null or empty is left to the default.

    Raises:
        ValueError: If an argument is null that must have a value.
    """
    defaults = {item.name: item.default for item in fields(TrainingArguments)}
    words = []
    for name, value in values.items():
        if value is None and defaults[name] is not None:
            raise ValueError(f"{name} is null; it needs a value.")
        if value is None or value == []:
            continue
        if isinstance(value, list):
            words += [f"--{name}", *map(str, value)]
        elif isinstance(value, bool | dict):
            words.append(f"--{name}={json.dumps(value)}")
        else:
            words.append(f"--{name}={value}")
    return words


def _attribute_descriptions() -> dict[str, str]:
    """Reads what the docstring of `TrainingArguments` says of each argument, so that `--help` says the same."""
    section = (TrainingArguments.__doc__ or "").partition("Attributes:")[2].partition("Raises:")[0]
    entries = re.findall(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", section, flags=re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text).replace("%", "%%") for name, text in entries}


__all__ = ["CaptionSampling", "JSONObject", "TrainingArguments", "merged_recipes", "parse_arguments"]
