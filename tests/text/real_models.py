"""What the tests marked `models` use: fetched weights, and a voice."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.text.made_media import RATE
from video_colbert.text.audio import SAMPLE_RATE, SoundOfFile

FOLDER_VARIABLE = "VIDEO_COLBERT_TEST_MODELS"


def whisper_folder() -> Path:
    """Whisper tiny for CTranslate2."""
    return Path(os.environ[FOLDER_VARIABLE]) / "whisper-tiny"


def minilm_folder() -> Path:
    """all-MiniLM-L6-v2, a sentence encoder."""
    return Path(os.environ[FOLDER_VARIABLE]) / "minilm"


def speak(text: str, folder: Path) -> npt.NDArray[np.float32]:
    """A sentence as espeak-ng says it, at `RATE`; the test is skipped where that is not installed."""
    program = shutil.which("espeak-ng")
    if program is None:
        pytest.skip("espeak-ng, which speaks the test's sentences, is not installed")
    subprocess.run([program, "-s", "150", "-w", str(folder / "spoken.wav"), text], check=True)
    (sound,) = SoundOfFile(str(folder / "spoken.wav"))
    return np.repeat(sound.samples, RATE // SAMPLE_RATE)
