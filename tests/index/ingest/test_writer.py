from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.index.made_videos import MODEL, make_video
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.index import IndexedVideo, LanceIndex
from video_colbert.index.ingest.events import Bad, Encoded, FileContent
from video_colbert.index.ingest.writer import IndexWriter

PATH = "/v/a.mp4"


def window_of(digest: str, start: float, end: float) -> tuple[IndexedVideo, EncodedVideo]:
    record, encoded = make_video("a.mp4")
    record = replace(record, path=PATH, digest=digest, start=start, end=end)
    return record, replace(encoded, clip=VideoClip(PATH, start, end), timestamps=np.array(record.timestamps))


def test_windows_of_old_content_go_when_some_of_the_new_content_is_bad(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([window_of("old", start, start + 20.0) for start in (0.0, 20.0, 40.0)])
    content = FileContent(PATH, "new", ((0.0, 20.0), (20.0, 40.0)))
    with IndexWriter(index, {}) as writer:
        writer.take(Encoded(content, window_of("new", 0.0, 20.0)[1]))
        writer.take(Bad(PATH, BadVideo(PATH, "damaged")))
        writer.finish()
    assert [(video.digest, video.start) for video in index.videos] == [("new", 0.0)]


def test_all_that_is_stored_of_a_file_stays_when_nothing_of_its_new_content_can_be_used(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([window_of("old", start, start + 20.0) for start in (0.0, 20.0)])
    with IndexWriter(index, {}) as writer:
        writer.take(Bad(PATH, BadVideo(PATH, "damaged")))
        writer.finish()
    assert [(video.digest, video.start) for video in index.videos] == [("old", 0.0), ("old", 20.0)]
