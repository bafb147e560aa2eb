"""Speech: what is said in a video, recognised by a Whisper model with the time of each word."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from video_colbert.errors import MissingExtraError, ModelLoadError, PassageError
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.text.audio import Sound, SoundOfFile
from video_colbert.text.passages import Passage, ReadPassages, TimedWord, join_passages, one_line
from video_colbert.text.speech_model import check_language, find_speech_model

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

# Recognised at once: the features of ten minutes take some 200 MB.
_STRETCH_SECONDS = 600.0
# Words with more between them are of two passages.
_MOST_PAUSE = 2.0


class SpeechReader:
    """Recognises speech with faster-whisper; silence and music are skipped by its voice activity filter.

    Args:
        model: Hub id of a Whisper model for CTranslate2, such as "Systran/faster-whisper-small", or its local folder.
        revision: branch, tag or commit on the Hub; the main branch by default.
        language: code of the language that is spoken, such as "en"; None to recognise it in each video.
        device: "cpu", "cuda", a numbered one such as "cuda:1", or "auto", which takes a GPU where there is one.

    Raises:
        MissingExtraError: faster-whisper is not installed.
        ModelLoadError: there is no such model.
        PassageError: it knows no such language.
    """

    source: Literal["speech"] = "speech"

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        revision: str | None = None,
        language: str | None = None,
        device: str = "auto",
    ) -> None:
        if find_spec("faster_whisper") is None:
            raise MissingExtraError(
                "recognising speech needs the package faster-whisper, which is not installed: "
                "pip install 'video-colbert[speech]'"
            )
        self.language = language
        self._device = device
        self._files = find_speech_model(model, revision)
        if language is not None:
            check_language(self._files, language)
        self._model: WhisperModel | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Other processes load a model of their own: what is loaded does not travel.
        return {**self.__dict__, "_model": None}

    def settings_of(self, path: str) -> str:
        """As `PassageReader.settings_of`: model and language, not the machine."""
        return f"speech 1 {self._files.name}@{self._files.revision} language={self.language or ''}"

    def load(self, threads: int = 0) -> None:
        """Loads the model.

        Args:
            threads: processor threads; 0 for as many as there are cores.

        Raises:
            ModelLoadError: it does not load.
            PassageError: it knows no such language.
        """
        self._loaded(threads)

    def _loaded(self, threads: int) -> WhisperModel:
        from faster_whisper import WhisperModel

        files = self._files
        if not files.folder.is_dir():
            # The reader was made on another machine, whose cache of the Hub lies elsewhere.
            files = find_speech_model(files.name, files.revision)
        device, _, number = self._device.partition(":")
        try:
            model = WhisperModel(
                str(files.folder),
                device=device,
                device_index=int(number or 0),
                compute_type=_number_format(self._device),
                cpu_threads=threads,
                local_files_only=True,
            )
        # Whatever a damaged file makes its loader raise.
        except Exception as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelLoadError(f"speech model {files.name!r} cannot be loaded: {reason[0]}") from error
        if self.language is not None and self.language not in model.supported_languages:
            raise PassageError(
                f"language is {self.language!r}; {files.name} knows {', '.join(model.supported_languages)}"
            )
        self._model = model
        return model

    def read(self, path: str, progress: Callable[[float], None] | None = None) -> ReadPassages:
        """Recognises the speech of a file.

        Args:
            path: of a local video or sound file; one without sound has no passages.
            progress: called with the seconds that are recognised.
        """
        model = self._model or self._loaded(0)
        sound = SoundOfFile(path, most_seconds=_STRETCH_SECONDS)
        parts: list[Passage] = []
        language = self.language
        try:
            for stretch in sound:
                found, language = self._recognise(model, stretch, language, progress)
                parts += found
        except VideoDecodingError as error:
            return ReadPassages(join_passages(parts), error.reason)
        return ReadPassages(join_passages(parts), sound.problem)

    def _recognise(
        self, model: WhisperModel, sound: Sound, language: str | None, progress: Callable[[float], None] | None
    ) -> tuple[list[Passage], str | None]:
        """The passages of a stretch, and its language where it holds speech."""
        segments, info = model.transcribe(
            sound.samples,
            language=language,
            vad_filter=True,
            word_timestamps=True,
            # An error would go on from one stretch to the next.
            condition_on_previous_text=False,
        )
        passages: list[Passage] = []
        for segment in segments:
            passages += _passages_of(segment, sound)
            if progress is not None:
                progress(sound.start + float(segment.end))
        return passages, info.language if passages else language


def _number_format(device: str) -> str:
    """The type of numbers to compute with: eight bits, which some processors are faster with, mistake more words."""
    from ctranslate2 import get_cuda_device_count

    is_gpu = device.startswith("cuda") or (device == "auto" and get_cuda_device_count() > 0)
    return "float16" if is_gpu else "float32"


def _passages_of(segment: Any, sound: Sound) -> list[Passage]:
    """A recognised segment with times of the video, parted where nobody speaks for a while."""
    spoken: list[list[Any]] = []
    for word in segment.words or ():
        if spoken and word.start - spoken[-1][-1].end <= _MOST_PAUSE:
            spoken[-1].append(word)
        else:
            spoken.append([word])
    passages = []
    for words in spoken:
        timed = tuple(
            TimedWord(text, sound.start + float(word.start), sound.start + float(min(word.end, sound.seconds)))
            for word in words
            if (text := one_line(word.word))
        )
        # Not all languages part words by spaces, so the model's own words have theirs before them.
        text = one_line("".join(word.word for word in words))
        if timed and text:
            passages.append(Passage("speech", text, timed[0].start, timed[-1].end, timed))
    return passages
