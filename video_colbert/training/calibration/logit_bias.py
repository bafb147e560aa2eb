"""The bias of the sigmoid loss, set from the first global batch before the first step."""

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch import nn

from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.training.contrastive_step import Batch, Normalize, embed_without_graph, pair_keys
from video_colbert.training.distributed_loss import gathered_keys, gathered_scores, global_scores


@torch.no_grad()
def set_logit_bias(
    accelerator: Accelerator, model: nn.Module, micro_batches: Sequence[Batch], normalize: Normalize | None = None
) -> list[float] | None:
    """Sets the bias so that the loss starts unsaturated, unless the config says no or it was done before.

    Called on every process. The random state is left as it was.

    Args:
        accelerator: Of the run.
        model: As `accelerator.prepare` returned it.
        micro_batches: This process's part of the first global batch.
        normalize: As for [`contrastive_step`].

    Returns:
        The biases that the model starts from, as in `config.logit_bias_calibration`; `None` without calibration.

    Raises:
        ValueError: If the batch has no negative pair.
    """
    unwrapped: VideoColBERTModel = accelerator.unwrap_model(model)
    if not wants_calibration(unwrapped):
        return _biases(unwrapped)
    # Without dropout, which the scores of a trained model do not have either.
    model.eval()
    query, video = embed_without_graph(model, micro_batches, normalize)
    model.train()
    keys = pair_keys(micro_batches)
    scores, positives = gathered_scores(
        global_scores(unwrapped, query, video), keys.positive_mask(gathered_keys(keys))
    )
    unwrapped.calibrate_logit_bias(scores, positives)
    return _biases(unwrapped)


def wants_calibration(model: VideoColBERTModel) -> bool:
    """Whether a model's loss has a bias that is to be set from a first batch and was not yet."""
    config = model.config
    return hasattr(model, "logit_bias") and config.calibrate_logit_bias and config.logit_bias_calibration is None


def _biases(model: VideoColBERTModel) -> list[float] | None:
    biases: list[float] | None = model.config.logit_bias_calibration
    return biases


__all__ = ["set_logit_bias", "wants_calibration"]
