from pathlib import Path

from tests.text.made_media import write_media
from video_colbert.text.description import DescriptionReader
from video_colbert.text.passages import Passage


def test_tags_that_tell_of_the_content_are_passages_of_the_whole_video(tmp_path: Path) -> None:
    tags = {"title": "How leaves\nmake energy", "comment": "a lecture", "artist": "nobody", "description": "a lecture"}
    found = DescriptionReader().read(str(write_media(tmp_path / "a.mkv", tags=tags)))
    assert list(found.passages) == [
        Passage("description", "How leaves make energy"),
        Passage("description", "a lecture"),
    ]
    assert found.problem is None


def test_a_file_without_tags_has_no_description(tmp_path: Path) -> None:
    assert not DescriptionReader().read(str(write_media(tmp_path / "a.mp4"))).passages


def test_a_file_that_is_no_video_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    found = DescriptionReader().read(str(tmp_path / "a.mp4"))
    assert not found.passages
    assert found.problem is not None
