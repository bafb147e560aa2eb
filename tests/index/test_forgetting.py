from __future__ import annotations

from pathlib import Path

from tests.index.made_videos import MODEL, make_video
from video_colbert.index import LanceIndex
from video_colbert.index.forgetting import forget_videos
from video_colbert.index.index_notes import BadFile, IndexNotes


def test_notes_on_a_forgotten_video_go_with_it_and_others_stay(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4", start=0.0, end=1.0), make_video("b.mp4")])
    window = BadFile("digest of a.mp4", "/videos/a.mp4", "damaged", ((1.0, 1.5),))
    other = BadFile("digest of c.mp4", "/videos/c.mp4", "no video")
    index.set_notes(IndexNotes(("/videos",), (window, other)))
    [gone] = [video.id for video in index.videos if video.path == "/videos/a.mp4"]
    assert list(forget_videos(index, {gone})) == []
    assert [video.path for video in LanceIndex.open(tmp_path).videos] == ["/videos/b.mp4"]
    assert LanceIndex.open(tmp_path).notes == IndexNotes(("/videos",), (other,))
