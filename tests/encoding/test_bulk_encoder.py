from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
import torch

from tests.encoding.decoding_stand_ins import TroubledEncoder
from tests.video_files import write_clip
from video_colbert.encoding.bulk_encoder import BulkEncoder
from video_colbert.encoding.clip_decoding import DecodedClip
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.encoding_plan import EncodingPlan, Outcome, ReadDigest, ReadScenes, Task
from video_colbert.encoding.media_files import FileState
from video_colbert.encoding.pretrained import PretrainedPair, load_pretrained
from video_colbert.encoding.scene_changes import VideoScenes
from video_colbert.errors import EncodingError


class ListedTasks(EncodingPlan[tuple[Task, Outcome]]):
    """A fixed list of tasks, whose outcomes are the events."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.waiting = deque(tasks)

    def next_task(self) -> Task | None:
        return self.waiting.popleft() if self.waiting else None

    def take(self, task: Task, outcome: Outcome) -> Iterable[tuple[Task, Outcome]]:
        return [(task, outcome)]


def clips(files: Iterable[str]) -> ListedTasks:
    return ListedTasks([VideoClip(path) for path in files])


@pytest.fixture(scope="module")
def troubled_encoder(checkpoint_folder: Path) -> VideoColBERTEncoder:
    return TroubledEncoder(load_pretrained(checkpoint_folder, device="cpu"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("clips")
    return [str(write_clip(folder / f"{seed}.mp4", seed, frames=5 + seed % 4)) for seed in range(9)]


def encoded(events: Iterator[tuple[Task, Outcome]]) -> dict[str, EncodedVideo]:
    return {str(video.clip.source): video for _, video in events if isinstance(video, EncodedVideo)}


@pytest.mark.parametrize("replicas", [1, 2])
def test_clips_come_in_any_order_equal_to_those_encoded_in_order(
    encoder: VideoColBERTEncoder, files: list[str], replicas: int
) -> None:
    encoders = [encoder, *(encoder.replica("cpu") for _ in range(replicas - 1))]
    with BulkEncoder(encoders, batch_size=2, workers=2) as bulk:
        together = encoded(bulk.run(clips(files)))
    assert together.keys() == set(files)
    for expected in encoder.encode_videos([VideoClip(path) for path in files], batch_size=1):
        assert isinstance(expected, EncodedVideo)
        video = together[str(expected.clip.source)]
        torch.testing.assert_close(video.embeds["frame"], expected.embeds["frame"], atol=1e-5, rtol=0)
        torch.testing.assert_close(video.embeds["video"], expected.embeds["video"], atol=1e-5, rtol=0)
        assert video.timestamps.tolist() == expected.timestamps.tolist()
        assert video.duration == expected.duration


def test_every_device_gets_its_share(encoder: VideoColBERTEncoder, files: list[str]) -> None:
    both, used = threading.Barrier(2, timeout=30), []

    class Meeting(VideoColBERTEncoder):
        def encode_decoded(self, batch: Sequence[DecodedClip]) -> list[EncodedVideo | BadVideo]:
            # Passes only when two encoders are here at the same time.
            if self not in used:
                used.append(self)
                both.wait()
            return super().encode_decoded(batch)

    first = Meeting(PretrainedPair(encoder.model, encoder.processor, encoder.reference, is_zero_shot=False))
    with BulkEncoder([first, first.replica("cpu")], batch_size=1, workers=2) as bulk:
        assert encoded(bulk.run(clips(files))).keys() == set(files)
    assert len(used) == 2


def test_clips_held_never_exceed_the_bound(
    troubled_encoder: VideoColBERTEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = str(write_clip(tmp_path / "count.mp4", 1))
    encode, encoded_before, held = troubled_encoder.encode_decoded, list[DecodedClip](), list[int]()

    def encode_late(batch: Sequence[DecodedClip]) -> list[EncodedVideo | BadVideo]:
        # Decoding has the time to run as far ahead as it may.
        deadline = time.monotonic() + 30
        while not held and len((tmp_path / "decoded").read_text()) < bulk.clips_held and time.monotonic() < deadline:
            time.sleep(0.01)
        held.append(len((tmp_path / "decoded").read_text()) - len(encoded_before))
        encoded_before.extend(batch)
        return encode(batch)

    monkeypatch.setattr(troubled_encoder, "encode_decoded", encode_late)
    with BulkEncoder([troubled_encoder], batch_size=2, workers=2) as bulk:
        # Two at each process, the batch that is encoded and three ahead.
        assert bulk.clips_held == 2 * 2 + 4 * 2
        assert len(list(bulk.run(clips([counted] * 45)))) == 45
        assert max(held) == bulk.clips_held


def test_clips_of_unknown_size_come_through_too(checkpoint_folder: Path, files: list[str]) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    encoder.processor.video_processor.num_frames = None
    assert encoder.clip_decoder().clip_bytes == 0
    with BulkEncoder([encoder], batch_size=2, workers=1) as bulk:
        together = encoded(bulk.run(clips(files)))
    [expected] = encoder.encode_videos([VideoClip(files[3])])
    assert isinstance(expected, EncodedVideo)
    assert len(expected.embeds["frame"]) == 8
    torch.testing.assert_close(together[files[3]].embeds["frame"], expected.embeds["frame"], atol=1e-5, rtol=0)


def test_file_that_crashes_its_decoder_is_reported_and_no_other_is_lost(
    troubled_encoder: VideoColBERTEncoder, tmp_path: Path, files: list[str]
) -> None:
    crash, once = (str(write_clip(tmp_path / name, seed)) for seed, name in enumerate(("crash.mp4", "once.mp4")))
    with BulkEncoder([troubled_encoder], workers=2) as bulk:
        events = list(bulk.run(clips([files[0], crash, files[1], once, *files[2:]])))
    # What died of something else than its file is done again.
    assert encoded(iter(events)).keys() == {*files, once}
    reason = "reading and decoding it made its process crash 2 times (SIGSEGV)"
    assert [event for event in events if isinstance(event[1], BadVideo)] == [
        (VideoClip(crash), BadVideo(crash, reason))
    ]


def test_file_that_hangs_its_decoder_is_given_up_after_the_timeout(
    troubled_encoder: VideoColBERTEncoder, tmp_path: Path, files: list[str]
) -> None:
    hanging = [str(write_clip(tmp_path / f"hang{seed}.mp4", seed)) for seed in range(2)]
    start = time.monotonic()
    with BulkEncoder([troubled_encoder], workers=2, timeout=1.5) as bulk:
        events = list(bulk.run(clips([*hanging, *files])))
    assert time.monotonic() - start < 30
    assert encoded(iter(events)).keys() == set(files)
    bad = {video.source: video.reason for _, video in events if isinstance(video, BadVideo)}
    assert bad == dict.fromkeys(hanging, "reading and decoding it did not end within 1.5 s")


def test_stopping_ends_hanging_processes_and_keeps_what_was_encoded(
    troubled_encoder: VideoColBERTEncoder, tmp_path: Path, files: list[str]
) -> None:
    hanging = str(write_clip(tmp_path / "hang.mp4", 1))
    plan = clips([hanging, *files])
    start = time.monotonic()
    with BulkEncoder([troubled_encoder], batch_size=1, workers=2) as bulk:
        _, first = next(bulk.run(plan))
        assert isinstance(first, EncodedVideo)
        done = {first.clip.source} | encoded(bulk.stop(plan)).keys()
        assert done <= set(files)
    assert time.monotonic() - start < 30


def test_digest_and_duration_are_read_and_bad_files_named(
    encoder: VideoColBERTEncoder, tmp_path: Path, files: list[str]
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("These are words, not a film.\n" * 200)
    missing = str(tmp_path / "missing.mp4")
    tasks = [
        ReadDigest(files[0]),
        ReadDigest(files[1], True),
        ReadDigest(str(text), True),
        ReadScenes(files[0], None),
        ReadScenes(str(text), 0.0),
        ReadDigest(missing),
    ]
    with BulkEncoder([encoder], workers=2) as bulk:
        outcomes = dict(bulk.run(ListedTasks(tasks)))
    for task, size in ((tasks[0], None), (tasks[1], (32, 32)), (tasks[2], None)):
        file = Path(str(task.source))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert outcomes[task] == FileState(digest, file.stat().st_size, file.stat().st_mtime, size)
    assert outcomes[ReadScenes(files[0], None)] == VideoScenes(5 / 4)
    assert outcomes[ReadDigest(missing)] == BadVideo(missing, "there is no such file")
    assert isinstance(outcomes[ReadScenes(str(text), 0.0)], BadVideo)


def test_whatever_a_reader_raises_for_a_file_is_that_files(
    troubled_encoder: VideoColBERTEncoder, tmp_path: Path, files: list[str]
) -> None:
    odd = str(write_clip(tmp_path / "raise.mp4", 1))
    with BulkEncoder([troubled_encoder], workers=1) as bulk:
        events = list(bulk.run(clips([odd, *files])))
    assert encoded(iter(events)).keys() == set(files)
    assert (VideoClip(odd), BadVideo(odd, "cannot be read: IndexError: packet of no stream")) in events


def test_vectors_that_are_not_finite_for_one_file_make_that_file_bad(
    checkpoint_folder: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    features = encoder.model.get_video_features

    def without_numbers_for_eight_frames(pixels: torch.Tensor, mask: torch.Tensor, **settings: object) -> object:
        video = features(pixels, mask, **settings)
        video.frame_embeds[mask.sum(1) == 8] = math.nan
        return video

    monkeypatch.setattr(encoder.model, "get_video_features", without_numbers_for_eight_frames)
    encoder.processor.video_processor.num_frames = 8
    with BulkEncoder([encoder], batch_size=9, workers=1) as bulk:
        events = list(bulk.run(clips(files)))
    # Files 3 and 7 have eight frames.
    bad = {video.source: video.reason for _, video in events if isinstance(video, BadVideo)}
    assert bad.keys() == {files[3], files[7]}
    assert all("not finite; try dtype float32" in reason for reason in bad.values())
    assert encoded(iter(events)).keys() == set(files) - bad.keys()


def test_error_of_an_encoder_is_raised_where_results_are_taken(
    encoder: VideoColBERTEncoder, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(batch: object) -> object:
        raise EncodingError("out of memory")

    monkeypatch.setattr(encoder, "encode_decoded", fail)
    with BulkEncoder([encoder], workers=1) as bulk, pytest.raises(EncodingError, match="out of memory"):
        list(bulk.run(clips(files)))


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"workers": 0}, {"timeout": 0.0}])
def test_numbers_out_of_range_are_refused(encoder: VideoColBERTEncoder, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        BulkEncoder([encoder], **options)  # type: ignore[arg-type]
