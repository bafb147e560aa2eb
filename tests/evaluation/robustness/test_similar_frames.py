import numpy as np
import torch
import torch.nn.functional as F

from video_colbert.evaluation.robustness.similar_frames import sharing_weights, similar_segments


def test_a_video_is_cut_where_neighbours_differ() -> None:
    angles = torch.tensor([0.0, 0.1, 0.2, 1.5, 1.6, 0.0])
    tokens = torch.stack([angles.cos(), angles.sin()], -1)
    assert similar_segments(tokens, 0.9).tolist() == [0, 0, 0, 1, 1, 2]
    assert similar_segments(tokens[:1], 0.9).tolist() == [0]


def test_weights_are_those_of_a_softmax_within_the_segment() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = F.normalize(torch.randn(5, 4, generator=generator), dim=-1)
    queries = F.normalize(torch.randn(3, 4, generator=generator), dim=-1)
    segments, sources = torch.tensor([0, 0, 0, 1, 2]), torch.tensor([0, 2, 3])
    weights = sharing_weights(tokens, queries, segments, sources).numpy()
    expected = np.zeros((5, 3))
    for frame in range(5):
        logits = {
            column: (float(tokens[frame] @ tokens[source]) + max(float(tokens[source] @ q) for q in queries)) / 0.1
            for column, source in enumerate(sources.tolist())
            if segments[source] == segments[frame]
        }
        total = sum(np.exp(value) for value in logits.values())
        for column, value in logits.items():
            expected[frame, column] = np.exp(value) / total
    np.testing.assert_allclose(weights, expected, rtol=1e-4)
    # No gradient is known of the last segment.
    assert not weights[4].any()
