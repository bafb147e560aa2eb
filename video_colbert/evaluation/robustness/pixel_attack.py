"""Projected gradient on the pixels of one video, for or against many queries."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.robustness.attack_settings import AttackGoal, PixelAttackSettings
from video_colbert.evaluation.robustness.attacked_video import sampled_indices
from video_colbert.evaluation.robustness.differentiable_scores import AttackedModel
from video_colbert.evaluation.robustness.multi_target_loss import multi_target_loss
from video_colbert.evaluation.robustness.similar_frames import sharing_weights, similar_segments
from video_colbert.processing import DecodedVideo
from video_colbert.processing.frame_sampling import segment_random_indices


@dataclass(frozen=True)
class AttackedFramesResult:
    """What an attack made of a video.

    Attributes:
        video: the video with its frames changed, 8 bits a value.
        losses: the loss at each step, of the 8-bit frames that the model saw then.
    """

    video: DecodedVideo
    losses: list[float]


def attack_pixels(
    encoder: VideoColBERTEncoder,
    video: DecodedVideo,
    targets: EncodedQueries,
    settings: PixelAttackSettings | None = None,
    *,
    goal: AttackGoal = "promote",
) -> AttackedFramesResult:
    """Changes the pixels of a video so that it ranks high, or low, for queries: projected gradient descent.

    The gradient goes through the processor's resizing, both levels and MeanMaxSim. Each step moves every value by
    `settings.step_length` in the direction that lowers the loss, and back into the budget. The model sees 8-bit frames
    at every step, so what is returned scores as it did in the attack; of the steps on "sampled" frames the best is
    returned.

    Args:
        encoder: the model whose gradients are used: that of the victim (white box), or another (grey and black box).
        video: all frames of the video, as `read_all_frames` gives them.
        targets: the queries, encoded by the same model.
        settings: the budget and how hard to try.
        goal: "promote" or "suppress".

    Returns:
        The changed video; each value within `settings.budget` of the original's. Equal arguments give equal frames on
        one machine.

    Raises:
        EncodingError: the model was loaded in a number format without gradients.
        ValueError: there is no target.
    """
    settings = settings or PixelAttackSettings()
    search = _Search(encoder, video, targets, settings, goal)
    losses = [search.step(number) for number in range(settings.steps)]
    losses.append(search.finish())
    return AttackedFramesResult(replace(video, frames=search.result()), losses)


class _Search:
    """One attack on its way.

    Args:
        encoder: the model.
        video: all frames.
        targets: the queries.
        settings: budget and steps.
        goal: "promote" or "suppress".
    """

    def __init__(
        self,
        encoder: VideoColBERTEncoder,
        video: DecodedVideo,
        targets: EncodedQueries,
        settings: PixelAttackSettings,
        goal: AttackGoal,
    ) -> None:
        self._settings = settings
        self._goal: AttackGoal = goal
        self._model = AttackedModel(encoder, targets)
        self._generator = np.random.default_rng(settings.seed)
        device = encoder.model.device
        sampled = sampled_indices(encoder, video)
        self._sampled = sampled
        # The frames that may change; `_places` are those of the sampled ones among them.
        self._changed = sampled if settings.frames == "sampled" else np.arange(len(video.frames))
        self._original = video.frames
        self._clean = torch.from_numpy(video.frames[self._changed]).to(device, torch.float32)
        start = self._generator.uniform(-settings.budget, settings.budget, self._clean.shape)
        self._delta = torch.from_numpy(start).to(self._clean)
        self._delta = self._projected(self._delta)
        self._velocity = torch.zeros_like(self._delta)
        self._sharing: tuple[Tensor, Tensor] | None = None
        self._best: tuple[float, Tensor] | None = None

    def step(self, number: int) -> float:
        """Takes a step; returns the loss before it."""
        places = self._places_of_step()
        loss, gradient = self._loss_and_gradient(places)
        direction, touched = self._direction(gradient, places)
        self._velocity[touched] = self._settings.momentum * self._velocity[touched] + direction
        moved = self._delta[touched] - self._settings.step_length * self._velocity[touched].sign()
        self._delta[touched] = moved
        self._delta = self._projected(self._delta)
        return loss

    def finish(self) -> float:
        """Looks at where the last step led; returns its loss."""
        places = self._places_of(self._sampled)
        loss, _ = self._loss_and_gradient(places, with_gradient=False)
        return loss

    def result(self) -> npt.NDArray[np.uint8]:
        """All frames, those that were changed as their best."""
        delta = self._delta
        if self._settings.frames == "sampled" and self._best is not None:
            delta = self._best[1]
        frames = self._original.copy()
        frames[self._changed] = (self._clean + delta).round().to(torch.uint8).cpu().numpy()
        return frames

    def _projected(self, delta: Tensor) -> Tensor:
        """The nearest change within the budget that leaves values between black and white."""
        delta = delta.clamp(-self._settings.budget, self._settings.budget)
        return (self._clean + delta).clamp(0.0, 255.0) - self._clean

    def _places_of(self, frames: npt.NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.searchsorted(self._changed, frames)).to(self._clean.device)

    def _places_of_step(self) -> Tensor:
        if self._settings.frames == "sampled":
            return self._places_of(self._sampled)
        return self._places_of(
            segment_random_indices(len(self._original), len(self._sampled), self._generator).astype(np.int64)
        )

    def _loss_and_gradient(self, places: Tensor, *, with_gradient: bool = True) -> tuple[float, Tensor]:
        """The loss of the frames at these places, and its gradient."""
        frames = (self._clean[places] + self._delta[places]).requires_grad_(with_gradient)
        with torch.set_grad_enabled(with_gradient):
            found = self._model.scores(frames)
            loss = multi_target_loss(found.scores, self._goal, self._settings.sharpness)
        value = loss.item()
        if self._settings.frames == "sampled" and (self._best is None or value < self._best[0]):
            self._best = (value, self._delta.clone())
        gradient = torch.autograd.grad(loss, frames)[0] if with_gradient else torch.zeros_like(frames)
        return value, gradient

    def _direction(self, gradient: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """The direction of a step, and the places of the frames that it moves."""
        scale = gradient.abs().mean((1, 2, 3), keepdim=True)
        gradient = gradient / scale.clamp(min=torch.finfo(gradient.dtype).tiny)
        if not self._settings.refined:
            return gradient, places
        tokens, segments = self._clean_tokens()
        if len(tokens) != len(self._clean):
            # A model that averages frames has one token for all.
            return gradient, places
        weights = sharing_weights(tokens, self._model.query_tokens, segments, places)
        touched = weights.sum(-1).nonzero()[:, 0]
        return torch.einsum("ts,shwc->thwc", weights[touched], gradient), touched

    @torch.no_grad()
    def _clean_tokens(self) -> tuple[Tensor, Tensor]:
        """The tokens of the unchanged frames, and their segments."""
        if self._sharing is None:
            count = len(self._sampled)
            # As many frames together as the model has positions for; frame tokens know nothing of each other.
            starts = range(0, len(self._clean), count)
            parts = [self._model.scores(self._clean[start : start + count]).frame_tokens for start in starts]
            tokens = torch.cat(parts)
            self._sharing = (tokens, similar_segments(tokens, self._settings.similarity_threshold))
        return self._sharing
