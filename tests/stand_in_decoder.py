"""A stand-in for torchcodec's decoder, which not every machine has: the part of its documented interface that is used.

Where torchcodec is installed, `tests/processing/test_video_batches.py` decodes with it itself.
"""

from types import SimpleNamespace
from typing import Any

import torch

from video_colbert.processing import decode_video


class StandInDecoder:
    """Decodes a file as `torchcodec.decoders.VideoDecoder` does.

    Args:
        path: The file.
        row: What `datasets.Video()` notes on a decoder that it makes; None on one that was made by hand.
    """

    def __init__(self, path: str, row: dict[str, Any] | None = None) -> None:
        self._video = decode_video(path)
        self.metadata = SimpleNamespace(begin_stream_seconds=0.0, end_stream_seconds=self._video.duration)
        if row is not None:
            self._hf_encoded = row

    def __len__(self) -> int:
        return len(self._video.frames)

    def get_frames_at(self, indices: list[int]) -> SimpleNamespace:
        """Gives a `FrameBatch`: frames `[N, 3, H, W]`, the seconds at which they appear and for how long they stay."""
        return SimpleNamespace(
            data=torch.from_numpy(self._video.frames[indices]).permute(0, 3, 1, 2),
            pts_seconds=torch.from_numpy(self._video.timestamps[indices]),
            duration_seconds=torch.full((len(indices),), 0.1, dtype=torch.float64),
        )
