from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from benchmarks.size_cluster import Workload, candidates_a_shard, cluster_need, local_bytes, tables
from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.index import IndexedVideo, LanceIndex
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.lance.token_codecs import CODEC_NAMES
from video_colbert.index.metadata_columns import POOLED

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["local", "cluster"])
def test_the_tables_of_the_scale_page_are_those_that_the_script_prints(name: str) -> None:
    assert tables()[name] in (REPOSITORY / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("codec", CODEC_NAMES)
def test_a_local_index_takes_the_bytes_that_are_calculated(codec: str, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    times = tuple(float(second) for second in range(12))
    index = LanceIndex.create(tmp_path, model=ModelReference("some/model", "a" * 40), num_frames=12, codec=codec)
    videos = []
    for row in range(400):
        frames, tokens = (normalize(torch.randn(count, 512, generator=generator), dim=-1) for count in (12, 14))
        video = IndexedVideo(f"/data/videos/{row:08d}.mp4", f"{row:064x}", 12.0, times)
        videos.append(
            (video, EncodedVideo(VideoClip(video.path), 12.0, np.array(times), {"frame": frames, "video": tokens}))
        )
    index.add(videos)
    # The codes of the codec compact stand in the file of each commit, and in what describes versions; neither grows
    # with the videos.
    schema = LanceTable.open(str(tmp_path)).schema
    codes = sum(len(text) for text in (schema.field(POOLED).metadata or {}).values())
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".manifest", ".txn")]
    measured = (sum(path.stat().st_size for path in files) - codes) / len(videos)
    assert measured == pytest.approx(sum(local_bytes(Workload(1), codec).values()), rel=0.02)


@pytest.mark.parametrize("shards", [2, 6, 12, 100])
def test_the_candidates_of_the_shards_hold_the_nearest_videos(shards: int) -> None:
    generator = np.random.default_rng(shards)
    each = candidates_a_shard(1000, shards)
    left_out = 0
    for _ in range(200):
        # The thousand nearest videos lie in shards at random.
        counts = np.bincount(generator.integers(shards, size=1000), minlength=shards)
        left_out += int(np.maximum(counts - each, 0).sum())
    assert left_out / (200 * 1000) < 1e-3


def test_one_shard_selects_all_candidates() -> None:
    assert candidates_a_shard(1000, 1) == 1000


def test_needs_grow_with_what_is_stored_and_asked() -> None:
    small, large = (cluster_need(Workload(videos), "int8") for videos in (1e6, 1e8))
    assert large.memory == pytest.approx(100 * small.memory)
    assert large.disk == pytest.approx(100 * small.disk)
    assert large.nodes > small.nodes
    busy = cluster_need(Workload(1e6, queries_per_second=10_000), "int8")
    assert busy.nodes >= 10_000 * busy.core_seconds / 32
    assert cluster_need(Workload(1e8, replicas=3), "int8").disk == pytest.approx(1.5 * large.disk)
