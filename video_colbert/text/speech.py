"""Speech: what is said in a video, recognised by a Whisper model with the time of each word."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from video_colbert.errors import MissingExtraError, ModelLoadError
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.text.audio import Sound, SoundOfFile
from video_colbert.text.passages import Passage, ReadPassages, TimedWord, join_passages, one_line
from video_colbert.text.speech_model import find_speech_model

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
        device: "cpu", "cuda" or "auto", which takes a GPU where there is one.
        threads: processor threads; 0 for as many as there are cores.

    Raises:
        MissingExtraError: faster-whisper is not installed.
        ModelLoadError: there is no such model, or it does not load.
        ValueError: the model knows no such language.
    """

    source: Literal["speech"] = "speech"

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        revision: str | None = None,
        language: str | None = None,
        device: str = "auto",
        threads: int = 0,
    ) -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise MissingExtraError(
                "recognising speech needs the package faster-whisper, which is not installed: "
                "pip install 'video-colbert[speech]'"
            ) from error
        files = find_speech_model(model, revision)
        try:
            self._model: WhisperModel = WhisperModel(
                str(files.folder),
                device=device,
                compute_type=_number_format(device),
                cpu_threads=threads,
                local_files_only=True,
            )
        # Whatever a damaged file makes its loader raise.
        except Exception as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelLoadError(f"speech model {files.name!r} cannot be loaded: {reason[0]}") from error
        if language is not None and language not in self._model.supported_languages:
            raise ValueError(
                f"language is {language!r}; {files.name} knows {', '.join(self._model.supported_languages)}"
            )
        self.language = language
        self._name, self._revision = files.name, files.revision

    @property
    def settings(self) -> str:
        """What its passages depend on beside the file: model and language, not the machine."""
        return f"speech 1 {self._name}@{self._revision} language={self.language or ''}"

    def read(self, path: str) -> ReadPassages:
        """Recognises the speech of a file.

        Args:
            path: of a local video or sound file; one without sound has no passages.
        """
        sound = SoundOfFile(path, most_seconds=_STRETCH_SECONDS)
        parts: list[Passage] = []
        language = self.language
        try:
            for stretch in sound:
                found, language = self._recognise(stretch, language)
                parts += found
        except VideoDecodingError as error:
            return ReadPassages(join_passages(parts), error.reason)
        return ReadPassages(join_passages(parts), sound.problem)

    def _recognise(self, sound: Sound, language: str | None) -> tuple[list[Passage], str | None]:
        """The passages of a stretch, and its language where it holds speech."""
        segments, info = self._model.transcribe(
            sound.samples,
            language=language,
            vad_filter=True,
            word_timestamps=True,
            # An error would go on from one stretch to the next.
            condition_on_previous_text=False,
        )
        passages = [passage for segment in segments for passage in _passages_of(segment, sound)]
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
