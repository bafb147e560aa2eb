from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from video_colbert.dataset_builders import check_protocol, load_benchmark
from video_colbert.dataset_builders.shapes import spoken_shapes_folder, spoken_voice
from video_colbert.dataset_builders.shapes.moving_shapes_clips import render_scene
from video_colbert.dataset_builders.shapes.spoken_shapes_clips import draw_frames, encode_film, make_clip
from video_colbert.dataset_builders.shapes.spoken_shapes_folder import write_spoken_shapes
from video_colbert.dataset_builders.shapes.spoken_shapes_plan import SpokenShapesConfig, plan_spoken_clips
from video_colbert.text.description import DescriptionReader
from video_colbert.text.subtitles import SubtitleReader

CONFIG = SpokenShapesConfig(num_train=0, num_validation=0, num_test=8, image_size=128, num_frames=4)
needs_voice = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight clips with subtitles in place of a voice."""
    target = tmp_path_factory.mktemp("spoken")
    write_spoken_shapes(target, CONFIG, "test", "subtitles")
    return target


def rates_and_samples(film: bytes) -> tuple[int, int]:
    with av.open(io.BytesIO(film)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
        return container.streams.audio[0].rate, samples


def test_rows_say_which_source_answers_and_what_each_has(folder: Path) -> None:
    rows = load_benchmark("spoken_shapes", split="test", data_dir=folder)
    clips = plan_spoken_clips(CONFIG, "test")
    assert [row["captions"] for row in rows] == [[clip.query] for clip in clips]
    sources = {"spoken": "subtitles", "written": "screen_text", "told": "description", "visible": "video"}
    assert [row["sources"] for row in rows] == [[sources[clip.asked]] for clip in clips]
    assert [row["partner"] for row in rows] == [clip.partner_id for clip in clips]
    assert [row["visible"] for row in rows] == [clip.scene.caption for clip in clips]
    assert Path(rows[0]["video"]["path"]) == folder / "test/test_000000_a.mp4"
    assert check_protocol(rows).ok


def test_readers_find_what_the_rows_say(folder: Path) -> None:
    for row in load_benchmark("spoken_shapes", split="test", data_dir=folder):
        path = row["video"]["path"]
        assert [passage.text for passage in DescriptionReader().read(path).passages] == [row["told"]]
        assert [passage.text for passage in SubtitleReader().read(path).passages] == [row["spoken"]]


def test_the_square_in_the_middle_is_the_scene_and_the_text_stands_below_it() -> None:
    for clip in plan_spoken_clips(CONFIG, "test"):
        frames = draw_frames(clip, CONFIG)
        assert frames.shape == (4, 192, 128, 3)
        scene = render_scene(clip.scene, 4, 128, np.random.default_rng(clip.seed))
        assert np.array_equal(frames[:, 32:160], scene)
        assert not frames[:, :32].any()
        assert frames[:, 160:].max() > 200


def test_a_second_call_changes_nothing_and_a_missing_clip_is_made_again(folder: Path) -> None:
    contents = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    gone = folder / "test" / "test_000001_b.mp4"
    gone.unlink()
    write_spoken_shapes(folder, CONFIG, "test", "subtitles")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == contents


def test_a_folder_of_other_clips_is_not_mixed(folder: Path) -> None:
    other = SpokenShapesConfig(seed=1, num_train=0, num_validation=0, num_test=8, image_size=128, num_frames=4)
    with pytest.raises(ValueError, match="another value of seed; choose another folder"):
        write_spoken_shapes(folder, other, "test", "subtitles")


def test_sound_is_kept_at_its_rate_and_equal_arguments_give_equal_files() -> None:
    tone = (8000 * np.sin(np.arange(22050) / 20)).astype(np.int16)
    frames = np.zeros((4, 32, 32, 3), np.uint8)
    film = encode_film(frames, 5, (tone, 22050), "a title")
    assert film == encode_film(frames, 5, (tone, 22050), "a title")
    rate, samples = rates_and_samples(film)
    assert rate == 22050
    assert 22050 <= samples < 22050 + 3 * 1024


@needs_voice
def test_a_spoken_clip_has_a_voice_as_long_as_its_sentence(tmp_path: Path) -> None:
    clip = plan_spoken_clips(CONFIG, "test")[0]
    film = make_clip(clip, CONFIG, is_spoken=True)
    assert film == make_clip(clip, CONFIG, is_spoken=True)
    said, rate = spoken_voice.speak(clip.spoken.text)
    assert rates_and_samples(film) == (rate, pytest.approx(len(said), abs=3 * 1024))
    assert np.abs(said).max() > 3000


def test_without_a_voice_subtitles_are_written_unless_speech_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken_shapes_folder, "has_voice", lambda: False)
    file = write_spoken_shapes(tmp_path, CONFIG, "test")
    assert json.loads(file.read_text().splitlines()[0])["source"] == "subtitles"
    with pytest.raises(FileNotFoundError, match="espeak-ng, which speaks the sentences, is not installed"):
        write_spoken_shapes(tmp_path / "other", CONFIG, "test", "spoken")
