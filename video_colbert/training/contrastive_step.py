"""One training step: micro-batches in, gradients of one loss over all their pairs out.

A contrastive batch cannot be split: every query needs every video as its negative. So the step embeds the
micro-batches without a graph, takes the loss over all embeddings and its gradient with respect to them, and
embeds each micro-batch again, with the same random state, to pass that gradient on ("gradient cache", Gao et al.,
arXiv 2101.06983). Only one micro-batch's activations are held at a time, and the gradients are those of a single
pass over the whole batch.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from video_colbert.modeling_video_colbert import QueryEmbeddings, VideoColBERTModel, VideoEmbeddings
from video_colbert.training.distributed_loss import GlobalLoss, PairKeys, global_loss

Batch = Mapping[str, Any]
"""`input_ids`, `attention_mask`, `pixel_values_videos`, `video_mask`, `video_keys` and `caption_keys`; for a model
with levels of texts `passage_input_ids`, `passage_attention_mask` and `query_levels` too, and `frame_sizes` where
frames are of several sizes."""

Normalize = Callable[[Tensor], Tensor]
"""Makes uint8 pixels into what the model takes, such as `VideoColBERTVideoProcessor.normalize`."""

_MODEL_INPUTS = ("input_ids", "attention_mask", "pixel_values_videos", "video_mask")
_OTHER_INPUTS = ("passage_input_ids", "passage_attention_mask", "frame_sizes")


@dataclass(frozen=True)
class StepLoss:
    """Losses of a step, averaged over processes.

    Attributes:
        loss: The loss.
        level_losses: The loss of each level, before its weight.
    """

    loss: Tensor
    level_losses: dict[str, Tensor]


def contrastive_step(
    accelerator: Accelerator, model: nn.Module, micro_batches: Sequence[Batch], normalize: Normalize | None = None
) -> StepLoss:
    """Adds the gradients of one loss over all micro-batches of all processes.

    Args:
        accelerator: Of the run.
        model: The model as `accelerator.prepare` returned it.
        micro_batches: At least one.
        normalize: Applied to the pixels of each micro-batch when it is embedded, so that the others wait in a
            quarter of the memory; `None` for pixels that are normalised already.

    Returns:
        The losses. Optimizer steps are the caller's.
    """
    unwrapped: VideoColBERTModel = accelerator.unwrap_model(model)
    keys = pair_keys(micro_batches)
    if len(micro_batches) == 1:
        query, video = _embed(model, micro_batches[0], normalize)
        result = global_loss(unwrapped, query, video, keys)
        accelerator.backward(result.loss)
        return _averaged(accelerator, result)

    states, embedded = [], []
    with torch.no_grad():
        for batch in micro_batches:
            states.append(_random_state(accelerator.device))
            embedded.append(_embed(model, batch, normalize))
    query, video, leaves = _joined([query for query, _ in embedded], [video for _, video in embedded])
    logit_parameters = [parameter for name, parameter in unwrapped.named_parameters() if name.startswith("logit_")]
    result = global_loss(unwrapped, query, video, keys)
    # A model of the video level alone takes no loss on its frame tokens: zeros there.
    gradients = torch.autograd.grad(
        result.loss, [leaf for pair in leaves for leaf in pair] + logit_parameters, materialize_grads=True
    )
    embed_gradients = iter(gradients[: -len(logit_parameters)])
    for index, (batch, state, pair) in enumerate(zip(micro_batches, states, leaves, strict=True)):
        is_last = index == len(micro_batches) - 1
        _set_random_state(accelerator.device, state)
        # Gradients are exchanged between processes once a step.
        with nullcontext() if is_last else accelerator.no_sync(model):
            outputs = _embeds(*_embed(model, batch, normalize))
            surrogate = torch.stack(
                [(output * next(embed_gradients)).sum() for output, _ in zip(outputs, pair, strict=True)]
            ).sum()
            if is_last:
                for parameter, gradient in zip(logit_parameters, gradients[-len(logit_parameters) :], strict=True):
                    surrogate = surrogate + (parameter * gradient).sum()
            accelerator.backward(surrogate)
    return _averaged(accelerator, result)


def pair_keys(micro_batches: Sequence[Batch]) -> PairKeys:
    """Returns the keys of all examples of a step on this process."""
    names = ["video_keys", "caption_keys", *(["query_levels"] if "query_levels" in micro_batches[0] else [])]
    return PairKeys(*(torch.cat([batch[name] for batch in micro_batches]) for name in names))


@torch.no_grad()
def embed_without_graph(
    model: nn.Module, micro_batches: Sequence[Batch], normalize: Normalize | None = None
) -> tuple[QueryEmbeddings, VideoEmbeddings]:
    """Embeds a step's micro-batches, one after another, and joins their tokens."""
    queries, videos = zip(*(_embed(model, batch, normalize) for batch in micro_batches), strict=True)
    return QueryEmbeddings(**_concatenated(queries)), VideoEmbeddings(**_concatenated(videos))


def _embed(model: nn.Module, batch: Batch, normalize: Normalize | None) -> tuple[QueryEmbeddings, VideoEmbeddings]:
    inputs = {name: batch[name] for name in _MODEL_INPUTS}
    inputs |= {name: batch[name] for name in _OTHER_INPUTS if name in batch}
    if normalize is not None:
        inputs["pixel_values_videos"] = normalize(inputs["pixel_values_videos"])
    # Tokens alone, whatever else the model's config asks its calls to return.
    tokens_alone = {"return_scores": False, "output_hidden_states": False, "output_attentions": False}
    output = model(**inputs, **tokens_alone, return_dict=True)
    return output.query, output.video


def _embeds(query: QueryEmbeddings, video: VideoEmbeddings) -> list[Tensor]:
    """Returns the tensors of a micro-batch that gradients flow to."""
    return [value for part in (query, video) for value in part.values() if value.is_floating_point()]


def _joined(
    queries: Sequence[QueryEmbeddings], videos: Sequence[VideoEmbeddings]
) -> tuple[QueryEmbeddings, VideoEmbeddings, list[list[Tensor]]]:
    """Joins micro-batches into one batch whose embeddings are leaves, one list of them a micro-batch."""
    leaves = []
    for query, video in zip(queries, videos, strict=True):
        for part in (query, video):
            for name, value in part.items():
                if value.is_floating_point():
                    part[name] = value.detach().requires_grad_()
        leaves.append(_embeds(query, video))
    return QueryEmbeddings(**_concatenated(queries)), VideoEmbeddings(**_concatenated(videos)), leaves


def _concatenated(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Concatenates bags of tokens along the batch, padded to the longest; a padded mask is false there."""
    return {name: torch.cat(_padded([part[name] for part in parts])) for name in parts[0]}


def _padded(bags: Sequence[Tensor]) -> list[Tensor]:
    longest = max(bag.shape[1] for bag in bags)
    # F.pad counts from the last dimension: a bag [B, tokens, D] has one more than a mask [B, tokens].
    return [F.pad(bag, (0, 0) * (bag.dim() - 2) + (0, longest - bag.shape[1])) for bag in bags]


def _averaged(accelerator: Accelerator, result: GlobalLoss) -> StepLoss:
    names = list(result.level_losses)
    values = torch.stack([result.loss, *result.level_losses.values()]).detach()
    loss, *levels = accelerator.reduce(values, reduction="mean").unbind()
    return StepLoss(loss, dict(zip(names, levels, strict=True)))


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _set_random_state(device: torch.device, state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)


__all__ = ["Batch", "Normalize", "StepLoss", "contrastive_step", "embed_without_graph", "pair_keys"]
