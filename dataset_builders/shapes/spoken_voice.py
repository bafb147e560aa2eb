"""A synthetic voice for sentences, where espeak-ng is installed."""

import io
import shutil
import subprocess

import av
import numpy as np

PROGRAM = "espeak-ng"
_VOICE = ("-v", "en-us", "-s", "140")
_SECONDS_ALLOWED = 60


def has_voice() -> bool:
    """Whether espeak-ng is installed."""
    return shutil.which(PROGRAM) is not None


def speak(sentence: str) -> tuple[np.ndarray, int]:
    """Says a sentence.

    Args:
        sentence: The sentence.

    Returns:
        int16 array [samples], the same for the same sentence and version of espeak-ng, and their rate a second.

    Raises:
        FileNotFoundError: espeak-ng is not installed.
        RuntimeError: It said nothing.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise FileNotFoundError(f"{PROGRAM}, which speaks the sentences, is not installed")
    command = [program, *_VOICE, "--stdout", "--", sentence]
    said = subprocess.run(command, capture_output=True, timeout=_SECONDS_ALLOWED, check=False)  # noqa: S603 - no shell
    if said.returncode or not said.stdout:
        raise RuntimeError(f"{PROGRAM} could not say {sentence!r}: {said.stderr.decode(errors='replace').strip()}")
    with av.open(io.BytesIO(said.stdout), "r") as container:
        blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        return np.concatenate(blocks), container.streams.audio[0].rate
