"""A Ray cluster of two nodes on this machine; needs the extra `ray`."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.video_files import write_clip
from video_colbert.encoding.encoded import VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.index import LanceIndex
from video_colbert.index.ingest.ray_indexing import RayEncoders, index_videos_on_ray

_VIDEOS = 200


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    try:
        import ray
        from ray.cluster_utils import Cluster
    except ImportError:
        pytest.fail("this test needs the extra `ray`: make setup-ray")
    options = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=options)
    nodes.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes.address
    ray.shutdown()
    nodes.shutdown()


@pytest.mark.slow
def test_two_nodes_store_every_video_once_though_a_worker_is_killed(
    tmp_path: Path, checkpoint_folder: Path, cluster: str
) -> None:
    files = [str(write_clip(tmp_path / "videos" / f"{seed:03d}.mp4", seed, frames=3)) for seed in range(_VIDEOS)]
    bad = tmp_path / "videos" / "bad.mp4"
    bad.write_text("These are words, not a film.")
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    index = LanceIndex.create(tmp_path / "index", model=encoder.reference, num_frames=encoder.num_frames)
    killed: list[tuple[int, int]] = []
    killer = threading.Thread(target=_kill_a_worker, args=(tmp_path / "index", killed))
    killer.start()
    report = index_videos_on_ray(
        index, RayEncoders(str(checkpoint_folder)), [*files, str(bad)], files_at_a_time=8, seconds_between_writes=0
    )
    killer.join()
    [(_, stored_when_killed)] = killed
    assert 0 < stored_when_killed < _VIDEOS
    assert report.added == files
    assert [video.source for video in report.bad] == [str(bad)]
    assert sorted(video.path for video in index.videos) == files
    again = index_videos_on_ray(index, RayEncoders(str(checkpoint_folder)), files[:20], files_at_a_time=8)
    assert (again.present, again.added) == (files[:20], [])
    # What came through the cluster scores as what is encoded here.
    queries = encoder.encode_queries(["a red circle"])
    hits = {hit.video: hit.score for hit in index.search(queries, top_k=_VIDEOS)[0]}
    local = LanceIndex.create(tmp_path / "local", model=encoder.reference, num_frames=encoder.num_frames)
    stored = {video.path: video for video in index.videos}
    local.add(
        [
            (stored[path], video)
            for path, video in zip(
                files[:20], encoder.encode_videos([VideoClip(path) for path in files[:20]]), strict=True
            )
        ]  # type: ignore[misc]
    )
    for hit in local.search(queries, top_k=20)[0]:
        assert hits[hit.video] == pytest.approx(hit.score, abs=1e-3)


def _kill_a_worker(index: Path, killed: list[tuple[int, int]]) -> None:
    """Kills a process that encodes once some videos are stored."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        stored = len(LanceIndex.open(index))
        workers = _encoding_workers() if stored else []
        if workers:
            os.kill(workers[0], signal.SIGKILL)
            killed.append((workers[0], stored))
            return
        time.sleep(0.05)


def _encoding_workers() -> list[int]:
    """Processes of this test's own cluster that encode."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    parents = {int(pid): int(parent) for pid, parent, _ in rows}

    def is_ours(pid: int) -> bool:
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = parents.get(pid, 0)
        return False

    return [int(pid) for pid, _, name in rows if name.startswith("ray::MapWorker") and is_ours(int(pid))]
