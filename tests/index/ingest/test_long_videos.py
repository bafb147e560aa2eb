"""A film of ten minutes and thirty scenes, indexed and searched as a user would who says nothing of windows."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.processing.made_videos import write_video
from video_colbert import Index, VideoColBERTEncoder, open_index
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, QueryBags
from video_colbert.index import IndexingReport

RATE = 2
SCENES = 30


def scene_lengths() -> list[int]:
    """In frames: thirty lengths from 5 to 40 s that make ten minutes."""
    generator = np.random.default_rng(4)
    lengths = generator.integers(5 * RATE, 25 * RATE, SCENES)
    lengths[[6, 17]] = 40 * RATE
    while (rest := 600 * RATE - int(lengths.sum())) != 0:
        row = int(generator.integers(SCENES))
        lengths[row] = np.clip(lengths[row] + np.sign(rest), 5 * RATE, 40 * RATE)
    return [int(length) for length in lengths]


LENGTHS = scene_lengths()
BOUNDS = [frames / RATE for frames in itertools.accumulate(LENGTHS, initial=0)]


def picture(scene: int) -> np.ndarray:
    """Four fields of colours of its own."""
    colours = np.random.default_rng(scene).integers(0, 256, (2, 2, 3)).astype(np.uint8)
    return colours.repeat(16, axis=0).repeat(16, axis=1)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene_of_frame = np.repeat(np.arange(SCENES), LENGTHS)
    return write_video(
        tmp_path_factory.mktemp("film") / "film.mp4",
        len(scene_of_frame),
        rate=RATE,
        gop_size=10 * RATE,
        # As an encoder that looks for cuts does, though none finds them all.
        options={"forced-idr": "1", "sc_threshold": "0"},
        keyframes=[round(bound * RATE) for row, bound in enumerate(BOUNDS[:-1]) if row not in (3, 20)],
        draw=lambda number: picture(scene_of_frame[number]),
    )


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, encoder: VideoColBERTEncoder, film: Path) -> Index:
    index = open_index(tmp_path_factory.mktemp("index") / "index", encoder)
    report = index.add([film])
    assert (report.added, report.bad) == ([str(film)], [])
    assert repr(report) == f"1 video in {len(index)} windows added"
    return index


def queries_for_scenes(encoder: VideoColBERTEncoder) -> EncodedQueries:
    """For each scene a query of one token, which the model gives to its picture: to it, that is what the scene is."""
    stills = encoder.encode_videos([picture(scene)[None] for scene in range(SCENES)])
    tokens = torch.stack([still.embeds["frame"] for still in stills if isinstance(still, EncodedVideo)])
    bags = QueryBags(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), [[]] * SCENES)
    texts = [f"scene {scene}" for scene in range(SCENES)]
    return EncodedQueries.of_one_encoder(texts, bags, ("frame", "video"), level_weights={"frame": 1.0})


def test_windows_follow_each_other_and_end_at_scene_changes_that_keyframes_show(index: Index, film: Path) -> None:
    with av.open(film) as container:
        times = [
            float(packet.pts * packet.time_base)
            for packet in container.demux(video=0)
            if packet.is_keyframe and packet.pts is not None and packet.time_base is not None
        ]
    shown = [bound for bound in BOUNDS[1:-1] if any(0 <= time - bound <= 1.0 for time in times)]
    assert len(shown) >= SCENES - 3
    assert len(shown) < SCENES - 1
    windows = sorted((video.start or 0.0, video.end or 0.0) for video in index.videos)
    assert (windows[0][0], windows[-1][1]) == (0.0, 600.0)
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(windows))
    assert all(10.0 <= end - start <= 30.0 for start, end in windows)
    ends = [end for _, end in windows[:-1]]
    at_changes = [end for end in ends if any(abs(end - bound) <= 1.0 for bound in shown)]
    for end in set(ends) - set(at_changes):
        before = max([0.0, *(time for time in at_changes if time < end)])
        after = min([600.0, *(time for time in at_changes if time > end)])
        # Only where a stretch is too long for a window and no change parts it.
        assert after - before > 30.0
        assert not [bound for bound in shown if bound - before >= 10.0 and after - bound >= 10.0]
    assert len(at_changes) >= 0.8 * len(ends)


def test_scene_that_is_asked_for_is_first_and_its_window_at_most_30_seconds(
    index: Index, encoder: VideoColBERTEncoder
) -> None:
    for scene, hits in enumerate(index.search(queries_for_scenes(encoder), top_k=3, group_windows=False)):
        best = hits[0]
        assert best.end - best.start <= 30.0
        assert best.start < BOUNDS[scene + 1]
        assert best.end > BOUNDS[scene]
        assert best.score == pytest.approx(1.0, abs=0.05)


def test_indexing_again_says_that_nothing_is_new_and_decodes_nothing(
    index: Index, film: Path, encoder: VideoColBERTEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise AssertionError("a window was encoded again")

    before = index.videos
    monkeypatch.setattr(VideoColBERTEncoder, "encode_decoded", fail)
    with open_index(index.location, encoder) as again:
        assert again.add([film]) == IndexingReport(present=[str(film)])
        assert again.videos == before
        lines = [line.split(maxsplit=1) for line in repr(again.info()).splitlines()]
        assert ["holds", f"1 video in {len(before)} windows"] in lines
