"""Configuration of Video-ColBERT."""

from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from .configuration_checks import LEVELS, PASSAGE_LEVELS, ConfigurationChecksMixin
from .multi_vector_video_colbert import MultiVectorFilesMixin


@strict
class VideoColBERTConfig(ConfigurationChecksMixin, MultiVectorFilesMixin, PreTrainedConfig):
    r"""Configuration of a [`VideoColBERTModel`].

    Fields marked *open* are choices that the paper (Reddy et al., CVPR 2025, arXiv 2503.19009) does not
    state; the default is this project's.

    Args:
        text_config: Configuration of the text tower: `clip_text_model`, `metaclip_2_text_model`, `siglip_text_model`,
            `siglip2_text_model` (NaFlex) or `videoprism_text_model`.
        vision_config: Configuration of the image tower, of the same family as the text tower.
        projection_dim: Width `D` of every query and video vector.
        query_length: Tokens a query (or a query window) is padded to.
        query_expansion: Whether the outputs at pad positions take part in the score, the paper's "soft query
            expansion". When off, they are masked.
        query_pad_token_id: Token that pads a query. `None` means the tokenizer's. *Open.*
        query_windows: `None` cuts a caption at `query_length`; `"sentences"` encodes it in windows that fit
            and joins their tokens into one query; where a query is pooled, it has one vector a window.
        query_representation: `"tokens"` for late interaction; `"pooled"` for the tower's one pooled vector.
        query_head: What maps a query token to `projection_dim`: `"pretrained"`, the projection that the
            backbone learned for its pooled text vector, or `"linear"`, a new layer. *Open.*
        frame_head: The same choice for the pooled vector of a frame. *Open.*
        video_tokens: What makes the tokens of the level `"video"`: the `"temporal_transformer"`, of the frame tokens;
            or the `"tower"`, where that is one of videos (VideoPrism): the video's one vector, as the backbone
            compares it with a text.
        video_representation: `"tokens"` for late interaction; `"mean"` makes each level one vector, the mean of its
            tokens (CLIP4Clip, arXiv 2104.08860).
        interaction: How the tokens of a query and of a level make a score: `"mean_max_sim"`, the paper's;
            `"max_sim"`, its sum over query tokens (ColBERT, arXiv 2004.12832); `"weighted_token_wise"`, with
            learned weights and in both directions (DRL, arXiv 2203.07111); `"attention_max_sim"`, the sum with tokens
            weighted by the attention they receive (ColBERT-Att, arXiv 2603.25248), or its mean over query tokens,
            `"attention_mean_max_sim"`. These two need the level `"video"`, whose temporal transformer is where frames
            attend to each other; a query's attention is its text tower's.
        attention_layer: Of those two, the layer whose attention is taken, in the text tower and in the temporal
            transformer; negative ones count from the last. *Open* in that paper, as are the next two.
        attention_heads: Whether the attention of heads is joined by its `"mean"` or its `"max"`. *Open.*
        attention_rows: Whether that of the rows that count is joined by its `"mean"`, its `"max"` or its `"sum"`.
            *Open.*
        attention_length: Tokens of a level from which its attention counts in full: the exponent delta is
            `min(1, tokens / attention_length)`, and 1 in training. `None` means 1 always; the paper has 150 for some
            text collections.
        token_budget: The most tokens of the levels `"frame"` and `"video"`, made by attention-guided clustering (AGC,
            arXiv 2602.21202); `None` means all. It has no weights, so a checkpoint that was trained without it may be
            given one.
        score_levels: Which levels the model has and scores by, such as `["frame", "video"]`. `"speech"`,
            `"screen_text"` and `"description"` are levels of texts: these pass the text tower, and their tokens the
            temporal transformer together with the frames, so that each output has seen all (CLaMR, arXiv 2506.06144).
            They need `"video"`. A video without such a text has no tokens on the level.
        level_scoring: How levels make one score: `"sum"`; `"token_max"`, for each query token the maximum over the
            tokens of all levels; `"modality_max"`, the best level. CLaMR trains by the last and searches by the
            second; here one of them is the model's, and the loss has its own, see `loss_type`.
        level_weights: What each level counts in the sum, such as `{"frame": 0.2, "video": 1.8}`; a level that is not
            named counts 1, and `None` counts all 1. Training fits them to held-out captions where it is told to
            (`fit_level_weights`).
        passage_length: Most tokens of a text, in windows of `query_length`; CLaMR's are 512.
        modality_embedding_std: Standard deviation, at the start, of what is added to frames and to the tokens of each
            level of texts to tell them apart. *Open.*
        max_frames: Length of the table of temporal positions.
        temporal_num_layers: Depth of the temporal transformer.
        temporal_num_heads: Attention heads of the temporal transformer.
        temporal_intermediate_size: Width of its feed-forward layers. `None` means `4 * projection_dim`.
        temporal_hidden_act: Its activation.
        temporal_dropout: Its dropout, on attention and residual branches.
        temporal_position_embedding: Positions added to frames: `"learned"`, `"sinusoidal"` or `"none"`.
            *Open.*
        temporal_position_std: Standard deviation of learned positions at the start. Next to frame tokens much
            larger than it, order is learned late. *Open.*
        temporal_residual: `"frame"` adds the frame token to its contextualised output, `"none"` does not.
            *Open.*
        temporal_init: `"random"`, or `"clip"` to copy the first layers of a CLIP text tower as CLIP4Clip and
            DRL do (takes effect in `from_backbone`). *Open.*
        num_visual_expansion_tokens: Learned tokens appended to the frames before the temporal transformer.
        loss_type: `"dual_sigmoid"` (one sigmoid loss a level), `"sigmoid"` (one on the model's score),
            `"info_nce"` (one softmax loss a level) or `"modality_info_nce"` (CLaMR's: a softmax of each query over the
            videos, scored by their best level; its temperature .02 is `logit_scale_init=3.912`, from where it is
            learned).
        modality_loss: Of the last, `"standard"`; `"hard_positive"`, where a query whose level is labelled has its
            right video scored by that level; or `"hard_negative"`, where all other pairs of video and level are its
            negatives. CLaMR's code has all three; how the paper weighs them is *open*.
        frame_loss_weight: Weight of the frame level's loss.
        video_loss_weight: Weight of the video level's loss.
        passage_loss_weight: Weight of the loss of each level of texts.
        level_distillation: What of the two levels `frame` and `video` learn from each other, beside their losses:
            `"sum_to_frame"` and `"sum_to_video"` teach one level the sum of both, `"cross_level"` teaches both what
            they say on average, see `level_distillation_loss`. `None` for nothing. *Open.*
        level_distillation_weight: Weight of that loss.
        share_logit_parameters: Whether both levels share one temperature and bias. *Open.*
        logit_scale_init: Initial temperature, a natural **logarithm** (4.77 is a factor of about 118).
        logit_bias_init: Initial bias.
        calibrate_logit_bias: Whether training sets the bias from its first batch. *Open.*
        logit_bias_calibration: The biases that calibration chose, one a level; `None` before it ran.
        initializer_range: Standard deviation of new weights.
        backbone: Hub id of the checkpoint whose towers were copied in, if any.

    Raises:
        ValueError: If a field has a value that no model can be built from; the message names the field.

    Example:
        >>> VideoColBERTConfig(query_length=24, score_levels=["frame"]).score_levels
        ['frame']
    """

    model_type = "video_colbert"
    # ColPali's name for the width of a token, by which tools of late interaction ask.
    attribute_map = {"embedding_dim": "projection_dim"}  # noqa: RUF012 - transformers reads it as a plain dict
    sub_configs_defaults = {  # noqa: RUF012 - transformers reads this class attribute as a plain dict
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_text_model"),
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_vision_model"),
    }

    text_config: dict[str, Any] | PreTrainedConfig | None = None
    vision_config: dict[str, Any] | PreTrainedConfig | None = None
    projection_dim: int = 512

    query_length: int = 32
    query_expansion: bool = True
    query_pad_token_id: int | None = None
    query_windows: Literal["sentences"] | None = None
    query_representation: Literal["tokens", "pooled"] = "tokens"
    query_head: Literal["pretrained", "linear"] = "pretrained"
    frame_head: Literal["pretrained", "linear"] = "pretrained"

    video_tokens: Literal["temporal_transformer", "tower"] = "temporal_transformer"
    video_representation: Literal["tokens", "mean"] = "tokens"
    interaction: Literal[
        "mean_max_sim", "max_sim", "weighted_token_wise", "attention_max_sim", "attention_mean_max_sim"
    ] = "mean_max_sim"
    attention_layer: int = -1
    attention_heads: Literal["mean", "max"] = "mean"
    attention_rows: Literal["mean", "max", "sum"] = "mean"
    attention_length: int | None = None
    token_budget: int | None = None
    score_levels: list[str] | tuple[str, ...] = ("frame", "video")
    level_scoring: Literal["sum", "token_max", "modality_max"] = "sum"
    level_weights: dict[str, float] | None = None
    passage_length: int = 512
    modality_embedding_std: float = 0.02
    max_frames: int = 64
    temporal_num_layers: int = 4
    temporal_num_heads: int = 8
    temporal_intermediate_size: int | None = None
    temporal_hidden_act: str = "gelu"
    temporal_dropout: float | int = 0.1
    temporal_position_embedding: Literal["learned", "sinusoidal", "none"] = "learned"
    temporal_position_std: float = 0.02
    temporal_residual: Literal["frame", "none"] = "frame"
    temporal_init: Literal["random", "clip"] = "random"
    num_visual_expansion_tokens: int = 2

    loss_type: Literal["dual_sigmoid", "sigmoid", "info_nce", "modality_info_nce"] = "dual_sigmoid"
    modality_loss: Literal["standard", "hard_positive", "hard_negative"] = "standard"
    frame_loss_weight: float | int = 1.0
    video_loss_weight: float | int = 1.0
    passage_loss_weight: float | int = 1.0
    level_distillation: Literal["sum_to_frame", "sum_to_video", "cross_level"] | None = None
    level_distillation_weight: float | int = 1.0
    share_logit_parameters: bool = False
    logit_scale_init: float | int = 4.77
    logit_bias_init: float | int = -12.93
    calibrate_logit_bias: bool = True
    logit_bias_calibration: list[float] | None = None
    initializer_range: float = 0.02
    backbone: str | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Builds the nested configurations, after a look for misspelt fields."""
        names = [field.name for field in fields(self)]
        for key in kwargs:
            # transformers keeps unknown keys as attributes, which would hide a misspelt field.
            if close := get_close_matches(key, names, n=1, cutoff=0.85):
                raise ValueError(f"{key!r} is no field of {type(self).__name__}; did you mean {close[0]!r}?")
        super().__post_init__(**kwargs)
        self.score_levels = list(self.score_levels)

    @property
    def passage_levels(self) -> list[str]:
        """The levels of texts that the model has, in the order in which their inputs stand."""
        return [level for level in PASSAGE_LEVELS if level in self.score_levels]

    @property
    def levels(self) -> list[str]:
        """All levels that the model makes tokens of: those it scores by, and frames, which moments are found by."""
        return [level for level in LEVELS if level == "frame" or level in self.score_levels]

    @property
    def has_temporal_transformer(self) -> bool:
        """Whether the model has a temporal transformer, which makes the tokens of the level `"video"`."""
        return "video" in self.score_levels and self.video_tokens == "temporal_transformer"

    @property
    def weighs_by_attention(self) -> bool:
        """Whether the score weighs tokens by the attention they receive."""
        return self.interaction.startswith("attention_")

    @property
    def weights_of_levels(self) -> dict[str, float]:
        """What each level that the model scores by counts in the sum."""
        return {level: (self.level_weights or {}).get(level, 1.0) for level in self.score_levels}


__all__ = ["LEVELS", "PASSAGE_LEVELS", "VideoColBERTConfig"]
