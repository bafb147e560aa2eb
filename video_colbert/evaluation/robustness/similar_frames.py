"""Frames that look alike, and how they share gradients: the modal refinement of an attack.

After ViPro (arXiv 2508.06964), which cuts a video into segments of similar frames and weighs frames by how similar
they are to each other and to the queries; its formulas are not public, and these are ours.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Cosines of frames lie close together; this spreads their weights.
_TEMPERATURE = 0.1


def similar_segments(frame_tokens: Tensor, threshold: float) -> Tensor:
    """Cuts a video where two neighbouring frames are less similar than a threshold.

    Args:
        frame_tokens: [T, D] a token a frame, of unit length, in the order of time.
        threshold: the least cosine of neighbours in one segment.

    Returns:
        int64 [T], the number of each frame's segment, from 0.
    """
    similarity = (frame_tokens[1:] * frame_tokens[:-1]).sum(-1)
    cuts = (similarity < threshold).to(torch.int64)
    return torch.cat([cuts.new_zeros(min(1, len(frame_tokens))), cuts.cumsum(0)])


def sharing_weights(frame_tokens: Tensor, query_tokens: Tensor, segments: Tensor, sources: Tensor) -> Tensor:
    """How much of each source frame's gradient each frame takes.

    `W_ij = softmax over the sources j in i's segment of ((f_i . f_j + max_k f_j . q_k) / 0.1)`: a frame follows those
    that look like it and that are near to the targets already. A frame without a source in its segment takes none.

    Args:
        frame_tokens: [T, D] a token a frame, of unit length.
        query_tokens: [K, D] tokens of the targets, of unit length.
        segments: [T] the number of each frame's segment.
        sources: [S] indices of the frames that a gradient is known of.

    Returns:
        [T, S] weights; rows sum to 1, or are 0.
    """
    to_frames = frame_tokens @ frame_tokens[sources].T
    to_queries = (frame_tokens[sources] @ query_tokens.T).amax(-1)
    together = segments[:, None] == segments[sources][None, :]
    weights = ((to_frames + to_queries) / _TEMPERATURE).masked_fill(~together, float("-inf")).softmax(-1)
    return weights.nan_to_num(0.0)
