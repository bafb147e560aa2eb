import threading
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

from tests.modeling_video_colbert.contextual_models import contextual_encoder
from tests.text.made_media import RATE, overwrite_sound, tone, write_media
from tests.text.real_models import speak, whisper_folder
from video_colbert import open_index
from video_colbert.encoding.stored_model.model_files import ModelFiles
from video_colbert.errors import ModelLoadError, PassageError
from video_colbert.text.speech import SpeechReader

FIRST = "Photosynthesis turns sunlight into sugar."
SECOND = "The capital of Iceland is Reykjavik."


@pytest.fixture(scope="module")
def reader() -> SpeechReader:
    return SpeechReader(whisper_folder(), language="en")


@pytest.mark.models
def test_what_is_said_is_found_with_the_second_of_each_word(reader: SpeechReader, tmp_path: Path) -> None:
    first, second = speak(FIRST, tmp_path), speak(SECOND, tmp_path)
    silence = np.zeros(5 * RATE, np.float32)
    starts = 5.0, 10.0 + len(first) / RATE
    film = write_media(tmp_path / "a.mp4", seconds=1.0, sound=np.concatenate([silence, first, silence, second]))
    found = reader.read(str(film))
    assert found.problem is None
    said = {word.text.lower().strip(".,"): word for passage in found.passages for word in passage.words}
    assert abs(said["photosynthesis"].start - starts[0]) < 1.0
    assert abs(said["iceland"].start - starts[1]) < 2.5
    assert starts[1] < said["iceland"].start
    for passage in found.passages:
        assert passage.start == passage.words[0].start
        assert passage.end == passage.words[-1].end
    assert len(found.passages) == 2


def test_a_numbered_device_is_the_one_that_listens_and_a_reader_travels_without_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whisper = pytest.importorskip("faster_whisper")
    asked: dict[str, object] = {}

    class Model:
        supported_languages = ("en",)

        def __init__(self, folder: str, **options: object) -> None:
            asked.update(options)
            self.threads = threading.Lock()

    monkeypatch.setattr(whisper, "WhisperModel", Model)
    files = ModelFiles("tiny", "1", tmp_path)
    monkeypatch.setattr("video_colbert.text.speech.find_speech_model", lambda *_: files)
    reader = SpeechReader("tiny", device="cuda:1")
    reader.load()
    # As to a process that reads, which takes no loaded model.
    ForkingPickler.dumps(reader)
    assert (asked["device"], asked["device_index"], asked["compute_type"]) == ("cuda", 1, "float16")


@pytest.mark.models
def test_a_file_without_sound_and_one_without_speech_have_no_passages(reader: SpeechReader, tmp_path: Path) -> None:
    for name, sound in (("silent.mp4", None), ("quiet.mp4", np.zeros(3 * RATE, np.float32)), ("tone.mp4", tone(3.0))):
        found = reader.read(str(write_media(tmp_path / name, sound=sound)))
        assert (list(found.passages), found.problem) == ([], None)


@pytest.mark.models
def test_speech_that_is_cut_into_stretches_keeps_its_times(
    reader: SpeechReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.text.speech._STRETCH_SECONDS", 6.0)
    silence = np.zeros(4 * RATE, np.float32)
    spoken = speak(SECOND, tmp_path)
    film = write_media(tmp_path / "a.mp4", sound=np.concatenate([silence, silence, spoken, silence]))
    words = [word for passage in reader.read(str(film)).passages for word in passage.words]
    (iceland,) = [word for word in words if word.text.lower().startswith("iceland")]
    assert 8.0 < iceland.start < 8.0 + len(spoken) / RATE


@pytest.mark.models
def test_the_language_is_recognised_where_none_is_given(tmp_path: Path) -> None:
    film = write_media(tmp_path / "a.mp4", sound=speak(FIRST, tmp_path))
    text = " ".join(passage.text for passage in SpeechReader(whisper_folder()).read(str(film)).passages)
    assert "sunlight" in text.lower()


@pytest.mark.models
def test_settings_name_the_weights_and_the_language(reader: SpeechReader, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in whisper_folder().iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "vocabulary.txt").write_bytes((other / "vocabulary.txt").read_bytes() + b"\n")
    readers = (reader, SpeechReader(whisper_folder()), SpeechReader(other))
    settings = {each.settings_of("a.mp4") for each in readers}
    assert len(settings) == 3


@pytest.mark.models
def test_a_damaged_model_and_an_unknown_language_are_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"no weights")
    with pytest.raises(ModelLoadError, match=f"speech model '{tmp_path}' cannot be loaded: "):
        SpeechReader(tmp_path).load()
    with pytest.raises(PassageError, match="language is 'klingon'; "):
        SpeechReader(whisper_folder(), language="klingon").load()


@pytest.mark.models
def test_damaged_sound_beside_good_pictures_is_reported_and_what_was_said_before_is_kept(
    reader: SpeechReader, tmp_path: Path, clip_backbone_folder: Path
) -> None:
    first = speak(FIRST, tmp_path)
    said = np.concatenate([first, np.zeros(RATE, np.float32), speak(SECOND, tmp_path)])
    # In the middle of the silence.
    breaks_off = (len(first) + RATE // 2) // 1024
    (tmp_path / "films").mkdir()
    film = write_media(tmp_path / "films" / "a.mkv", seconds=len(said) / RATE, sound=said)
    damaged = overwrite_sound(film, every=1, first=breaks_off)
    encoder = contextual_encoder(clip_backbone_folder, score_levels=["frame", "video"])
    index = open_index(tmp_path / "index", encoder)
    report = index.add([tmp_path / "films"], readers=[reader], workers=1)
    assert report.added == [str(film)]
    [bad] = report.bad
    assert bad.source == str(film)
    assert bad.reason == f"speech: {damaged} packets of its sound cannot be decoded"
    [reading] = index.stored.readings.read()
    words = [word for passage in reading.passages for word in passage.words]
    assert any("sunlight" in word.text.lower() for word in words)
    assert not any("iceland" in word.text.lower() for word in words)
    assert max(word.end for word in words) <= breaks_off * 1024 / RATE + 0.1
    assert [hit.video for hit in index.search("anything", sources=["video"])] == [str(film)]
