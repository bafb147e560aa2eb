from __future__ import annotations

import pytest
import torch

from tests.video_files import write_clip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.encoded_split import EncodedSplit, encode_split
from video_colbert.evaluation.retrieval import rank_split


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """Videos of several lengths, some shorter than the model samples, and two copies of one."""
    folder = tmp_path_factory.mktemp("clips")
    verbs = ("grows", "rests", "turns", "runs", "rides", "waits")
    return [
        {
            "video_id": str(number),
            "video": str(write_clip(folder / f"{number}.mp4", 5 if number == 17 else number, frames=3 + number % 8)),
            "captions": [f"a {colour} circle {verbs[number % 6]}" for colour in ("red", "blue")],
            "start": None,
            "end": None,
        }
        for number in [*range(17), 5]
    ]


def encoded(encoder: VideoColBERTEncoder, rows: list[dict[str, object]], batch_size: int) -> EncodedSplit:
    return encode_split(encoder, rows, batch_size=batch_size)


def test_batch_size_changes_no_rank(encoder: VideoColBERTEncoder, rows: list[dict[str, object]]) -> None:
    reference = encoded(encoder, rows, 32)
    expected = rank_split(reference)
    for batch_size in (1, 2, 3, 7, 100):
        split = encoded(encoder, rows, batch_size)
        # Two videos may be as close as can be, so nothing less than equal tokens will do.
        assert torch.equal(split.queries.bags_of("frame").embeds, reference.queries.bags_of("frame").embeds)
        for level in ("frame", "video"):
            assert torch.equal(split.levels[level].embeds, reference.levels[level].embeds), (batch_size, level)
        found = rank_split(split)
        for level, counts in expected.items():
            for direction in ("text_to_video", "video_to_text"):
                ours, others = getattr(counts, direction), getattr(found[level], direction)
                for field in ("better", "tied_negatives", "tied_positives"):
                    assert getattr(ours, field).tolist() == getattr(others, field).tolist(), (batch_size, level)


def test_copies_of_a_video_tie_at_any_batch_size(encoder: VideoColBERTEncoder, rows: list[dict[str, object]]) -> None:
    for batch_size in (1, 4, 32):
        split = encoded(encoder, rows, batch_size)
        scores = split.level_scores()["sum"]
        assert torch.equal(scores[:, 5], scores[:, 17])
