"""What the fields of a configuration must be for a model to be built from them."""

from typing import Any

PASSAGE_LEVELS = ("speech", "screen_text", "description")
"""Levels of texts, in the order of their modality embeddings."""

LEVELS = ("frame", "video", *PASSAGE_LEVELS)
"""All levels that a model may have."""

# By the model type of the whole backbone, those of its text tower and of its image tower.
_TOWER_TYPES = {
    family: (f"{family}_text_model", f"{family}_vision_model")
    for family in ("clip", "metaclip_2", "siglip", "siglip2", "videoprism")
} | {"pe_video": ("modernbert", "pe_video_encoder")}
TEXT_MODEL_TYPES = tuple(text for text, _ in _TOWER_TYPES.values())
VISION_MODEL_TYPES = tuple(vision for _, vision in _TOWER_TYPES.values())
# Of families whose towers give vectors of the joint space: where a text tower's width stands.
_TEXT_WIDTHS = {"siglip": "projection_size", "siglip2": "projection_size", "videoprism": "hidden_size"}
_VIDEO_FAMILIES = ("videoprism", "pe_video")


def family_type(model_type: str) -> str:
    """The model type of the backbone that a tower is of: `metaclip_2` of `metaclip_2_text_model`, and of itself.

    Also of the larger model that a backbone is a part of: `pe_video` of `pe_audio_video`.
    """
    if model_type == "pe_audio_video":
        return "pe_video"
    return next((family for family, towers in _TOWER_TYPES.items() if model_type in towers), model_type)


class ConfigurationChecksMixin:
    """The checks of [`VideoColBERTConfig`], each of which raises a `ValueError` that names the field."""

    attention_layer: Any
    attention_length: Any
    has_temporal_transformer: Any
    interaction: Any
    level_distillation: Any
    level_scoring: Any
    level_weights: Any
    loss_type: Any
    passage_length: Any
    passage_levels: Any
    projection_dim: Any
    query_length: Any
    query_representation: Any
    query_windows: Any
    score_levels: Any
    temporal_dropout: Any
    temporal_num_heads: Any
    temporal_num_layers: Any
    temporal_position_embedding: Any
    text_config: Any
    token_budget: Any
    video_representation: Any
    video_tokens: Any
    vision_config: Any
    weighs_by_attention: Any
    weights_of_levels: Any

    def validate_towers(self) -> None:
        """Checks that both towers are of one supported family and fit `projection_dim`."""
        if self.text_config.model_type not in TEXT_MODEL_TYPES:
            raise ValueError(
                f"text_config.model_type is {self.text_config.model_type!r}; supported are {TEXT_MODEL_TYPES}."
            )
        if self.vision_config.model_type not in VISION_MODEL_TYPES:
            raise ValueError(
                f"vision_config.model_type is {self.vision_config.model_type!r}; supported are {VISION_MODEL_TYPES}."
            )
        if family_type(self.text_config.model_type) != family_type(self.vision_config.model_type):
            raise ValueError(
                f"text_config.model_type {self.text_config.model_type!r} and vision_config.model_type "
                f"{self.vision_config.model_type!r} must be of one family."
            )
        family = family_type(self.text_config.model_type)
        if family in _TEXT_WIDTHS:
            widths = {
                "query_head": getattr(self.text_config, _TEXT_WIDTHS[family]),
                "frame_head": self.vision_config.hidden_size,
            }
            for field, width in widths.items():
                if getattr(self, field) == "pretrained" and width != self.projection_dim:
                    raise ValueError(
                        f"{field}='pretrained' gives vectors of width {width}, but projection_dim is "
                        f"{self.projection_dim}; use projection_dim={width} or {field}='linear'."
                    )
        if self.video_tokens == "tower" and family not in _VIDEO_FAMILIES:
            raise ValueError(
                f"video_tokens='tower' needs a tower of videos ({', '.join(_VIDEO_FAMILIES)}); that of {family!r} "
                "sees frames one by one: use 'temporal_transformer'."
            )

    def validate_query(self) -> None:
        """Checks the query fields."""
        limit = self.text_config.max_position_embeddings
        if not 1 <= self.query_length <= limit:
            raise ValueError(
                f"query_length is {self.query_length}; the text tower has positions for 1 to {limit} tokens."
            )

    def validate_attention(self) -> None:
        """Checks what an interaction by attention needs."""
        if not self.weighs_by_attention:
            return
        if not self.has_temporal_transformer:
            raise ValueError(
                f"interaction={self.interaction!r} needs the level 'video' in score_levels: frames attend to each "
                "other in its temporal transformer only."
            )
        if (family := family_type(self.text_config.model_type)) in _VIDEO_FAMILIES:
            raise ValueError(
                f"interaction={self.interaction!r} takes the attention of the text tower, which is not read out of "
                f"that of {family!r}; use another interaction or backbone."
            )
        if self.query_representation != "tokens" or self.video_representation != "tokens":
            raise ValueError(
                f"interaction={self.interaction!r} needs query_representation='tokens' and "
                "video_representation='tokens': one vector is not weighed against others."
            )
        depth = min(self.text_config.num_hidden_layers, self.temporal_num_layers)
        if not -depth <= self.attention_layer < depth:
            raise ValueError(
                f"attention_layer is {self.attention_layer}; the shallower of text tower and temporal transformer has "
                f"{depth} layers."
            )
        if self.attention_length is not None and self.attention_length < 1:
            raise ValueError(f"attention_length is {self.attention_length}; it must be at least 1, or None.")

    def validate_token_budget(self) -> None:
        """Checks what clusters of tokens need."""
        if self.token_budget is None:
            return
        if self.token_budget < 1:
            raise ValueError(f"token_budget is {self.token_budget}; it must be at least 1, or None.")
        is_plain = self.interaction in ("mean_max_sim", "max_sim") and self.video_representation == "tokens"
        if not (is_plain and self.has_temporal_transformer):
            raise ValueError(
                "token_budget needs the level 'video' of a temporal transformer, video_representation='tokens' and an "
                "interaction without weights of tokens, 'mean_max_sim' or 'max_sim'."
            )

    def validate_levels(self) -> None:
        """Checks `score_levels` and what the chosen loss needs of them."""
        if not self.score_levels or len(set(self.score_levels)) != len(self.score_levels):
            raise ValueError(f"score_levels is {self.score_levels}; it names one or some of {LEVELS}, each once.")
        if unknown := set(self.score_levels) - set(LEVELS):
            raise ValueError(f"score_levels names {sorted(unknown)}; the levels are {LEVELS}.")
        if self.passage_levels and not self.has_temporal_transformer:
            raise ValueError(
                f"score_levels is {self.score_levels}; {self.passage_levels} need 'video', whose temporal transformer "
                "(video_tokens) their tokens pass."
            )
        if self.passage_levels and self.video_representation != "tokens":
            raise ValueError(f"video_representation must be 'tokens' with {self.passage_levels} in score_levels.")
        if self.passage_levels and self.passage_length < self.query_length:
            raise ValueError(
                f"passage_length is {self.passage_length}; a text is cut in windows of query_length, "
                f"{self.query_length}."
            )
        by_mean = self.level_scoring == "sum" and self.loss_type != "modality_info_nce"
        if not by_mean and self.interaction != "mean_max_sim":
            raise ValueError(
                f"interaction is {self.interaction!r}; level_scoring={self.level_scoring!r} with "
                f"loss_type={self.loss_type!r} needs 'mean_max_sim'."
            )

    def validate_level_weights(self) -> None:
        """Checks `level_weights` and what teaching between levels needs."""
        for level, weight in (self.level_weights or {}).items():
            if level not in self.score_levels:
                raise ValueError(f"level_weights names {level!r}; the levels are {self.score_levels}.")
            if not 0 <= weight < float("inf"):
                raise ValueError(f"level_weights gives {level!r} {weight}; a weight is finite and not negative.")
        if self.level_weights and self.level_scoring != "sum":
            raise ValueError(f"level_weights need level_scoring='sum', not {self.level_scoring!r}.")
        if self.level_weights and not any(self.weights_of_levels.values()):
            raise ValueError(f"level_weights are all 0; at least one of {self.score_levels} must count.")
        if self.level_distillation is None:
            return
        if set(self.score_levels) != {"frame", "video"} or self.loss_type not in ("dual_sigmoid", "info_nce"):
            raise ValueError(
                f"level_distillation={self.level_distillation!r} needs score_levels ['frame', 'video'] and a loss of "
                f"each level, 'dual_sigmoid' or 'info_nce'; not {self.score_levels} and {self.loss_type!r}."
            )

    def validate_temporal_transformer(self) -> None:
        """Checks the temporal transformer's sizes."""
        if self.projection_dim % self.temporal_num_heads != 0:
            raise ValueError(
                f"temporal_num_heads is {self.temporal_num_heads}; it must divide projection_dim "
                f"({self.projection_dim})."
            )
        for field, low in (
            ("temporal_num_layers", 1),
            ("num_visual_expansion_tokens", 0),
            ("max_frames", 1),
        ):
            if getattr(self, field) < low:
                raise ValueError(f"{field} is {getattr(self, field)}; it must be at least {low}.")
        if not 0 <= self.temporal_dropout < 1:
            raise ValueError(f"temporal_dropout is {self.temporal_dropout}; it must be in [0, 1).")
        if self.temporal_position_embedding == "sinusoidal" and self.projection_dim % 2 != 0:
            raise ValueError(
                f"temporal_position_embedding='sinusoidal' needs an even projection_dim, not {self.projection_dim}."
            )


__all__ = ["LEVELS", "PASSAGE_LEVELS", "ConfigurationChecksMixin", "family_type"]
