"""Scores of a video for queries, with gradients with respect to the pixels of its frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.level_scores import PaddedLevel, level_scores
from video_colbert.errors import EncodingError
from video_colbert.evaluation.robustness.differentiable_frames import normalize, processed_frames


@dataclass(frozen=True)
class AttackedScores:
    """What one pass of a model gives an attack.

    Attributes:
        scores: [Nq] the video's score for each query, over all levels that count.
        frame_tokens: [T, D] its frame tokens, without gradients; [1, D] of a model that averages frames.
    """

    scores: Tensor
    frame_tokens: Tensor


class AttackedModel:
    """A model as an attack sees it: from frames at their own size to scores, with gradients through all levels.

    Args:
        encoder: the model, in float32 by torch.
        queries: the targets.

    Raises:
        EncodingError: the model has no gradients in the number format that it was loaded in.
    """

    def __init__(self, encoder: VideoColBERTEncoder, queries: EncodedQueries) -> None:
        choice = encoder.format_choice
        if choice.backend != "torch" or choice.number_format not in ("float32", "float64"):
            raise EncodingError(
                f"an attack needs gradients, and {encoder.reference.name} was loaded in {encoder.number_format}; load "
                "it with dtype float32 by torch"
            )
        self._encoder = encoder
        self._queries = with_gradients(queries)

    @property
    def query_tokens(self) -> Tensor:
        """[K, D] the tokens of all targets that count on the frame level."""
        bags = self._queries.bags_of("frame")
        return bags.embeds[bags.mask.bool()]

    def scores(self, frames: Tensor) -> AttackedScores:
        """Scores the frames that a model samples of a video.

        Args:
            frames: [T, H, W, 3] floating point, from 0 to 255, with fractions; the model sees them rounded.
        """
        return self.scores_of_pixels(processed_frames(frames, self._encoder.processor.video_processor.resizing))

    def scores_of_pixels(self, pixels: Tensor) -> AttackedScores:
        """Scores frames of the model's own size.

        Args:
            pixels: [T, 3, height, width] from 0 to 255, such as `processed_frames` gives.
        """
        pixels = normalize(pixels, self._encoder.processor.video_processor)
        video = self._encoder.model.get_video_features(pixels[None], return_dict=True)
        levels = {
            level: PaddedLevel(video[f"{level}_embeds"], video[f"{level}_mask"].bool(), video.get(f"{level}_weights"))
            for level in self._encoder.model.config.levels
        }
        return AttackedScores(level_scores(self._queries, levels)["sum"][:, 0], video.frame_embeds[0].detach())


def with_gradients(queries: EncodedQueries) -> EncodedQueries:
    """The same queries as tensors that a graph may hold: those of an encoder are made without."""

    def usable(bags: QueryBags) -> QueryBags:
        weights = None if bags.token_weights is None else bags.token_weights.clone()
        return replace(bags, embeds=bags.embeds.clone(), mask=bags.mask.clone(), token_weights=weights)

    if torch.is_inference_mode_enabled():
        raise ValueError("an attack takes gradients; call it outside of torch.inference_mode")
    return replace(queries, bags={name: usable(bags) for name, bags in queries.bags.items()})
