from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from tests.encoding.decoding_stand_ins import TroubledEncoder
from tests.video_files import write_clip
from video_colbert.encoding.bulk_encoder import BulkEncoder
from video_colbert.encoding.clip_decoding import DecodedClip
from video_colbert.encoding.decoding_pool import Outcome
from video_colbert.encoding.decoding_process import DecodeClip, ReadDigest, ReadDuration, Task
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.pretrained import PretrainedPair, load_pretrained
from video_colbert.errors import EncodingError


class Tasks:
    """A fixed list of tasks, with what became of those that are no decoded clips."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.waiting = deque(tasks)
        self.outcomes: list[tuple[Task, Outcome]] = []

    def next_task(self, process: int, *, slot_is_free: bool) -> Task | None:
        if not self.waiting or (isinstance(self.waiting[0], DecodeClip) and not slot_is_free):
            return None
        return self.waiting.popleft()

    def finish(self, task: Task, outcome: Outcome, process: int) -> None:
        self.outcomes.append((task, outcome))

    @property
    def is_finished(self) -> bool:
        return not self.waiting


@pytest.fixture(scope="module")
def encoder(checkpoint_folder: Path) -> VideoColBERTEncoder:
    return VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")


@pytest.fixture(scope="module")
def troubled_encoder(checkpoint_folder: Path) -> VideoColBERTEncoder:
    return TroubledEncoder(load_pretrained(checkpoint_folder, device="cpu"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("clips")
    return [str(write_clip(folder / f"{seed}.mp4", seed, frames=5 + seed % 4)) for seed in range(9)]


def encoded(results: Iterator[object]) -> dict[str, EncodedVideo]:
    return {str(result.clip.source): result for result in results if isinstance(result, EncodedVideo)}


@pytest.mark.parametrize("replicas", [1, 2])
def test_clips_come_in_any_order_equal_to_those_encoded_in_order(
    encoder: VideoColBERTEncoder, files: list[str], replicas: int
) -> None:
    encoders = [encoder, *(encoder.replica("cpu") for _ in range(replicas - 1))]
    with BulkEncoder(encoders, batch_size=2, processes=2) as bulk:
        bulk.start(Tasks([DecodeClip(path) for path in files]))
        together = encoded(bulk.results())
    assert together.keys() == set(files)
    for expected in encoder.encode_videos([VideoClip(path) for path in files], batch_size=1):
        assert isinstance(expected, EncodedVideo)
        video = together[str(expected.clip.source)]
        torch.testing.assert_close(video.frame_embeds, expected.frame_embeds, atol=1e-5, rtol=0)
        torch.testing.assert_close(video.video_embeds, expected.video_embeds, atol=1e-5, rtol=0)
        assert video.timestamps.tolist() == expected.timestamps.tolist()
        assert video.duration == expected.duration


def test_every_device_gets_its_share(encoder: VideoColBERTEncoder, files: list[str]) -> None:
    both, used = threading.Barrier(2, timeout=30), []

    class Meeting(VideoColBERTEncoder):
        def encode_decoded(self, batch: Sequence[DecodedClip]) -> list[EncodedVideo]:
            # Passes only when two encoders are here at the same time.
            if self not in used:
                used.append(self)
                both.wait()
            return super().encode_decoded(batch)

    first = Meeting(PretrainedPair(encoder.model, encoder.processor, encoder.reference, is_zero_shot=False))
    with BulkEncoder([first, first.replica("cpu")], batch_size=1, processes=2) as bulk:
        bulk.start(Tasks([DecodeClip(path) for path in files]))
        assert encoded(bulk.results()).keys() == set(files)
    assert len(used) == 2


def test_clips_held_never_exceed_the_bound(
    encoder: VideoColBERTEncoder, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    may_encode, encode = threading.Event(), encoder.encode_decoded
    held: list[int] = []

    def encode_late(batch: Sequence[DecodedClip]) -> list[EncodedVideo]:
        may_encode.wait(30)
        videos = encode(batch)
        tasks.done += len(batch)
        return videos

    class Counting(Tasks):
        taken = done = 0

        def next_task(self, process: int, *, slot_is_free: bool) -> Task | None:
            task = super().next_task(process, slot_is_free=slot_is_free)
            self.taken += task is not None
            held.append(self.taken - self.done)
            return task

    monkeypatch.setattr(encoder, "encode_decoded", encode_late)
    tasks = Counting([DecodeClip(path) for path in files * 5])
    with BulkEncoder([encoder], batch_size=2, processes=2) as bulk:
        # Two at each process, the batch that is encoded and three ahead.
        assert bulk.clips_held == 2 * 2 + 4 * 2
        bulk.start(tasks)
        deadline = time.monotonic() + 30
        while tasks.taken < bulk.clips_held and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
        assert tasks.taken == bulk.clips_held
        may_encode.set()
        assert sum(isinstance(result, EncodedVideo) for result in bulk.results()) == 45
        assert max(held) == bulk.clips_held


def test_clips_of_unknown_size_come_through_too(checkpoint_folder: Path, files: list[str]) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    encoder.processor.video_processor.num_frames = None
    assert encoder.clip_decoder().clip_bytes == 0
    with BulkEncoder([encoder], batch_size=2, processes=1) as bulk:
        bulk.start(Tasks([DecodeClip(path) for path in files]))
        together = encoded(bulk.results())
    [expected] = encoder.encode_videos([VideoClip(files[3])])
    assert isinstance(expected, EncodedVideo)
    assert len(expected.frame_embeds) == 8
    torch.testing.assert_close(together[files[3]].frame_embeds, expected.frame_embeds, atol=1e-5, rtol=0)


def test_file_that_crashes_its_decoder_is_reported_and_no_other_is_lost(
    troubled_encoder: VideoColBERTEncoder, tmp_path: Path, files: list[str]
) -> None:
    crash, once = (str(write_clip(tmp_path / name, seed)) for seed, name in enumerate(("crash.mp4", "once.mp4")))
    tasks = Tasks([DecodeClip(path) for path in (files[0], crash, files[1], once, *files[2:])])
    with BulkEncoder([troubled_encoder], processes=2) as bulk:
        bulk.start(tasks)
        # What died of something else than its file is done again.
        assert encoded(bulk.results()).keys() == {*files, once}
    reason = "it made the decoder crash 2 times (SIGSEGV)"
    assert tasks.outcomes == [(DecodeClip(crash), BadVideo(crash, reason))]


def test_file_that_hangs_its_decoder_is_given_up_after_the_timeout(
    troubled_encoder: VideoColBERTEncoder, tmp_path: Path, files: list[str]
) -> None:
    hanging = [str(write_clip(tmp_path / f"hang{seed}.mp4", seed)) for seed in range(2)]
    tasks = Tasks([DecodeClip(path) for path in (*hanging, *files)])
    with BulkEncoder([troubled_encoder], processes=2, timeout=1.5) as bulk:
        start = time.monotonic()
        bulk.start(tasks)
        assert encoded(bulk.results()).keys() == set(files)
        assert time.monotonic() - start < 20
    reported = {task.source: outcome for task, outcome in tasks.outcomes}
    reason = "reading and decoding it did not end within 1.5 s"
    assert reported == {path: BadVideo(path, reason) for path in hanging}


def test_stopping_ends_hanging_processes_and_keeps_what_was_encoded(
    troubled_encoder: VideoColBERTEncoder, tmp_path: Path, files: list[str]
) -> None:
    hanging = str(write_clip(tmp_path / "hang.mp4", 1))
    with BulkEncoder([troubled_encoder], batch_size=1, processes=2) as bulk:
        processes = [each.process for each in bulk._pool._processes]
        bulk.start(Tasks([DecodeClip(path) for path in (hanging, *files)]))
        first = next(bulk.results())
        done = {first.clip.source} | encoded(bulk.stop()).keys()
        assert done <= set(files)
    assert not any(process.is_alive() for process in processes)


def test_digest_and_duration_are_read_and_bad_files_named(
    encoder: VideoColBERTEncoder, tmp_path: Path, files: list[str]
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("These are words, not a film.\n" * 200)
    missing = str(tmp_path / "missing.mp4")
    tasks = Tasks([ReadDigest(files[0]), ReadDuration(files[0]), ReadDuration(str(text)), ReadDigest(missing)])
    with BulkEncoder([encoder], processes=2) as bulk:
        bulk.start(tasks)
        assert list(bulk.results()) == []
    outcomes = dict(tasks.outcomes)
    assert outcomes[ReadDigest(files[0])] == hashlib.sha256(Path(files[0]).read_bytes()).hexdigest()
    assert outcomes[ReadDuration(files[0])] == pytest.approx(5 / 4)
    assert outcomes[ReadDigest(missing)] == BadVideo(missing, "there is no such file")
    assert isinstance(outcomes[ReadDuration(str(text))], BadVideo)


def test_error_of_an_encoder_is_raised_where_results_are_taken(
    encoder: VideoColBERTEncoder, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(batch: object) -> object:
        raise EncodingError("vectors that are not finite")

    monkeypatch.setattr(encoder, "encode_decoded", fail)
    with BulkEncoder([encoder], processes=1) as bulk:
        bulk.start(Tasks([DecodeClip(path) for path in files]))
        with pytest.raises(EncodingError, match="not finite"):
            list(bulk.results())


def test_processes_that_cannot_start_are_an_error(
    encoder: VideoColBERTEncoder, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.encoding.decoding_pool.run_decoding_process", os._exit)
    with BulkEncoder([encoder], processes=1) as bulk:
        bulk.start(Tasks([DecodeClip(files[0])]))
        with pytest.raises(EncodingError, match="a decoding process cannot be started"):
            list(bulk.results())


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"processes": 0}, {"timeout": 0.0}])
def test_numbers_out_of_range_are_refused(encoder: VideoColBERTEncoder, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        BulkEncoder([encoder], **options)  # type: ignore[arg-type]
