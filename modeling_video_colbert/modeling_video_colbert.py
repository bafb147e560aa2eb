"""Video-ColBERT: text-to-video retrieval by late interaction (CVPR 2025, arXiv 2503.19009)."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, logging

from .configuration_video_colbert import VideoColBERTConfig
from .late_interaction import interaction_scores
from .losses_video_colbert import calibrated_logit_bias, info_nce_loss, sigmoid_loss
from .temporal_video_colbert import TemporalTransformer, sinusoidal_positions
from .token_weights_video_colbert import TokenWeights
from .towers_video_colbert import (
    backbone_projection_dim,
    build_image_tower,
    build_text_tower,
    copy_backbone_weights,
    tower_family,
)

logger = logging.get_logger(__name__)

# ModelOutput wants a default for every field but the first, also for those that are always set.
_ALWAYS_SET: Any = None


@dataclass
class QueryEmbeddings(ModelOutput):
    """Query tokens.

    Attributes:
        query_embeds: `[B, Lq, D]`, each of unit length.
        query_mask: `[B, Lq]`, true on the tokens that count.
        query_weights: `[B, Lq]`, 0 on the tokens that do not count and summing to 1 over the others. `None` unless
            `config.interaction` is `"weighted_token_wise"`.
    """

    query_embeds: Tensor = _ALWAYS_SET
    query_mask: Tensor = _ALWAYS_SET
    query_weights: Tensor | None = None


@dataclass
class VideoEmbeddings(ModelOutput):
    """Video tokens of both levels.

    Attributes:
        frame_embeds: `[B, T, D]` frame tokens, each of unit length.
        video_embeds: `[B, T + E, D]` contextualised frame tokens, then visual expansion tokens, each of unit
            length. `None` in a model without the video level.
        frame_mask: `[B, T]`, true on real frames.
        video_mask: `[B, T + E]`, true on real frames and on expansion tokens.
        frame_weights: `[B, T]`, weights of frame tokens like those of [`QueryEmbeddings`]. `None` in a model that
            does not score by them.
        video_weights: `[B, T + E]`, likewise.

    Where `config.video_representation` is `"mean"`, `T` and `T + E` are 1: a level is one vector.
    """

    frame_embeds: Tensor = _ALWAYS_SET
    video_embeds: Tensor | None = None
    frame_mask: Tensor = _ALWAYS_SET
    video_mask: Tensor | None = None
    frame_weights: Tensor | None = None
    video_weights: Tensor | None = None


@dataclass
class VideoColBERTScores(ModelOutput):
    """Scores of every query with every video.

    Attributes:
        scores: `[Nq, Nv]`, the sum of the levels in `config.score_levels`.
        frame_scores: `[Nq, Nv]`, `config.interaction` over frame tokens.
        video_scores: `[Nq, Nv]`, `config.interaction` over video tokens. `None` in a model without the video level.
    """

    scores: Tensor = _ALWAYS_SET
    frame_scores: Tensor = _ALWAYS_SET
    video_scores: Tensor | None = None


@dataclass
class VideoColBERTOutput(ModelOutput):
    """Output of [`VideoColBERTModel.forward`].

    Attributes:
        loss: Scalar, if `return_loss`.
        level_losses: The loss of each trained level before weighting, by name, if `return_loss`.
        scores: `[Nq, Nv]`, see [`VideoColBERTScores`]; `None` if not `return_scores`, as are the next two.
        frame_scores: `[Nq, Nv]`.
        video_scores: `[Nq, Nv]`.
        query: Query tokens, [`QueryEmbeddings`].
        video: Video tokens, [`VideoEmbeddings`].
    """

    loss: Tensor | None = None
    level_losses: dict[str, Tensor] | None = None
    scores: Tensor | None = None
    frame_scores: Tensor | None = None
    video_scores: Tensor | None = None
    query: QueryEmbeddings = _ALWAYS_SET
    video: VideoEmbeddings = _ALWAYS_SET


class VideoColBERTModel(PreTrainedModel):
    """Two towers, a temporal transformer, and MeanMaxSim on the frame and on the video level.

    Other models of the literature are configurations of it, see [`VideoColBERTConfig`].

    Args:
        config: The model's configuration.
    """

    config_class = VideoColBERTConfig
    base_model_prefix = "video_colbert"
    main_input_name = "pixel_values_videos"
    input_modalities = ("video", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _no_split_modules = ("TemporalLayer",)  # the towers add their own

    def __init__(self, config: VideoColBERTConfig) -> None:
        super().__init__(config)
        self.text_model, self.query_head = build_text_tower(config)
        self.vision_model, self.frame_head = build_image_tower(config)
        if "video" in config.score_levels:
            self.temporal_transformer = TemporalTransformer(config)
        self.token_weights = nn.ModuleDict()
        if config.interaction == "weighted_token_wise":
            for kind in ("query", *config.score_levels):
                self.token_weights[kind] = TokenWeights(config.projection_dim)
        is_one_pair = config.share_logit_parameters or config.loss_type == "sigmoid"
        num_pairs = 1 if is_one_pair else len(config.score_levels)
        self.logit_scale = nn.Parameter(torch.empty(num_pairs))
        if config.loss_type != "info_nce":
            self.logit_bias = nn.Parameter(torch.empty(num_pairs))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, TemporalTransformer):
            init.normal_(module.expansion_tokens, std=self.config.initializer_range)
            if module.position_kind == "learned":
                init.normal_(module.position_embedding.weight, std=self.config.temporal_position_std)
            if module.has_frame_residual:
                init.zeros_(module.frame_output.weight)
            if module.position_kind == "sinusoidal":
                table = sinusoidal_positions(self.config.max_frames, self.config.projection_dim)
                init.copy_(module.position_table, table)
        elif isinstance(module, VideoColBERTModel):
            init.constant_(module.logit_scale, self.config.logit_scale_init)
            if hasattr(module, "logit_bias"):
                init.constant_(module.logit_bias, self.config.logit_bias_init)

    def get_input_embeddings(self) -> nn.Module:
        """Returns the text tower's token embeddings."""
        embeddings: nn.Module = self.text_model.get_input_embeddings()
        return embeddings

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> QueryEmbeddings:
        """Encodes queries into tokens of the joint space.

        The towers never see `attention_mask`: CLIP's is causal, SigLIP was trained without one, and the
        outputs at pad positions are the paper's soft query expansion.

        Args:
            input_ids: `[B, L]` token ids padded on the right, or `[B, W, L]` for queries of up to `W` windows.
            attention_mask: Of the same shape, 1 on real tokens. Needed for windows, whose absent ones are all
                0, and where `config.query_expansion` is off.

        Returns:
            Query tokens; `Lq` is `L`, `W * L`, or 1 where `config.query_representation` is `"pooled"`.

        Raises:
            ValueError: If a shape is wrong or `attention_mask` is missing.
        """
        if input_ids.dim() not in (2, 3):
            raise ValueError(f"input_ids must be [B, L] or [B, W, L], not {list(input_ids.shape)}.")
        is_windowed = input_ids.dim() == 3
        if attention_mask is None and (is_windowed or not self.config.query_expansion):
            raise ValueError(
                "attention_mask is needed for queries in windows and for models without query expansion; "
                "pass the processor's."
            )
        windows = input_ids.flatten(0, -2)
        hidden = self.text_model(input_ids=windows)
        if self.config.query_representation == "pooled":
            if is_windowed:
                raise ValueError(f"A pooled query takes one window, [B, L], not {list(input_ids.shape)}.")
            tokens = self.query_head(hidden.pooler_output)[:, None]
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
            return self._query_embeddings(tokens, mask)
        tokens = self.query_head(hidden.last_hidden_state)
        if not self.config.query_expansion:
            mask = attention_mask.bool()
        elif is_windowed:
            mask = attention_mask.bool().any(-1, keepdim=True).expand(input_ids.shape)
        else:
            mask = torch.ones_like(input_ids, dtype=torch.bool)
        tokens = tokens.reshape(input_ids.shape[0], -1, tokens.shape[-1])
        return self._query_embeddings(tokens, mask.flatten(1))

    def get_video_features(self, pixel_values_videos: Tensor, video_mask: Tensor | None = None) -> VideoEmbeddings:
        """Encodes videos into frame tokens and video tokens of the joint space.

        Args:
            pixel_values_videos: `[B, T, C, H, W]` normalised frames, padded on the right.
            video_mask: `[B, T]`, true on real frames. `None` means that all are.

        Returns:
            Frame and video tokens.

        Raises:
            ValueError: If a shape is wrong or there are more frames than temporal positions.
        """
        if pixel_values_videos.dim() != 5:
            raise ValueError(f"pixel_values_videos must be [B, T, C, H, W], not {list(pixel_values_videos.shape)}.")
        batch, num_frames = pixel_values_videos.shape[:2]
        if video_mask is None:
            video_mask = torch.ones(batch, num_frames, dtype=torch.bool, device=pixel_values_videos.device)
        elif video_mask.shape != (batch, num_frames):
            raise ValueError(
                f"video_mask is {list(video_mask.shape)}; with pixel_values_videos "
                f"{list(pixel_values_videos.shape)} it must be {[batch, num_frames]}."
            )
        frame_mask = video_mask.bool()
        pooled = self.vision_model(pixel_values=pixel_values_videos.flatten(0, 1)).pooler_output
        frame_tokens = self.frame_head(pooled).view(batch, num_frames, -1)
        embeddings = VideoEmbeddings()
        self._add_level(embeddings, "frame", frame_tokens, frame_mask)
        if "video" in self.config.score_levels:
            if num_frames > self.config.max_frames and self.config.temporal_position_embedding != "none":
                raise ValueError(
                    f"The videos have {num_frames} frames, but the model has positions for "
                    f"{self.config.max_frames} (max_frames)."
                )
            video_tokens, token_mask = self.temporal_transformer(frame_tokens, frame_mask)
            self._add_level(embeddings, "video", video_tokens, token_mask)
        return embeddings

    def _query_embeddings(self, tokens: Tensor, mask: Tensor) -> QueryEmbeddings:
        """Makes query embeddings of `[B, Lq, D]` tokens before normalisation and their `[B, Lq]` mask."""
        embeddings = QueryEmbeddings(query_embeds=_unit_length(tokens), query_mask=mask)
        if "query" in self.token_weights:
            embeddings.query_weights = self.token_weights["query"](tokens, mask)
        return embeddings

    def _add_level(self, embeddings: VideoEmbeddings, level: str, tokens: Tensor, mask: Tensor) -> None:
        """Adds a level, of `[B, N, D]` tokens before normalisation and their `[B, N]` mask, to video embeddings."""
        if self.config.video_representation == "mean":
            # Normalised, averaged and, below, normalised again (arXiv 2104.08860); a sum has the mean's direction.
            tokens = _unit_length(tokens).masked_fill(~mask[:, :, None], 0.0).sum(1, keepdim=True)
            mask = mask.any(1, keepdim=True)
        embeddings[f"{level}_embeds"] = _unit_length(tokens)
        embeddings[f"{level}_mask"] = mask
        if level in self.token_weights:
            embeddings[f"{level}_weights"] = self.token_weights[level](tokens, mask)

    def score(self, query: QueryEmbeddings, video: VideoEmbeddings) -> VideoColBERTScores:
        """Scores every query against every video, by default `MMS(Q, F) + MMS(Q, V)`, and on each level alone.

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
            for level in ("frame", "video")
            if video.get(f"{level}_embeds") is not None
        }
        total = torch.stack([levels[level] for level in self.config.score_levels]).sum(0)
        return VideoColBERTScores(scores=total, frame_scores=levels["frame"], video_scores=levels.get("video"))

    def loss(
        self, scores: VideoColBERTScores, positive_mask: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Computes the training loss, by default the dual sigmoid loss `lambda_F L_F + lambda_V L_V`.

        Args:
            scores: Scores of one batch.
            positive_mask: `[Nq, Nv]`, true on the pairs that belong together. `None` means the diagonal.

        Returns:
            The loss, and the loss of each level before its weight, by name.
        """
        positive_mask = _positive_mask(scores, positive_mask)
        if self.config.loss_type == "sigmoid":
            total = sigmoid_loss(scores.scores, positive_mask, self.logit_scale[0], self.logit_bias[0])
            return total, {"sum": total}
        weights = {"frame": self.config.frame_loss_weight, "video": self.config.video_loss_weight}
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
        if self.config.loss_type == "info_nce":
            raise ValueError("loss_type='info_nce' has no bias to calibrate.")
        positive_mask = _positive_mask(scores, positive_mask)
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

    def forward(
        self,
        input_ids: Tensor,
        pixel_values_videos: Tensor,
        attention_mask: Tensor | None = None,
        video_mask: Tensor | None = None,
        positive_mask: Tensor | None = None,
        return_loss: bool = False,
        return_scores: bool = True,
    ) -> VideoColBERTOutput:
        """Encodes queries and videos and scores every pair.

        Args:
            input_ids: `[Nq, L]` or `[Nq, W, L]`, see [`~VideoColBERTModel.get_text_features`].
            pixel_values_videos: `[Nv, T, C, H, W]`, see [`~VideoColBERTModel.get_video_features`].
            attention_mask: Of the shape of `input_ids`.
            video_mask: `[Nv, T]`.
            positive_mask: `[Nq, Nv]`, true on the pairs that belong together. `None` means the diagonal.
            return_loss: Whether to compute the loss.
            return_scores: Whether to score the pairs; off where a training step scores them across batches.

        Returns:
            Scores, tokens and, if asked for, the loss.

        Raises:
            ValueError: If a shape is wrong, or a loss is asked for without scores.
        """
        query = self.get_text_features(input_ids, attention_mask)
        video = self.get_video_features(pixel_values_videos, video_mask)
        if not return_scores:
            if return_loss:
                raise ValueError("return_loss=True needs return_scores=True.")
            return VideoColBERTOutput(query=query, video=video)
        scores = self.score(query, video)
        loss, level_losses = self.loss(scores, positive_mask) if return_loss else (None, None)
        return VideoColBERTOutput(loss=loss, level_losses=level_losses, query=query, video=video, **scores)

    @classmethod
    def from_backbone(
        cls,
        name_or_path: str | Path,
        zero_shot: bool = False,
        *,
        revision: str = "main",
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        dtype: torch.dtype | str = torch.float32,
        attn_implementation: str | None = None,
        **config_overrides: Any,
    ) -> "VideoColBERTModel":
        """Builds a model from the towers of a CLIP, SigLIP or fixed-resolution SigLIP 2 checkpoint.

        Weights are copied by name; what is left out and what stays at its initial value is logged.

        Args:
            name_or_path: Hub id or local folder of the backbone.
            zero_shot: Whether to build the backbone's own retrieval model, which needs no training: its
                pooled text vector against its frame vectors, without the video level.
            revision: Branch, tag or commit on the Hub.
            token: Hub token, or whether to use the stored one.
            cache_dir: Where downloads are kept.
            local_files_only: Whether to stay off the network.
            dtype: Type of the weights.
            attn_implementation: Attention of the towers, such as `"sdpa"`.
            **config_overrides: Fields of [`VideoColBERTConfig`].

        Returns:
            The model, in evaluation mode.

        Raises:
            ValueError: If the checkpoint is of another kind, lacks weights or does not fit the overrides.
        """
        hub = {
            "revision": revision,
            "token": token,
            "cache_dir": cache_dir,
            "local_files_only": local_files_only,
        }
        backbone_config = AutoConfig.from_pretrained(name_or_path, **hub)
        family = tower_family(backbone_config.model_type)
        backbone, report = family.backbone_class.from_pretrained(
            name_or_path, config=backbone_config, dtype=dtype, output_loading_info=True, **hub
        )
        if report["missing_keys"]:
            raise ValueError(f"Checkpoint {name_or_path} lacks the weights {sorted(report['missing_keys'])}.")
        fields: dict[str, Any] = {
            "text_config": backbone_config.text_config.to_dict(),
            "vision_config": backbone_config.vision_config.to_dict(),
            "projection_dim": backbone_projection_dim(backbone_config),
            "backbone": None if Path(name_or_path).is_dir() else str(name_or_path),
        }
        if zero_shot:
            fields |= {
                "score_levels": ["frame"],
                "query_representation": "pooled",
                # SigLIP pools the last position of its full table, so a shorter query is another query.
                "query_length": backbone_config.text_config.max_position_embeddings,
            }
        if config_overrides.get("temporal_init") == "clip":
            text_config = backbone_config.text_config
            fields |= {
                "temporal_num_heads": text_config.num_attention_heads,
                "temporal_intermediate_size": text_config.intermediate_size,
                "temporal_hidden_act": text_config.hidden_act,
            }
        config = cls.config_class(**(fields | config_overrides))
        if attn_implementation is not None:
            config._attn_implementation = attn_implementation
        model: VideoColBERTModel = cls(config).to(backbone.dtype)
        left_out, initial = copy_backbone_weights(model, backbone)
        logger.info("Weights of %s that are not used: %s.", name_or_path, ", ".join(left_out) or "none")
        if not zero_shot:
            modules = Counter(name.partition(".")[0] for name in initial)
            logger.warning(
                "Not in %s and so at their initial values: %s. Train the model, or use zero_shot=True to search with "
                "the backbone as it is.",
                name_or_path,
                ", ".join(f"{module} ({count} tensors)" for module, count in sorted(modules.items())),
            )
        model.eval()
        return model


def _unit_length(tokens: Tensor) -> Tensor:
    """Divides vectors by their L2 norm, taken in float32."""
    return F.normalize(tokens.float(), dim=-1).to(tokens.dtype)


def _positive_mask(scores: VideoColBERTScores, positive_mask: Tensor | None) -> Tensor:
    """Checks the mask of positive pairs, or makes the diagonal one."""
    shape = scores.scores.shape
    if positive_mask is None:
        if shape[0] != shape[1]:
            raise ValueError(
                f"positive_mask is needed for {shape[0]} queries and {shape[1]} videos: which belong together?"
            )
        return torch.eye(shape[0], dtype=torch.bool, device=scores.scores.device)
    if positive_mask.shape != shape:
        raise ValueError(f"positive_mask is {list(positive_mask.shape)}; it must be {list(shape)}.")
    return positive_mask.bool()


__all__ = [
    "QueryEmbeddings",
    "VideoColBERTModel",
    "VideoColBERTOutput",
    "VideoColBERTScores",
    "VideoEmbeddings",
]
