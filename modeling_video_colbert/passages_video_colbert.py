"""Texts of a video (what is said, written on the screen, told of it) as tokens beside its frames."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .configuration_video_colbert import VideoColBERTConfig
from .towers_video_colbert import text_inputs


class PassageTokens(NamedTuple):
    """Tokens of the passages of a batch of videos, one level behind another.

    Attributes:
        tokens: `[B, P, D]` before normalisation.
        mask: `[B, P]`, true on tokens of texts, special ones included.
        lengths: How many of the P belong to each level; at least one each.
    """

    tokens: Tensor
    mask: Tensor
    lengths: tuple[int, ...]

    def parts(self) -> list[slice]:
        """Which of the P tokens belong to each level."""
        ends = list(itertools.accumulate(self.lengths))
        return [slice(end - length, end) for end, length in zip(ends, self.lengths, strict=True)]


def encode_passages(
    config: VideoColBERTConfig, text_model: nn.Module, head: nn.Module, input_ids: Tensor, attention_mask: Tensor
) -> PassageTokens:
    """Passes the windows of passages through the text tower.

    A query's pad positions take part in its score; those of a passage do not. A text that is missing has no tokens:
    none of its windows passes the tower.

    Args:
        config: Of the model.
        text_model: The text tower.
        head: Maps its states to `[.., D]`.
        input_ids: `[B, M, W, L]` token ids of up to `W` windows of each of M levels.
        attention_mask: Of the same shape, 1 on real tokens; all 0 in a window that is not there.

    Returns:
        Tokens, as many of a level as the longest of its texts has.
    """
    mask = attention_mask.bool()
    present = mask.any(-1)
    states: Tensor | None = None
    if present.any():
        inputs = text_inputs(config, input_ids[present], attention_mask[present])
        states = head(text_model(**inputs, return_dict=True).last_hidden_state)
    levels, masks = [], []
    for level in range(input_ids.shape[1]):
        of_level = mask[:, level].flatten(1)
        # Counted tokens first, in their order, so that what is padded can be cut off.
        longest = max(1, int(of_level.sum(1).max()))
        order = (~of_level).to(torch.uint8).argsort(dim=1, stable=True)[:, :longest]
        masks.append(of_level.gather(1, order))
        if states is None:
            weight = next(text_model.parameters())
            levels.append(weight.new_zeros(*order.shape, config.projection_dim))
            continue
        tokens = states.new_zeros(*present.shape, *states.shape[1:])
        tokens[present] = states
        tokens = tokens[:, level].flatten(1, 2)
        levels.append(tokens.gather(1, order[:, :, None].expand(-1, -1, tokens.shape[-1])))
    return PassageTokens(torch.cat(levels, dim=1), torch.cat(masks, dim=1), tuple(each.shape[1] for each in masks))


def passage_inputs(
    levels: Sequence[str],
    num_videos: int,
    input_ids: Tensor | None,
    attention_mask: Tensor | None,
    device: torch.device,
) -> tuple[Tensor, Tensor] | None:
    """Checks the inputs of passages, or makes those of videos without any text: a masked token on each level.

    Args:
        levels: The model's levels of texts, M of them.
        num_videos: B.
        input_ids: `[B, M, W, L]`, or `None` for no texts.
        attention_mask: Of the same shape.
        device: Of what is made.

    Returns:
        Ids and mask, or `None` in a model without such levels.

    Raises:
        ValueError: If there are inputs without levels, or their shapes do not fit.
    """
    if not levels:
        if input_ids is not None:
            raise ValueError("passage_input_ids are given, but the model's score_levels name no level of texts.")
        return None
    if input_ids is None:
        nothing = torch.zeros(num_videos, len(levels), 1, 1, dtype=torch.long, device=device)
        return nothing, nothing
    if attention_mask is None:
        raise ValueError("passage_attention_mask is needed with passage_input_ids; pass the processor's.")
    expected = (num_videos, len(levels))
    if input_ids.dim() != 4 or input_ids.shape[:2] != expected or attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"passage_input_ids are {list(input_ids.shape)} and their mask {list(attention_mask.shape)}; both must be "
            f"[{num_videos}, {len(levels)}, W, L], for {num_videos} videos and the levels {list(levels)}."
        )
    return input_ids, attention_mask


__all__ = ["PassageTokens", "encode_passages", "passage_inputs"]
