"""Backbones: checkpoints of two towers, the configuration that follows from one, and its weights in a model."""

from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from .configuration_video_colbert import VideoColBERTConfig
from .towers_video_colbert import backbone_config, joint_width, tower_family

logger = logging.get_logger(__name__)

_Model = TypeVar("_Model", bound="BackboneMixin")


class BackboneMixin(PreTrainedModel):
    """How a `VideoColBERTModel` begins: with the towers of a backbone."""

    @classmethod
    def is_custom_code(cls) -> bool:
        """Returns false, so that weights of towers that a checkpoint lacks start as transformers starts them.

        In custom code, transformers takes a module without weights of its own, such as a tower's attention, for
        initialised already. That is for code that sets weights by other means than `transformers.initialization`.
        """
        return False

    @classmethod
    def from_backbone(
        cls: type[_Model],
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
    ) -> _Model:
        """Builds a model from the towers of a CLIP, MetaCLIP 2, SigLIP, SigLIP 2, VideoPrism or PE-AV checkpoint.

        Weights are copied by name; what is left out and what stays at its initial value is logged.

        Args:
            name_or_path: Hub id or local folder of the backbone.
            zero_shot: Whether to build the backbone's own retrieval model, which needs no training: its
                pooled text vector against its frame vectors, without the video level; of a backbone that sees whole
                videos (VideoPrism, PE-AV), against its one vector of the video.
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
            ImportError: If the backbone needs timm (Perception Encoder), which is not installed.
            ValueError: If the checkpoint is of another kind, lacks weights or does not fit the overrides.
        """
        hub = {"revision": revision, "token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
        backbone = load_backbone(name_or_path, dtype, **hub)
        fields = backbone_config_fields(backbone.config, zero_shot, config_overrides.get("temporal_init", "random"))
        fields["backbone"] = None if Path(name_or_path).is_dir() else str(name_or_path)
        config = cls.config_class(**(fields | config_overrides))
        if attn_implementation is not None:
            config._attn_implementation = attn_implementation
        model: _Model = cls(config).to(backbone.dtype)
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


def load_backbone(name_or_path: str | Path, dtype: torch.dtype | str, **hub: Any) -> PreTrainedModel:
    """Loads a whole backbone.

    Args:
        name_or_path: Hub id or local folder of a checkpoint of one of the families of towers.
        dtype: Type of the weights.
        **hub: `revision`, `token`, `cache_dir`, `local_files_only`.

    Returns:
        A model of the class of its family, such as `CLIPModel`.

    Raises:
        ImportError: If the family needs timm (Perception Encoder), which is not installed.
        ValueError: If the checkpoint is of another kind, lacks weights or has weights of other sizes.
    """
    config = backbone_config(AutoConfig.from_pretrained(name_or_path, trust_remote_code=False, **hub))
    family = tower_family(config.model_type)
    backbone, report = family.backbone_class.from_pretrained(
        name_or_path, config=config, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True, **hub
    )
    if report["missing_keys"]:
        raise ValueError(f"Checkpoint {name_or_path} lacks the weights {sorted(report['missing_keys'])}.")
    if report["mismatched_keys"]:
        name, stored, expected = min(report["mismatched_keys"])
        raise ValueError(
            f"Checkpoint {name_or_path} has {len(report['mismatched_keys'])} weights of other sizes than its config "
            f"says, such as {name}, {list(stored)} in place of {list(expected)}."
        )
    return backbone


def backbone_config_fields(config: PreTrainedConfig, zero_shot: bool, temporal_init: str) -> dict[str, Any]:
    """Derives the fields of a [`VideoColBERTConfig`] that follow from a backbone.

    Args:
        config: The backbone's configuration.
        zero_shot: Whether the model is the backbone's own retrieval model: its pooled text vector against its frame
            vectors.
        temporal_init: Field of the same name; `"clip"` gives the temporal transformer the text tower's sizes.

    Returns:
        Fields by name.
    """
    family = tower_family(config.model_type)
    text_config, vision_config = config.text_config, getattr(config, family.vision_config_source)
    fields: dict[str, Any] = {
        "text_config": text_config.to_dict(),
        "vision_config": vision_config.to_dict(),
        "projection_dim": joint_width(config),
    }
    if zero_shot:
        positions = text_config.max_position_embeddings
        fields |= {
            "score_levels": ["video" if family.sees_videos else "frame"],
            "video_tokens": "tower" if family.sees_videos else "temporal_transformer",
            "query_representation": "pooled",
            # SigLIP pools the last position of its full table, so a shorter query is another query.
            "query_length": min(family.zero_shot_length or positions, positions),
        }
    if temporal_init == "clip":
        fields |= {
            "temporal_num_heads": text_config.num_attention_heads,
            "temporal_intermediate_size": text_config.intermediate_size,
            "temporal_hidden_act": getattr(text_config, "hidden_act", "gelu"),
        }
    return fields


def backbone_weight_names(backbone: PreTrainedModel, config: VideoColBERTConfig) -> dict[str, str]:
    """Maps the name of each backbone weight that a model of this configuration uses to the model's name for it."""
    family = tower_family(backbone.config.model_type)
    heads = {}
    if config.query_head == "pretrained" and family.text_head_source is not None:
        heads[family.text_head_source] = "query_head"
    if config.frame_head == "pretrained" and family.frame_head_source is not None:
        heads[family.frame_head_source] = "frame_head"
    renamed = {}
    for name in backbone.state_dict():
        module, _, parameter = name.rpartition(".")
        if module in heads:
            renamed[name] = f"{heads[module]}.{parameter}"
        elif module in family.tower_layers:
            renamed[name] = f"{family.tower_layers[module]}.{parameter}"
        elif name.startswith("text_model.") and module != family.text_head_source:
            renamed[name] = name
        elif name.startswith(f"{family.vision_source}."):
            renamed[name] = name.replace(family.vision_source, "vision_model", 1)
    return renamed


@torch.no_grad()
def copy_backbone_weights(model: PreTrainedModel, backbone: PreTrainedModel) -> tuple[list[str], list[str]]:
    """Copies the towers and heads of a backbone into a model, by name.

    Args:
        model: A `VideoColBERTModel` of the backbone's sizes.
        backbone: A model as [`load_backbone`] gives it.

    Returns:
        The backbone's weights that were left out, and the model's weights that keep their initial values.

    Raises:
        ValueError: If a tower weight is missing from the backbone or has another shape.
    """
    names = backbone_weight_names(backbone, model.config)
    source, target = backbone.state_dict(), model.state_dict()
    for backbone_name, name in names.items():
        if name not in target or target[name].shape != source[backbone_name].shape:
            shape = list(target[name].shape) if name in target else "absent"
            raise ValueError(
                f"Backbone weight {backbone_name} is {list(source[backbone_name].shape)}, but {name} is {shape}."
            )
        target[name].copy_(source[backbone_name])
    left_out = sorted(set(source) - set(names))
    initial = set(target) - set(names.values())
    if missing := sorted(name for name in initial if name.startswith(("text_model.", "vision_model."))):
        raise ValueError(f"The backbone has no weights for {missing}.")
    if model.config.temporal_init == "clip" and model.config.has_temporal_transformer:
        initial -= _copy_temporal_layers(target, source, model.config)
    return left_out, sorted(initial)


def _copy_temporal_layers(
    target: dict[str, Tensor], source: dict[str, Tensor], config: VideoColBERTConfig
) -> set[str]:
    """Starts the temporal transformer from the text tower's first layers and positions, as CLIP4Clip does."""
    if config.temporal_num_heads != config.text_config.num_attention_heads:
        raise ValueError(
            f"temporal_init='clip' needs temporal_num_heads to be the text tower's "
            f"{config.text_config.num_attention_heads}, not {config.temporal_num_heads}."
        )
    copied = {}
    for name in target:
        if name.startswith("temporal_transformer.layers."):
            layer = name.replace("temporal_transformer.", "text_model.encoder.")
            copied[name] = layer.replace(".fc", ".mlp.fc")
    positions = "temporal_transformer.position_embedding.weight"
    if positions in target:
        copied[positions] = "text_model.embeddings.position_embedding.weight"
    for name, source_name in copied.items():
        if source_name not in source:
            raise ValueError(f"temporal_init='clip' copies {source_name}, which the text tower does not have.")
        # The text tower may have more positions than there are frames.
        weight = source[source_name][: config.max_frames] if name == positions else source[source_name]
        if weight.shape != target[name].shape:
            raise ValueError(
                f"temporal_init='clip' copies {source_name} {list(weight.shape)} to {name} "
                f"{list(target[name].shape)}; projection_dim, temporal_intermediate_size and max_frames must fit."
            )
        target[name].copy_(weight)
    return set(copied)


__all__ = ["BackboneMixin", "backbone_config_fields", "copy_backbone_weights", "load_backbone"]
