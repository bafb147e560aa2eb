"""Learned weights of tokens, for the weighted token-wise interaction (DRL, arXiv 2203.07111)."""

import torch
from torch import Tensor, nn


class TokenWeights(nn.Module):
    """Weighs the tokens of a query or of a video: a softmax, over those that count, of a two-layer network.

    Args:
        width: Width `D` of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        # Without a bias, which a softmax would cancel.
        self.fc2 = nn.Linear(width, 1, bias=False)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Computes weights in float32, or float64 for such tokens, so that they sum to 1 closely.

        Args:
            tokens: `[B, N, D]` tokens before normalisation.
            mask: `[B, N]`, true on the tokens that count.

        Returns:
            `[B, N]` weights: 0 on the tokens that do not count, and summing to 1 over the others, if there is one.
        """
        logits = self.fc2(torch.relu(self.fc1(tokens))).squeeze(-1)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        # Finite, so that a bag without a token that counts gives zeros and not NaN.
        lowest = torch.finfo(logits.dtype).min
        return torch.softmax(logits.masked_fill(~mask, lowest), dim=-1) * mask


__all__ = ["TokenWeights"]
