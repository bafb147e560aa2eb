"""The training loss over all processes: every rank's queries meet every rank's videos.

Token bags travel round a ring, so a process holds its own rows of the score matrix and never a similarity
between all queries' tokens and all videos' tokens. The backward pass sends each bag's gradient back to its owner.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from video_colbert.modeling_video_colbert import (
    QueryEmbeddings,
    VideoColBERTModel,
    VideoColBERTScores,
    VideoEmbeddings,
)
from video_colbert.modeling_video_colbert.configuration_video_colbert import LEVELS


@dataclass(frozen=True)
class PairKeys:
    """What decides which queries and videos of a batch belong together.

    Attributes:
        videos: `[B]` int64, equal for two examples of one video.
        captions: `[B]` int64, equal for two examples with one caption.
        query_levels: `[B]` int64, the level that answers each query as `VideoColBERTModel.loss` takes it; `None` where
            it is not known.
    """

    videos: Tensor
    captions: Tensor
    query_levels: Tensor | None = None

    def positive_mask(self, columns: "PairKeys") -> Tensor:
        """Returns `[B, B']`, true where row and column share the video or the caption."""
        return (self.videos[:, None] == columns.videos) | (self.captions[:, None] == columns.captions)


@dataclass(frozen=True)
class GlobalLoss:
    """The loss of a batch that is spread over processes.

    Attributes:
        loss: Scalar to call `backward` on. Averaged over the processes, as DistributedDataParallel averages
            gradients, it is the loss of the whole batch.
        level_losses: This process's share of each level's loss, scaled in the same way.
    """

    loss: Tensor
    level_losses: dict[str, Tensor]


def global_scores(model: VideoColBERTModel, query: QueryEmbeddings, video: VideoEmbeddings) -> VideoColBERTScores:
    """Scores this process's queries against the videos of all processes.

    Args:
        model: The model, not wrapped.
        query: Query tokens of this process's `Nq` queries.
        video: Video tokens of this process's videos.

    Returns:
        `[Nq, N]` scores; columns are in the order of the ranks.
    """
    if _world_size() == 1:
        return model.score(query, video)
    blocks = {owner: model.score(query, remote) for owner, remote in _ring_of_videos(video)}
    in_order = [blocks[owner] for owner in range(_world_size())]
    return VideoColBERTScores(
        **{level: torch.cat([block[level] for block in in_order], dim=1) for level in in_order[0]}
    )


def global_loss(
    model: VideoColBERTModel, query: QueryEmbeddings, video: VideoEmbeddings, keys: PairKeys
) -> GlobalLoss:
    """Computes the loss of the batch that all processes hold together; local batches may differ in size.

    Args:
        model: The model, not wrapped.
        query: Query tokens of this process's examples.
        video: Video tokens of this process's examples.
        keys: Of this process's examples.

    Returns:
        The loss, scaled for gradients that are averaged over the processes.
    """
    scores = global_scores(model, query, video)
    positives = keys.positive_mask(gathered_keys(keys))
    if model.config.loss_type == "info_nce" and _world_size() > 1:
        # A softmax over a column needs the rows of all processes; the matrix of scores is small.
        scores, positives = gathered_scores(scores, positives)
        loss, level_losses = model.loss(scores, positives)
        return GlobalLoss(loss, level_losses)
    loss, level_losses = model.loss(scores, positives, keys.query_levels)
    scale = _world_size() * scores.scores.shape[0] / scores.scores.shape[1]
    return GlobalLoss(loss * scale, {level: value * scale for level, value in level_losses.items()})


def gathered_keys(keys: PairKeys) -> PairKeys:
    """Returns the keys of all processes, in the order of the ranks."""
    if _world_size() == 1:
        return keys
    both = _gather_rows(torch.stack([keys.videos, keys.captions], dim=1))
    return PairKeys(both[:, 0], both[:, 1])


def gathered_scores(scores: VideoColBERTScores, positives: Tensor) -> tuple[VideoColBERTScores, Tensor]:
    """Joins the processes' rows of the score matrix and of the positive mask; gradients reach their rows."""
    if _world_size() == 1:
        return scores, positives
    whole = VideoColBERTScores(**{name: _gather_rows(rows) for name, rows in scores.items()})
    return whole, _gather_rows(positives.to(torch.uint8)).bool()


def _world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _ring_of_videos(video: VideoEmbeddings) -> Iterator[tuple[int, VideoEmbeddings]]:
    """Yields (owner, its video tokens) for every rank, this one first, passing padded bags to the next rank."""
    world, rank = _world_size(), dist.get_rank()
    levels = [level for level in LEVELS if video.get(f"{level}_embeds") is not None]
    weighted = [level for level in levels if video.get(f"{level}_weights") is not None]
    embeds = [video[f"{level}_embeds"] for level in levels]
    width, device = embeds[0].shape[2], embeds[0].device
    sizes = _gather_rows(torch.tensor([[len(embeds[0]), *(bag.shape[1] for bag in embeds)]], device=device))
    rows, *lengths = sizes.amax(0).tolist()
    padding = [(0, length - bag.shape[1]) for length, bag in zip(lengths, embeds, strict=True)]
    # All levels travel in one tensor, so that all ranks exchange in one order in the backward pass too.
    bag = torch.cat([F.pad(of_level, (0, 0, *pad)) for of_level, pad in zip(embeds, padding, strict=True)], dim=1)
    if weighted:
        # As one more column of the tokens.
        weights = [F.pad(_weights(video, level), pad) for level, pad in zip(levels, padding, strict=True)]
        bag = torch.cat([bag, torch.cat(weights, dim=1)[:, :, None]], dim=2)
    masks = [F.pad(video[f"{level}_mask"], pad) for level, pad in zip(levels, padding, strict=True)]
    bag = F.pad(bag, (0, 0, 0, 0, 0, rows - bag.shape[0]))
    all_masks = torch.split(_gather_rows(torch.cat(masks, dim=1).to(torch.uint8)).bool(), sizes[:, 0].tolist())
    for hop in range(world):
        owner = (rank - hop) % world
        fields: dict[str, Tensor] = {}
        for level, tokens, mask in zip(
            levels,
            torch.split(bag[: sizes[owner, 0]], lengths, dim=1),
            torch.split(all_masks[owner], lengths, dim=1),
            strict=True,
        ):
            fields |= {f"{level}_embeds": tokens[..., :width], f"{level}_mask": mask}
            if level in weighted:
                fields[f"{level}_weights"] = tokens[..., width]
        yield owner, VideoEmbeddings(**fields)
        if hop < world - 1:
            bag = _NextRank.apply(bag)  # type: ignore[no-untyped-call] # torch leaves it untyped


def _weights(video: VideoEmbeddings, level: str) -> Tensor:
    """Returns a level's `[B, N]` weights: zeros, which are not read, for one without."""
    weights: Tensor | None = video.get(f"{level}_weights")
    return video[f"{level}_embeds"].new_zeros(video[f"{level}_embeds"].shape[:2]) if weights is None else weights


class _NextRank(torch.autograd.Function):
    """Passes a tensor of one shape on every rank to the next rank; its gradient travels back."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _exchange(tensor, offset=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _exchange(gradient, offset=-1)


def _exchange(tensor: Tensor, offset: int) -> Tensor:
    """Sends a tensor to the rank `offset` further and returns the one that came from `offset` behind."""
    rank, world = dist.get_rank(), _world_size()
    tensor = tensor.contiguous()
    received = torch.empty_like(tensor)
    requests = dist.batch_isend_irecv(
        [
            dist.P2POp(dist.isend, tensor, (rank + offset) % world),
            dist.P2POp(dist.irecv, received, (rank - offset) % world),
        ]
    )
    for request in requests:
        request.wait()
    return received


class _AllGather(torch.autograd.Function):
    """Stacks a tensor of one shape from all ranks; a rank's gradient is the sum of all ranks' for its part."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[dist.get_rank()]


def _gather_rows(tensor: Tensor) -> Tensor:
    """Concatenates `[rows, ...]` tensors, whose sizes may differ between ranks, in the order of the ranks."""
    size = torch.tensor(tensor.shape, device=tensor.device)
    sizes = [torch.empty_like(size) for _ in range(_world_size())]
    dist.all_gather(sizes, size)
    largest = torch.stack(sizes).amax(0).tolist()
    padding = [
        pad for most, own in zip(reversed(largest), reversed(tensor.shape), strict=True) for pad in (0, most - own)
    ]
    gathered: Tensor = _AllGather.apply(F.pad(tensor, padding))  # type: ignore[no-untyped-call] # as above
    return torch.cat([part[: shape[0]] for part, shape in zip(gathered, sizes, strict=True)])


__all__ = ["GlobalLoss", "PairKeys", "gathered_keys", "gathered_scores", "global_loss", "global_scores"]
