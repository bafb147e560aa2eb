"""Scores of queries and videos, and the losses on them: what a Video-ColBERT model does with tokens."""

from typing import Any

import torch
from torch import Tensor, nn

from .configuration_video_colbert import LEVELS
from .late_interaction import interaction_scores
from .level_scoring import best_level, best_token, sum_of_levels
from .losses_video_colbert import (
    calibrated_logit_bias,
    info_nce_loss,
    level_distillation_loss,
    modality_info_nce_loss,
    positive_pairs,
    sigmoid_loss,
)
from .outputs_video_colbert import QueryEmbeddings, VideoColBERTScores, VideoEmbeddings


class ScoringMixin:
    """The methods of a model that need its tokens only, not its towers.

    Attributes:
        config: The model's [`VideoColBERTConfig`].
        logit_scale: Temperatures of the loss, logarithms; one, or one a level.
        logit_bias: Biases of the sigmoid loss, as many.
    """

    config: Any
    logit_scale: nn.Parameter
    logit_bias: nn.Parameter

    def score(self, query: QueryEmbeddings, video: VideoEmbeddings) -> VideoColBERTScores:
        """Scores every query against every video, by default `MMS(Q, F) + MMS(Q, V)`, and on each level alone.

        With `config.level_weights` the sum is `w_F MMS(Q, F) + w_V MMS(Q, V)`.

        Args:
            query: Query tokens of `Nq` queries.
            video: Video tokens of `Nv` videos.

        Returns:
            `[Nq, Nv]` scores.
        """
        levels = {
            level: interaction_scores(
                self.config.interaction,
                query.query_embeds,
                video[f"{level}_embeds"],
                query.query_mask,
                video.get(f"{level}_mask"),
                query.query_weights,
                video.get(f"{level}_weights"),
            )
            for level in LEVELS
            if video.get(f"{level}_embeds") is not None
        }
        counted = self.config.score_levels
        if self.config.level_scoring == "token_max":
            bags = [(video[f"{level}_embeds"], video[f"{level}_mask"]) for level in counted]
            total = best_token(query.query_embeds, query.query_mask, bags)
        elif self.config.level_scoring == "modality_max":
            total = best_level([levels[level] for level in counted])
        else:
            weights = self.config.weights_of_levels
            total = sum_of_levels([weights[level] * levels[level] for level in counted if weights[level]])
        return VideoColBERTScores(scores=total, **{f"{level}_scores": scores for level, scores in levels.items()})

    def loss(
        self, scores: VideoColBERTScores, positive_mask: Tensor | None = None, query_levels: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Computes the training loss, by default the dual sigmoid loss `lambda_F L_F + lambda_V L_V`.

        Args:
            scores: Scores of one batch.
            positive_mask: `[Nq, Nv]`, true on the pairs that belong together. `None` means the diagonal.
            query_levels: `[Nq]`, for each query the number in `config.score_levels` of the level that answers it, or
                -1 where that is not known; read where `config.modality_loss` says so.

        Returns:
            The loss, and its parts before their weights, by name: each level's, and `"distillation"` where levels
            learn from each other.
        """
        positive_mask = positive_pairs(scores.scores, positive_mask)
        if self.config.loss_type == "sigmoid":
            total = sigmoid_loss(scores.scores, positive_mask, self.logit_scale[0], self.logit_bias[0])
            return total, {"sum": total}
        if self.config.loss_type == "modality_info_nce":
            levels = torch.stack([scores[f"{level}_scores"] for level in self.config.score_levels])
            total = modality_info_nce_loss(
                levels, positive_mask, self.logit_scale[0], query_levels, self.config.modality_loss
            )
            return total, {"modality": total}
        weights = dict.fromkeys(LEVELS, self.config.passage_loss_weight)
        weights |= {"frame": self.config.frame_loss_weight, "video": self.config.video_loss_weight}
        losses = {}
        for index, level in enumerate(self.config.score_levels):
            index = min(index, self.logit_scale.shape[0] - 1)
            level_scores = scores[f"{level}_scores"]
            if self.config.loss_type == "info_nce":
                losses[level] = info_nce_loss(level_scores, positive_mask, self.logit_scale[index])
            else:
                losses[level] = sigmoid_loss(
                    level_scores, positive_mask, self.logit_scale[index], self.logit_bias[index]
                )
        if self.config.level_distillation is not None:
            scales = self.logit_scale.exp().expand(len(self.config.score_levels))
            logits = {
                level: scale * scores[f"{level}_scores"]
                for level, scale in zip(self.config.score_levels, scales, strict=True)
            }
            losses["distillation"] = level_distillation_loss(logits, self.config.level_distillation)
            weights["distillation"] = self.config.level_distillation_weight
        total = torch.stack([weights[level] * value for level, value in losses.items()]).sum()
        return total, losses

    @torch.no_grad()
    def calibrate_logit_bias(self, scores: VideoColBERTScores, positive_mask: Tensor | None = None) -> None:
        """Sets the bias of the sigmoid loss from the scores of a first batch, and records it in the config.

        Args:
            scores: Scores of the first global batch, before any training step.
            positive_mask: `[Nq, Nv]`, as for [`~VideoColBERTModel.loss`].

        Raises:
            ValueError: If the loss has no bias or the batch no negative pair.
        """
        if not hasattr(self, "logit_bias"):
            raise ValueError(f"loss_type={self.config.loss_type!r} has no bias to calibrate.")
        positive_mask = positive_pairs(scores.scores, positive_mask)
        if self.config.loss_type == "sigmoid":
            matrices = [scores.scores]
        else:
            matrices = [scores[f"{level}_scores"] for level in self.config.score_levels]
        scales = self.logit_scale.expand(len(matrices))
        biases = torch.stack(
            [
                calibrated_logit_bias(matrix, positive_mask, scale)
                for matrix, scale in zip(matrices, scales, strict=True)
            ]
        )
        self.logit_bias.copy_(biases.mean() if self.logit_bias.numel() == 1 else biases)
        self.config.logit_bias_calibration = self.logit_bias.tolist()


__all__ = ["ScoringMixin"]
