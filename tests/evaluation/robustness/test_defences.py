import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.evaluation.robustness.conftest import made_video
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.robustness.attacked_video import encode_video, sampled_indices
from video_colbert.evaluation.robustness.defences import (
    defence_of,
    encode_views,
    median_scores,
    shifted,
    through_jpeg,
)
from video_colbert.evaluation.robustness.written_video import write_video, written_and_decoded
from video_colbert.processing import decode_video

VIDEO = made_video()


def test_jpeg_is_that_of_pillow_for_the_frames_that_the_model_samples(encoder: VideoColBERTEncoder) -> None:
    file = io.BytesIO()
    Image.fromarray(VIDEO.frames[3]).save(file, "JPEG", quality=50)
    expected = np.asarray(Image.open(file))
    assert np.array_equal(through_jpeg(VIDEO.frames[3:4], 50)[0], expected)
    [[view]] = encode_views(defence_of("jpeg:50"), encoder, [VIDEO], 0)
    whole = encode_video(encoder, replace(VIDEO, frames=through_jpeg(VIDEO.frames, 50)))
    assert torch.equal(view.embeds["video"], whole.embeds["video"])


def test_shifting_repeats_the_edge() -> None:
    frames = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    moved = shifted(frames, 1, 0)
    assert np.array_equal(moved[0, 1], frames[0, 0])
    assert np.array_equal(moved[0, 0], frames[0, 0])
    assert np.array_equal(shifted(frames, 0, -1)[0, :, 0], frames[0, :, 1])


def test_shuffling_reorders_sampled_frames_alone(encoder: VideoColBERTEncoder) -> None:
    [[view]] = encode_views(defence_of("shuffle"), encoder, [VIDEO], 0)
    plain = encode_video(encoder, VIDEO)

    def as_set(tokens: torch.Tensor) -> list[list[float]]:
        return sorted(tokens.round(decimals=4).tolist())

    assert as_set(view.embeds["frame"]) == as_set(plain.embeds["frame"])
    assert not torch.allclose(view.embeds["frame"], plain.embeds["frame"])


def test_jitter_takes_other_frames_of_the_same_segments_and_repeats_by_its_seed(encoder: VideoColBERTEncoder) -> None:
    # Each frame has one brightness of its own.
    frames = np.broadcast_to(np.arange(0, 240, 20, dtype=np.uint8)[:, None, None, None], VIDEO.frames.shape)
    video = replace(VIDEO, frames=np.ascontiguousarray(frames))
    jitter = defence_of("jitter")
    views = [encode_views(jitter, encoder, [video], seed)[0][0] for seed in (0, 0, 1)]
    assert torch.equal(views[0].embeds["frame"], views[1].embeds["frame"])
    assert not torch.equal(views[0].embeds["frame"], views[2].embeds["frame"])
    assert (np.round(views[0].timestamps * 10) // 2).tolist() == list(range(len(sampled_indices(encoder, video))))


def test_the_score_is_the_median_of_the_views(encoder: VideoColBERTEncoder) -> None:
    queries = encoder.encode_queries(["a red circle", "a blue square"])
    views = encode_views(defence_of("median:3"), encoder, [VIDEO, made_video(seed=1)], 0)
    single = torch.stack([median_scores(queries, [[each[number]] for each in views]) for number in range(3)])
    expected = np.median(single.numpy(), axis=0)
    np.testing.assert_allclose(median_scores(queries, views).numpy(), expected)


def test_a_written_video_comes_back_frame_by_frame_close_to_what_it_was() -> None:
    back = written_and_decoded(VIDEO)
    assert back.frames.shape == VIDEO.frames.shape
    assert np.array_equal(back.timestamps, VIDEO.timestamps)
    # Green is most of the brightness, of which no resolution is lost.
    assert np.abs(back.frames.astype(int) - VIDEO.frames.astype(int))[..., 1].mean() < 3
    worse = written_and_decoded(VIDEO, quality=51)
    error = [np.abs(each.frames.astype(int) - VIDEO.frames.astype(int)).mean() for each in (back, worse)]
    assert error[0] < error[1]


def test_a_written_file_keeps_times_and_leaves_out_an_odd_edge(tmp_path: Path) -> None:
    odd = replace(VIDEO, frames=VIDEO.frames[:, :47, :45])
    path = tmp_path / "odd.mp4"
    write_video(odd, path)
    decoded = decode_video(path)
    assert decoded.frames.shape == (12, 46, 44, 3)
    np.testing.assert_allclose(decoded.timestamps, VIDEO.timestamps, atol=1e-3)


def test_names_have_their_default_and_bad_ones_are_refused() -> None:
    assert [defence_of(name).name for name in ("jpeg", "h264", "median:3", "jitter")] == [
        "jpeg:75",
        "h264:28",
        "median:3",
        "jitter",
    ]
    for name, message in (
        ("blur", "there is no defence 'blur'"),
        ("jitter:3", "there is no defence"),
        ("jpeg:101", "from 1 to 95"),
        ("median:x", "from 1 to 99"),
    ):
        with pytest.raises(ValueError, match=message):
            defence_of(name)
