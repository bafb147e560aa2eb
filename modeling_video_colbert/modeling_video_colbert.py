"""Video-ColBERT: text-to-video retrieval by late interaction (CVPR 2025, arXiv 2503.19009)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import can_return_tuple

from .backbone_video_colbert import BackboneMixin
from .configuration_video_colbert import VideoColBERTConfig
from .late_interaction import attention_weights
from .outputs_video_colbert import QueryEmbeddings, VideoColBERTOutput, VideoEmbeddings
from .passages_video_colbert import encode_passages, passage_inputs
from .received_attention import cluster_tokens, level_weights, text_attention
from .scoring_video_colbert import ScoringMixin
from .temporal_video_colbert import TemporalTransformer, sinusoidal_positions
from .token_weights_video_colbert import TokenWeights
from .towers_video_colbert import build_image_tower, build_text_tower, encode_frames, text_inputs


class VideoColBERTModel(ScoringMixin, BackboneMixin, PreTrainedModel):
    """Two towers, a temporal transformer, and MeanMaxSim on the frame and on the video level.

    Other models of the literature are configurations of it, see [`VideoColBERTConfig`].

    Args:
        config: The model's configuration.

    Example:
        >>> from video_colbert import VideoColBERTProcessor
        >>> model = VideoColBERTModel.from_backbone("openai/clip-vit-base-patch32", zero_shot=True)
        >>> processor = VideoColBERTProcessor.from_backbone("openai/clip-vit-base-patch32", zero_shot=True)
        >>> output = model(**processor(text=["a dog runs"], videos=["a.mp4", "b.mp4"]))
        >>> output.scores.shape
        torch.Size([1, 2])
    """

    config_class = VideoColBERTConfig
    base_model_prefix = "video_colbert"
    main_input_name = "input_ids"
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
        if config.has_temporal_transformer:
            self.temporal_transformer = TemporalTransformer(config)
        self.token_weights = nn.ModuleDict()
        if config.interaction == "weighted_token_wise":
            for kind in ("query", *config.score_levels):
                self.token_weights[kind] = TokenWeights(config.projection_dim)
        is_one_pair = config.share_logit_parameters or config.loss_type in ("sigmoid", "modality_info_nce")
        num_pairs = 1 if is_one_pair else len(config.score_levels)
        self.logit_scale = nn.Parameter(torch.empty(num_pairs))
        if config.loss_type not in ("info_nce", "modality_info_nce"):
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
            if self.config.passage_levels:
                init.normal_(module.modality_embedding.weight, std=self.config.modality_embedding_std)
                if module.has_frame_residual:
                    init.zeros_(module.passage_output.weight)
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

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replaces the text tower's token embeddings."""
        self.text_model.set_input_embeddings(value)

    @can_return_tuple
    def get_text_features(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
    ) -> QueryEmbeddings:
        """Encodes queries into tokens of the joint space.

        Most towers never see `attention_mask`: CLIP's is causal, SigLIP was trained without one. The outputs at pad
        positions are the paper's soft query expansion.

        Args:
            input_ids: `[B, L]` token ids padded on the right, or `[B, W, L]` for queries of up to `W` windows.
            attention_mask: Of the same shape, 1 on real tokens. Needed for windows, whose absent ones are all
                0, where `config.query_expansion` is off, and for the text tower of VideoPrism.
            output_hidden_states: Whether to return the text tower's hidden states; `None` follows the config.
            output_attentions: Whether to return its attentions; `None` follows the config.

        Returns:
            Query tokens, as a tuple with `return_dict=False`; `Lq` is `L`, `W * L`, or 1 and `W` where
            `config.query_representation` is `"pooled"`.

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
        recorded = self._recorded(output_hidden_states, output_attentions)
        weighs_by_attention = self.config.weighs_by_attention
        inner = {**recorded, "output_hidden_states": recorded["output_hidden_states"] or weighs_by_attention}
        window_mask = None if attention_mask is None else attention_mask.flatten(0, -2)
        hidden = self.text_model(**text_inputs(self.config, windows, window_mask), return_dict=True, **inner)
        if self.config.query_representation == "pooled":
            pooled = self.query_head(hidden.pooler_output)
            tokens = pooled.view(input_ids.shape[0], -1, pooled.shape[-1])
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
            if is_windowed:
                mask = attention_mask.bool().any(-1)
        else:
            tokens = self.query_head(hidden.last_hidden_state)
            tokens = tokens.reshape(input_ids.shape[0], -1, tokens.shape[-1])
            if not self.config.query_expansion:
                mask = attention_mask.bool().flatten(1)
            elif is_windowed:
                mask = attention_mask.bool().any(-1, keepdim=True).expand(input_ids.shape).flatten(1)
            else:
                mask = torch.ones_like(input_ids, dtype=torch.bool)
        weights = self.token_weights["query"](tokens, mask) if "query" in self.token_weights else None
        if weighs_by_attention:
            row_mask = mask.view(windows.shape)
            received = text_attention(self.config, self.text_model, hidden.hidden_states, row_mask)
            weights = attention_weights(received).view(mask.shape) * mask
        return QueryEmbeddings(
            query_embeds=_unit_length(tokens), query_mask=mask, query_weights=weights, **_asked_for(hidden, recorded)
        )

    @can_return_tuple
    def get_video_features(
        self,
        pixel_values_videos: Tensor,
        video_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        passage_input_ids: Tensor | None = None,
        passage_attention_mask: Tensor | None = None,
        frame_sizes: Tensor | None = None,
    ) -> VideoEmbeddings:
        """Encodes videos into frame tokens and video tokens of the joint space.

        Args:
            pixel_values_videos: `[B, T, C, H, W]` normalised frames, padded on the right.
            video_mask: `[B, T]`, true on real frames. `None` means that all are.
            output_hidden_states: Whether to return the hidden states of the image tower and of the temporal
                transformer; `None` follows the config.
            output_attentions: Whether to return their attentions; `None` follows the config.
            passage_input_ids: `[B, M, W, L]` token ids of texts in windows, for the M levels in
                `config.passage_levels`. `None` means that there are no texts.
            passage_attention_mask: Of the same shape, 1 on real tokens; a text that is missing is 0 everywhere.
            frame_sizes: `[B, 2]` height and width of each video's frames, where those of a batch are of several sizes
                (SigLIP 2 NaFlex) and padded on the right and below. `None` means that all are `H` by `W`.

        Returns:
            Frame and video tokens, as a tuple with `return_dict=False`.

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
        recorded = self._recorded(output_hidden_states, output_attentions)
        hidden = encode_frames(
            self.config, self.vision_model, pixel_values_videos, frame_mask, frame_sizes, **recorded
        )
        frame_tokens = self.frame_head(hidden.pooler_output)
        levels, device = self.config.passage_levels, pixel_values_videos.device
        inputs = passage_inputs(levels, batch, passage_input_ids, passage_attention_mask, device)
        passages = None if inputs is None else encode_passages(self.config, self.text_model, self.query_head, *inputs)
        received = contextualised = None
        if self.config.has_temporal_transformer:
            if num_frames > self.config.max_frames and self.config.temporal_position_embedding != "none":
                raise ValueError(
                    f"The videos have {num_frames} frames, but the model has positions for "
                    f"{self.config.max_frames} (max_frames)."
                )
            contextualised = self.temporal_transformer(frame_tokens, frame_mask, passages, **recorded)
            received = contextualised.received_attention
        of_frames = None if received is None else received[:, :num_frames]
        fields = _asked_for(hidden, recorded)
        if (budget := self.config.token_budget) is not None and contextualised is not None:
            guiding = contextualised.expansion_attention
            clusters = cluster_tokens(frame_tokens, frame_mask, guiding[:, :num_frames], budget)
            frame_tokens, frame_mask, fields["frame_centres"] = clusters
            tokens, mask, _ = cluster_tokens(contextualised.tokens, contextualised.token_mask, guiding, budget)
            contextualised = contextualised._replace(tokens=tokens, token_mask=mask)
        fields |= self._level("frame", frame_tokens, frame_mask, of_frames)
        if contextualised is None and "video" in self.config.score_levels:
            fields |= self._level(
                "video", self.frame_head(hidden.video_pooler_output), frame_mask.any(1, keepdim=True)
            )
        if contextualised is not None:
            num_tokens = contextualised.tokens.shape[1]
            of_video = None if received is None else received[:, :num_tokens]
            fields |= self._level("video", contextualised.tokens, contextualised.token_mask, of_video)
            for level, part in zip(levels, () if passages is None else passages.parts(), strict=True):
                of_level = None if received is None else received[:, num_tokens:][:, part]
                fields |= self._level(level, contextualised.passages[:, part], passages.mask[:, part], of_level)
            fields["temporal_hidden_states"] = contextualised.hidden_states
            fields["temporal_attentions"] = contextualised.attentions
        return VideoEmbeddings(**fields)

    def _recorded(self, output_hidden_states: bool | None, output_attentions: bool | None) -> dict[str, bool]:
        """Decides what is returned beside tokens."""
        asked = {"output_hidden_states": output_hidden_states, "output_attentions": output_attentions}
        return {name: getattr(self.config, name) if value is None else value for name, value in asked.items()}

    def _level(self, level: str, tokens: Tensor, mask: Tensor, received: Tensor | None = None) -> dict[str, Any]:
        """Makes the fields of a level.

        Args:
            level: Its name.
            tokens: `[B, N, D]` tokens before normalisation.
            mask: `[B, N]`, true on the tokens that count.
            received: `[B, N]` attention that they receive, where they are weighed by it.
        """
        if self.config.video_representation == "mean":
            # Normalised, averaged and, below, normalised again (arXiv 2104.08860); a sum has the mean's direction.
            tokens = _unit_length(tokens).masked_fill(~mask[:, :, None], 0.0).sum(1, keepdim=True)
            mask = mask.any(1, keepdim=True)
        weights = self.token_weights[level](tokens, mask) if level in self.token_weights else None
        if received is not None:
            weights = level_weights(self.config, received, mask, self.training)
        return {f"{level}_embeds": _unit_length(tokens), f"{level}_mask": mask, f"{level}_weights": weights}

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        attention_mask: Tensor | None = None,
        video_mask: Tensor | None = None,
        positive_mask: Tensor | None = None,
        return_loss: bool = False,
        return_scores: bool = True,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        passage_input_ids: Tensor | None = None,
        passage_attention_mask: Tensor | None = None,
        query_levels: Tensor | None = None,
        frame_sizes: Tensor | None = None,
    ) -> VideoColBERTOutput:
        """Encodes queries and videos and scores every pair; of one side alone, gives its tokens and no scores.

        Args:
            input_ids: `[Nq, L]` or `[Nq, W, L]`, see [`~VideoColBERTModel.get_text_features`].
            pixel_values_videos: `[Nv, T, C, H, W]`, see [`~VideoColBERTModel.get_video_features`].
            attention_mask: Of the shape of `input_ids`.
            video_mask: `[Nv, T]`.
            positive_mask: `[Nq, Nv]`, true on the pairs that belong together. `None` means the diagonal.
            return_loss: Whether to compute the loss.
            return_scores: Whether to score the pairs; off where a training step scores them across batches.
            output_hidden_states: Whether `query` and `video` hold hidden states; `None` follows the config.
            output_attentions: Whether they hold attentions; `None` follows the config.
            passage_input_ids: `[Nv, M, W, L]`, see [`~VideoColBERTModel.get_video_features`].
            passage_attention_mask: Of the same shape.
            query_levels: `[Nq]`, see [`~VideoColBERTModel.loss`].
            frame_sizes: `[Nv, 2]`, see [`~VideoColBERTModel.get_video_features`].

        Returns:
            Scores, tokens and, if asked for, the loss; as a tuple of those that are set with `return_dict=False`.

        Raises:
            ValueError: If a shape is wrong, a loss is asked for without scores or of one side alone, or nothing is
                given.
        """
        has_both = input_ids is not None and pixel_values_videos is not None
        if return_loss and not (return_scores and has_both):
            raise ValueError("return_loss=True needs return_scores=True, input_ids and pixel_values_videos.")
        if input_ids is None and pixel_values_videos is None:
            raise ValueError("input_ids or pixel_values_videos must be given, or both for scores.")
        recorded = self._recorded(output_hidden_states, output_attentions)
        fields: dict[str, Any] = {}
        if input_ids is not None:
            query = self.get_text_features(input_ids, attention_mask, **recorded, return_dict=True)
            fields |= {"text_embeds": query.query_embeds, "query": query}
        if pixel_values_videos is not None:
            others = {"passage_input_ids": passage_input_ids, "passage_attention_mask": passage_attention_mask}
            others["frame_sizes"] = frame_sizes
            video = self.get_video_features(pixel_values_videos, video_mask, **others, **recorded, return_dict=True)
            fields |= {"video_embeds": video.video_embeds, "video": video}
        if has_both and return_scores:
            scores = self.score(query, video)
            fields |= {**scores, "logits_per_text": scores.scores, "logits_per_video": scores.scores.T}
            if return_loss:
                fields["loss"], fields["level_losses"] = self.loss(scores, positive_mask, query_levels)
        return VideoColBERTOutput(**fields)


def _unit_length(tokens: Tensor) -> Tensor:
    """Divides vectors by their L2 norm, taken in float32, or in float64 where they are float64."""
    exact = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
    return F.normalize(exact, dim=-1).to(tokens.dtype)


def _asked_for(tower: Any, recorded: dict[str, bool]) -> dict[str, Any]:
    """Takes the fields that were asked for out of a tower's output."""
    fields: dict[str, Any] = {}
    if recorded["output_hidden_states"]:
        fields |= {"last_hidden_state": tower.last_hidden_state, "hidden_states": tower.hidden_states}
    if recorded["output_attentions"]:
        fields["attentions"] = tower.attentions
    return fields


__all__ = ["VideoColBERTModel"]
