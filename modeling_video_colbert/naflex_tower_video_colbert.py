"""SigLIP 2's image tower of variable resolution (NaFlex, arXiv 2502.14786), called as towers of one resolution are."""

from typing import Any

import torch
from torch import Tensor
from transformers import Siglip2VisionModel


class NaFlexImageTower(Siglip2VisionModel):
    """An image tower that takes images of any size, of as many patches as there are in them.

    The tower that it is takes patches with a mask over those that pad them. Images of one call have one size here, so
    there are none: what is not of an image is never computed, and a vector does not depend on its batch.

    Args:
        config: Of `Siglip2VisionModel`.
    """

    def forward(self, pixel_values: Tensor, **recorded: Any) -> Any:
        """Encodes images of one size.

        Args:
            pixel_values: `[N, C, H, W]`, of whole patches.
            **recorded: What to return beside the vectors, as other towers take it.

        Returns:
            The output of `Siglip2VisionModel`.

        Raises:
            ValueError: If height or width are not whole patches.
        """
        side = int(self.config.patch_size)
        number, channels, height, width = pixel_values.shape
        if height % side or width % side:
            raise ValueError(f"frames are {height} by {width} pixels; the image tower takes whole patches of {side}")
        rows, columns = height // side, width // side
        # Of a patch, the channels of a pixel lie side by side.
        patches = pixel_values.reshape(number, channels, rows, side, columns, side).permute(0, 2, 4, 3, 5, 1)
        return super().forward(
            pixel_values=patches.reshape(number, rows * columns, side * side * channels),
            pixel_attention_mask=torch.ones(number, rows * columns, dtype=torch.long, device=pixel_values.device),
            spatial_shapes=torch.tensor([[rows, columns]], device=pixel_values.device).expand(number, 2),
            **recorded,
        )


__all__ = ["NaFlexImageTower"]
