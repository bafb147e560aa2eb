"""The files of a speech model by name: those of a local folder, or of one commit on the Hub."""

from __future__ import annotations

import hashlib
import os
import re
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import snapshot_download

from video_colbert.encoding.media_files import content_digest
from video_colbert.encoding.stored_model.model_files import ModelFiles
from video_colbert.errors import HubError, ModelLoadError, PassageError
from video_colbert.hub_errors import hub_errors

_WEIGHTS = "model.bin"
# Of a model's vocabulary, the tokens that name a language.
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
# All that a Whisper model for CTranslate2 consists of.
_FILES = (_WEIGHTS, "config.json", "preprocessor_config.json", "tokenizer.json", "vocabulary.*")


def find_speech_model(name_or_path: str | os.PathLike[str], revision: str | None = None) -> ModelFiles:
    """Finds a model's files, and downloads what is not in the Hub's cache.

    Args:
        name_or_path: local folder, or Hub id.
        revision: branch, tag or commit on the Hub; the main branch by default.

    Raises:
        ModelLoadError: there is no such model, it is none for CTranslate2, or a revision is given for a folder.
    """
    name = os.fspath(name_or_path)
    folder = Path(name)
    if folder.is_dir():
        if revision is not None:
            raise ModelLoadError(f"model {name!r} is a folder, which has no revision {revision!r}; leave it out")
        found = ModelFiles(str(folder.absolute()), _digest(folder), folder)
    else:
        try:
            with hub_errors(f"there is no speech model {name!r} here, and none is loaded from the Hub"):
                folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(_FILES)))
        except HubError as error:
            raise ModelLoadError(str(error)) from error
        found = ModelFiles(name, folder.name, folder)
    if not (folder / _WEIGHTS).is_file():
        raise ModelLoadError(
            f"speech model {name!r} holds no {_WEIGHTS}; it must be a Whisper model for CTranslate2, such as "
            "Systran/faster-whisper-small"
        )
    return found


def check_language(files: ModelFiles, language: str) -> None:
    """Checks that a model knows a language, by its vocabulary, without loading it.

    Args:
        files: of the model.
        language: a code, such as "en".

    Raises:
        PassageError: it does not.
    """
    texts = [file.read_text("utf-8", errors="replace") for file in files.folder.glob("vocabulary.*")]
    known = sorted({code for text in texts for code in _LANGUAGE.findall(text)})
    # A file of another form is left for the model itself to judge.
    if known and language not in known:
        raise PassageError(f"language is {language!r}; {files.name} knows {', '.join(known)}")


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    for name in names:
        if any(fnmatch(name, pattern) for pattern in _FILES):
            digest.update(f"{name}\0{content_digest(str(folder / name))}\0".encode())
    return digest.hexdigest()
