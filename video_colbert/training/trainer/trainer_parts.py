"""The parts of a run of `transformers.Trainer`: examples, collator, loss over all processes, metrics, optimizer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import AdamW
from transformers import TrainerCallback

from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.accelerator_setup import refuse_sharding
from video_colbert.training.calibration.logit_bias import wants_calibration
from video_colbert.training.distributed_loss import PairKeys, global_loss
from video_colbert.training.optimization import DefaultRates, parameter_groups
from video_colbert.training.trainer.examples import TrainerCollator, TrainerExamples
from video_colbert.training.trainer.split_metrics import split_metrics, split_tokens
from video_colbert.training.video_text_dataset import TrainingCollator, VideoTextDataset

if TYPE_CHECKING:
    from video_colbert.training.arguments import CaptionSampling

Rows = Sequence[dict[str, Any]]


class TrainerParts:
    """What `transformers.Trainer` needs to train a Video-ColBERT model as it is meant to be trained.

    The loss is that of `train.py`: every query of all processes meets every video of all processes. With
    gradient accumulation it is one of each micro-batch; `train.py` has one over all of them.

    Args:
        model: The model, not wrapped; for LoRA the one that `peft` then wraps.
        processor: Of the model.
    """

    def __init__(self, model: VideoColBERTModel, processor: VideoColBERTProcessor) -> None:
        self.model = model
        self.processor = processor
        config = model.config if model.config.passage_levels else None
        self.collate = TrainerCollator(processor, TrainingCollator(processor, config))

    def training_examples(
        self,
        rows: Rows,
        *,
        seed: int = 0,
        caption_sampling: CaptionSampling = "random",
        random_frames: bool = True,
        max_bad_share: float = 0.05,
    ) -> TrainerExamples:
        """Makes examples to train on; which caption and frames one has depends on seed, epoch and video alone.

        Args:
            rows: Rows with `video_id`, `video`, `captions`, `start`, `end`, such as `load_dataset_rows` gives.
            seed: Of captions and frames.
            caption_sampling: `"random"` takes one caption a video an epoch, `"all"` makes every pair an example.
            random_frames: Whether to take a random frame of each segment rather than its middle.
            max_bad_share: Share of the videos that one example may find bad before the run ends.

        Raises:
            ValueError: No row has both a video and a caption.
        """
        return TrainerExamples(
            VideoTextDataset(
                rows,
                self.processor,
                seed=seed,
                caption_sampling=caption_sampling,
                random_frames=random_frames,
                max_bad_share=max_bad_share,
            )
        )

    def evaluation_examples(self, rows: Rows) -> TrainerExamples:
        """Makes examples to evaluate on: each caption with its video, whose frames are those of inference.

        Args:
            rows: As for [`training_examples`].

        Raises:
            ValueError: No row has both a video and a caption.
        """
        examples = VideoTextDataset(
            rows, self.processor, caption_sampling="all", random_frames=False, max_bad_share=0.0
        )
        return TrainerExamples(examples, keeps_bad=True)

    def calibrate_logit_bias(self, examples: TrainerExamples, *, batch_size: int, seed: int = 0) -> list[float] | None:
        """Sets the bias of the sigmoid loss from a first batch, so that the loss starts unsaturated.

        A function of model, examples, size and seed: called again before a resumed run, or on every process, it gives
        the same.

        Args:
            examples: To be trained on.
            batch_size: How many of them are looked at; the size of the batch over all processes.
            seed: Of the choice of examples.

        Returns:
            The biases, which `model.config.logit_bias_calibration` has too; None of a loss without, or where the
            config says no.

        Raises:
            ValueError: The examples have no two videos.
            DatasetError: Too many videos cannot be decoded.
        """
        if wants_calibration(self.model):
            chosen = np.random.default_rng(seed).permutation(len(examples))[:batch_size]
            batch = self.collate([examples[int(number)] for number in chosen])
            keys = _pair_keys(batch.pop("labels"))
            is_training = self.model.training
            self.model.eval()
            with torch.no_grad():
                output = self.model(**{name: _on(self.model.device, value) for name, value in batch.items()})
                scores = self.model.score(output.query, output.video)
                positives = keys.positive_mask(keys).to(scores.scores.device)
                self.model.calibrate_logit_bias(scores, positives)
            self.model.train(is_training)
        biases: list[float] | None = self.model.config.logit_bias_calibration
        return biases

    def loss(self, outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """Computes the loss over the batches of all processes, as `compute_loss_func` of `Trainer`.

        Args:
            outputs: Of the model.
            labels: Of the batch.
            num_items_in_batch: How many numbers the labels of all batches of this step have.

        Returns:
            A scalar, scaled for gradients that are averaged over processes and summed over accumulated batches.
        """
        value = global_loss(self.model, outputs.query, outputs.video, _pair_keys(labels)).loss
        # Trainer multiplies by the number of processes what it has counted over all of them.
        return value if num_items_in_batch is None else value * (labels.numel() / num_items_in_batch)

    def metrics(self, prediction: Any) -> dict[str, float]:
        """Computes retrieval metrics over the whole split, as `compute_metrics` of `Trainer`.

        Args:
            prediction: `EvalPrediction` with the tokens of all batches.

        Returns:
            As [`split_metrics`] does, such as "text_to_video_R@1".
        """
        return split_metrics(self.model, prediction.predictions, prediction.label_ids)

    def optimizer(self, **rates: float) -> AdamW:
        """Builds the optimizer of `train.py`, with lower rates for the pretrained towers than for what is new.

        Args:
            rates: Over those of [`DefaultRates`].
        """
        return AdamW(parameter_groups(self.model, DefaultRates(**rates)), betas=(0.9, 0.98))

    def arguments(self) -> dict[str, Any]:
        """Gives what `Trainer` is called with beside model, `args` and data sets.

        `args` need `remove_unused_columns=False`, since examples have no columns, and `label_names=["labels"]`, since
        the model itself takes no labels. With FSDP or DeepSpeed, `Trainer` is refused by a ValueError.
        """
        return {
            "data_collator": self.collate,
            "processing_class": self.processor,
            "compute_loss_func": self.loss,
            "compute_metrics": self.metrics,
            "preprocess_logits_for_metrics": _tokens_of_batch,
            "callbacks": [WholeModel(), EpochOfExamples()],
        }


class WholeModel(TrainerCallback):
    """Refuses a run whose processes would not hold the model as the loss needs it, as soon as there is a `Trainer`."""

    def on_init_end(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        """Looks at what Accelerate and DistributedDataParallel were set up for.

        Raises:
            ValueError: It is FSDP or DeepSpeed, or parameters that the model's call does not use are to be found,
                which are then taken for those that the loss does not use either.
        """
        refuse_sharding()
        if args.world_size > 1 and args.ddp_find_unused_parameters is not False:
            raise ValueError(
                "on several processes TrainingArguments must have ddp_find_unused_parameters=False, since the loss "
                "uses the temperature and the bias outside the model's call"
            )


class EpochOfExamples(TrainerCallback):
    """Tells the training examples which epoch begins, so that it has captions and frames of its own."""

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        """Sets the epoch, also of one that a resumed run goes on with."""
        examples = getattr(objects.get("train_dataloader"), "dataset", None)
        if isinstance(examples, TrainerExamples):
            # A sum of shares of an epoch may be a little less than the whole.
            examples.epoch = math.floor((state.epoch or 0.0) + 1e-6)


def _tokens_of_batch(outputs: Any, labels: Any) -> dict[str, Tensor]:
    return split_tokens(outputs)


def _pair_keys(labels: Tensor) -> PairKeys:
    return PairKeys(labels[:, 0], labels[:, 1], labels[:, 2] if labels.shape[1] > 2 else None)


def _on(device: torch.device, value: Any) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


__all__ = ["EpochOfExamples", "TrainerParts", "WholeModel"]
