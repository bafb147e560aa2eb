from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.index.ingest.test_bookkeeping import IndexInMemory, MadeEncoder, digest_of
from video_colbert.encoding.encoded import BadVideo, VideoClip
from video_colbert.encoding.encoding_plan import Outcome, Task
from video_colbert.index import IndexingReport, WindowSettings, index_videos
from video_colbert.index.index_notes import BadFile, IndexNotes


class DamagedWindows(MadeEncoder):
    """Of each long file, the window that starts at 2 s is damaged; `may_pass` says whether that may pass."""

    may_pass = False
    decoded: list[VideoClip]

    @classmethod
    def outcome(cls, task: Task) -> Outcome:  # type: ignore[override]
        if isinstance(task, VideoClip):
            cls.decoded.append(task)
            if task.start == 2.0:
                return BadVideo(f"{task.source} [2 s to 4 s]", "is damaged", is_lasting=not cls.may_pass)
        return MadeEncoder.outcome(task)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> type[DamagedWindows]:
    monkeypatch.setattr("video_colbert.encoding.bulk_encoder.BulkEncoder", DamagedWindows)
    monkeypatch.setattr(DamagedWindows, "may_pass", False)
    DamagedWindows.decoded = []
    return DamagedWindows


def run_index(index: IndexInMemory, files: list[Path], *, retry_bad: bool = False) -> IndexingReport:
    encoder = SimpleNamespace(model=SimpleNamespace(config=SimpleNamespace(interaction="mean_max_sim")))
    DamagedWindows.decoded = []
    return index_videos(index, [encoder], list(map(str, files)), retry_bad=retry_bad)  # type: ignore[arg-type, list-item]


def test_a_damaged_window_is_known_and_the_others_are_stored(tmp_path: Path, encoder: type[DamagedWindows]) -> None:
    index = IndexInMemory(WindowSettings(2.0))
    file = tmp_path / "a"
    file.write_text("6 long")
    report = run_index(index, [file])
    assert (report.added, len(report.bad), report.known_bad) == ([str(file)], 1, [])
    noted = BadFile(digest_of("6 long"), str(file), "is damaged", ((2.0, 4.0),))
    assert index.notes.bad_files == (noted,)
    report = run_index(index, [file])
    assert report == IndexingReport(
        present=[str(file)], known_bad=[BadVideo(str(file), "one of its windows: is damaged")]
    )
    assert encoder.decoded == []
    # What is stored may be lost meanwhile; the damaged window is not tried for it.
    index.remove([video.id for video in index.videos if video.start == 0.0])
    report = run_index(index, [file])
    assert (report.added, report.bad, len(report.known_bad)) == ([str(file)], [], 1)
    assert [clip.start for clip in encoder.decoded] == [0.0]
    report = run_index(index, [file], retry_bad=True)
    assert (len(report.bad), report.known_bad) == (1, [])
    assert [clip.start for clip in encoder.decoded] == [2.0]
    assert index.notes.bad_files == (noted,)


def test_a_window_that_decodes_when_it_is_tried_again_is_forgotten(
    tmp_path: Path, encoder: type[DamagedWindows], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = IndexInMemory(WindowSettings(2.0))
    file = tmp_path / "a"
    file.write_text("6 long")
    run_index(index, [file])
    monkeypatch.setattr("video_colbert.encoding.bulk_encoder.BulkEncoder", MadeEncoder)
    report = run_index(index, [file], retry_bad=True)
    assert (report.added, report.bad, index.notes.bad_files) == ([str(file)], [], ())
    assert len(index.videos) == 3


def test_what_may_pass_is_tried_with_every_run(tmp_path: Path, encoder: type[DamagedWindows]) -> None:
    encoder.may_pass = True
    index = IndexInMemory(WindowSettings(2.0))
    file = tmp_path / "a"
    file.write_text("6 long")
    for tried in ([0.0, 2.0, 4.0], [2.0]):
        assert len(run_index(index, [file]).bad) == 1
        assert sorted(clip.start or 0.0 for clip in encoder.decoded) == tried
        assert index.notes.bad_files == ()


def test_a_whole_file_is_known_wherever_it_is_and_until_it_changes(
    tmp_path: Path, encoder: type[DamagedWindows]
) -> None:
    index = IndexInMemory(None)
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("1 bad")
    run_index(index, [first])
    digest = digest_of("1 bad")
    assert index.notes.bad_files == (BadFile(digest, str(first), "does not decode"),)
    first.rename(second)
    report = run_index(index, [second])
    assert report == IndexingReport(known_bad=[BadVideo(str(second), "does not decode")])
    assert index.notes.bad_files == (BadFile(digest, str(second), "does not decode"),)
    # A run over other files leaves it.
    first.write_text("1 red")
    run_index(index, [first])
    assert len(index.notes.bad_files) == 1
    second.write_text("1 blue")
    assert run_index(index, [second]).added == [str(second)]
    assert index.notes.bad_files == ()


def test_a_run_that_is_interrupted_remembers_what_it_found(
    tmp_path: Path, encoder: type[DamagedWindows], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = IndexInMemory(None)
    (tmp_path / "a").write_text("1 bad")
    (tmp_path / "b").write_text("1 red")
    run = DamagedWindows.run

    def interrupted(self: DamagedWindows, plan: object) -> object:
        for event in run(self, plan):  # type: ignore[arg-type]
            yield event
            if type(event).__name__ == "StaysBad":
                raise KeyboardInterrupt

    monkeypatch.setattr(DamagedWindows, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_index(index, [tmp_path / "a", tmp_path / "b"])
    assert [bad.reason for bad in index.notes.bad_files] == ["does not decode"]


def test_what_another_run_noted_meanwhile_stays(
    tmp_path: Path, encoder: type[DamagedWindows], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = IndexInMemory(None)
    (tmp_path / "a").write_text("1 bad")
    other = BadFile("b" * 64, "https://host/b.mp4", "is empty (0 bytes)")
    run = DamagedWindows.run

    def meanwhile(self: DamagedWindows, plan: object) -> object:
        yield from run(self, plan)  # type: ignore[arg-type]
        index.set_notes(IndexNotes(("/elsewhere",), (other,)))

    monkeypatch.setattr(DamagedWindows, "run", meanwhile)
    run_index(index, [tmp_path / "a"])
    own = BadFile(digest_of("1 bad"), str(tmp_path / "a"), "does not decode")
    assert index.notes == IndexNotes(("/elsewhere",), (own, other))
