"""VideoPrism's towers (arXiv 2402.13217), called as other towers are: one of whole videos, and one of texts."""

from typing import Any

from torch import Tensor
from transformers import VideoPrismTextModel, VideoPrismVideoModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from .outputs_video_colbert import VideoTowerOutput


class VideoPrismVideoTower(VideoPrismVideoModel):
    """A tower in which patches attend to those of other frames, so that a video has vectors of its own.

    The video's vector is the backbone's: its attention pooling over the patches of all frames. A frame's vector is the
    same pooling over the frame's own patches, so that it lies in the same space; those patches have seen the others.

    Args:
        config: Of `VideoPrismVideoModel`.
    """

    def forward(self, pixel_values: Tensor, **recorded: Any) -> VideoTowerOutput:
        """Encodes videos of one number of frames.

        Args:
            pixel_values: `[B, T, C, H, W]`. Positions of other numbers of frames than the backbone's are interpolated,
                as it does itself.
            **recorded: What to return beside the vectors, as other towers take it.

        Returns:
            The vectors of frames and videos.
        """
        output = super().forward(pixel_values, interpolate_pos_encoding=True, **recorded)
        states = output.last_hidden_state.unflatten(1, (pixel_values.shape[1], -1))
        of_frames = self.head_layernorm(self.head(states.flatten(0, 1))[0])
        return VideoTowerOutput(
            last_hidden_state=output.last_hidden_state,
            pooler_output=of_frames.view(*states.shape[:2], -1),
            hidden_states=output.hidden_states,
            attentions=output.attentions,
            video_pooler_output=output.pooler_output,
        )


class VideoPrismTextTower(VideoPrismTextModel):
    """A text tower whose pooled vector is the state of a token that it appends itself.

    Args:
        config: Of `VideoPrismTextModel`.
    """

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **recorded: Any) -> BaseModelOutputWithPooling:
        """Encodes texts.

        Args:
            input_ids: `[B, L]`, padded on the right.
            attention_mask: `[B, L]`, 1 on real tokens: the only ones that are attended to.
            **recorded: What to return beside the states, as other towers take it.

        Returns:
            The states of the `L` tokens, without that of the appended one, which is the pooled vector.
        """
        output = super().forward(input_ids=input_ids, attention_mask=attention_mask, **recorded)
        output.last_hidden_state = output.last_hidden_state[:, :-1]
        return output


__all__ = ["VideoPrismTextTower", "VideoPrismVideoTower"]
