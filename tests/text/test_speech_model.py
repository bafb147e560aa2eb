from pathlib import Path

import pytest

from video_colbert.errors import ModelLoadError, PassageError
from video_colbert.text.speech_model import check_language, find_speech_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt", "README.md"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.txt"])
def test_a_folder_is_known_by_the_content_of_its_files(folder: Path, name: str) -> None:
    before = find_speech_model(folder).revision
    assert find_speech_model(folder).revision == before
    (folder / name).write_text("other content")
    assert find_speech_model(folder).revision != before


def test_what_is_no_part_of_the_model_does_not_count(folder: Path) -> None:
    before = find_speech_model(folder).revision
    (folder / "README.md").write_text("other words")
    assert find_speech_model(folder).revision == before


def test_a_model_of_another_kind_and_a_revision_of_a_folder_are_refused(folder: Path) -> None:
    with pytest.raises(ModelLoadError, match="which has no revision 'main'"):
        find_speech_model(folder, "main")
    (folder / "model.bin").unlink()
    with pytest.raises(ModelLoadError, match=r"holds no model.bin; it must be a Whisper model for CTranslate2"):
        find_speech_model(folder)


def test_an_unknown_language_is_refused_by_the_vocabulary_alone(folder: Path) -> None:
    (folder / "vocabulary.txt").write_text("the\n<|en|>\n<|fr|>\n<|transcribe|>\n")
    files = find_speech_model(folder)
    check_language(files, "fr")
    with pytest.raises(PassageError, match=r"language is 'klingon'; .* knows en, fr$"):
        check_language(files, "klingon")
    (folder / "vocabulary.txt").write_text("of another form")
    check_language(find_speech_model(folder), "klingon")
