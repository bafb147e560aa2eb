"""How fast and in how much memory text is read out of videos, beside the libraries that it is read with.

    python benchmarks/bench_readers.py

The weights are those that `make test-models` fetches, or of the folder VIDEO_COLBERT_TEST_MODELS.
Films are made in a temporary folder: sentences that espeak-ng says, slides of two lines, a file of subtitles and one
with tags. Slides change every second, as often as pictures are looked at, so that the reader, which passes over those
that look like the one before, has as many to read as its library. Each reader reads its film, in turn with its library
alone, which is given the same file, settings and threads; the medians of three are compared. What takes milliseconds
is repeated for a quarter of a second, 15 times. Alone means:

- speech: faster-whisper's own `decode_audio` and `transcribe`, with voice activity filter and word times;
- screen text: rapidocr on every frame that is looked at, decoded one after another by PyAV;
- subtitles: pysubs2's `load`;
- description: opening the file with PyAV.

Then a film of an hour, a tenth of it speech, is read into an index by `read_passages`, in a process of its own, and
the largest memory of it and of its worker is taken, with the lines of progress that it writes. Targets:

- each reader is at least 0.9 times as fast as its library alone;
- both processes together hold at most 1.5 GB during the hour, and a line of progress is written every 15 seconds.

All of it is to take less than ten minutes on two cores; how long each part took is written as it ends.
"""

from __future__ import annotations

import gc
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from benchmark_report import Target, run_benchmark
from PIL import Image, ImageDraw, ImageFont

from video_colbert.text.description import DescriptionReader
from video_colbert.text.screen_text import ScreenTextReader
from video_colbert.text.speech import SpeechReader
from video_colbert.text.subtitles import SubtitleReader

_RUNS = 3
# What takes less is called several times for one time, and more times are taken, since it is easily disturbed.
_LEAST_SECONDS = 0.25
_RUNS_OF_MANY_CALLS = 15
_RATE = 16_000
_SPEECH_SECONDS = 20.0
_SLIDES = 10
_SLIDE_SECONDS = 1
_CUES = 2_000
_HOUR = 3600
_SENTENCES = (
    "Photosynthesis turns sunlight, water and air into sugar.",
    "The capital of Iceland is Reykjavik, and it rains there often.",
    "Add the flour slowly while you keep stirring the butter.",
    "The train to the north leaves from platform nine at noon.",
    "A hammer, two nails and a board are all that you need today.",
)
_READ_AN_HOUR = """
import sys
from pathlib import Path
import numpy as np, torch
from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.encoding.media_files import content_digest
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.index import IndexedVideo, LanceIndex
from video_colbert.index.ingest.reading import read_passages
from video_colbert.text.speech import SpeechReader
film, model, folder = sys.argv[1:]
index = LanceIndex.create(folder, model=ModelReference("none", "0"), num_frames=1)
video = EncodedVideo(VideoClip(film), 3600.0, np.zeros(1), {"frame": torch.ones(1, 4) / 2})
index.add([(IndexedVideo(film, content_digest(film), 3600.0, (0.0,)), video)])
print(read_passages(index, [SpeechReader(model, language="en")], [film], workers=1))
"""


def models_folder() -> Path:
    """Where the weights are.

    Raises:
        RuntimeError: they are not there, or there is no voice.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "video_colbert_test_models"
    folder = Path(os.environ.get("VIDEO_COLBERT_TEST_MODELS", cache))
    if not (folder / "whisper-tiny").is_dir() or shutil.which("espeak-ng") is None:
        raise RuntimeError(f"{folder} has no folder whisper-tiny, or espeak-ng is not installed; see the docstring")
    return folder


def spoken(folder: Path) -> npt.NDArray[np.float32]:
    """All sentences one after another, at `_RATE`."""
    file = folder / "spoken.wav"
    subprocess.run(["espeak-ng", "-s", "150", "-w", str(file), " ".join(_SENTENCES)], check=True)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=_RATE)
    with av.open(str(file)) as container:
        blocks = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate(blocks)


def write_film(path: Path, sound: npt.NDArray[np.float32]) -> Path:
    """Writes a film of one grey picture a second with sound."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=1)
        pictures.width = pictures.height = 32
        voice = container.add_stream("aac", rate=_RATE, layout="mono")
        for _ in range(len(sound) // _RATE):
            grey = np.full((32, 32, 3), 128, np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(pictures.encode())
        for first in range(0, len(sound), 1024):
            block = av.AudioFrame.from_ndarray(sound[None, first : first + 1024], format="flt", layout="mono")
            block.sample_rate, block.pts = _RATE, first
            container.mux(voice.encode(block))
        container.mux(voice.encode())
    return path


def write_slides(path: Path) -> Path:
    """Writes a film of slides, five frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.bit_rate = 640, 360, 4_000_000
        for number in range(_SLIDES):
            image = Image.new("RGB", (640, 360), (245, 245, 235))
            draw = ImageDraw.Draw(image)
            for row, line in enumerate((f"Chapter {number}", " ".join(_SENTENCES[number % 5].split()[:3]))):
                draw.text((40, 60 + 80 * row), line, fill=(20, 20, 60), font=ImageFont.load_default(36))
            frame = np.asarray(image)
            for _ in range(5 * _SLIDE_SECONDS):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_subtitles(path: Path) -> Path:
    """Writes cues of two seconds."""
    lines = []
    for number in range(_CUES):
        start, end = (f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02},000" for s in (2 * number, 2 * number + 2))
        lines.append(f"{number + 1}\n{start} --> {end}\n{_SENTENCES[number % 5]}\n")
    path.write_text("\n".join(lines))
    return path


def whisper_alone(model: Any, film: Path) -> int:
    """The number of segments that faster-whisper finds by itself."""
    from faster_whisper import decode_audio

    segments, _ = model.transcribe(
        decode_audio(str(film)),
        language="en",
        vad_filter=True,
        word_timestamps=True,
        condition_on_previous_text=False,
    )
    return len(list(segments))


def rapidocr_alone(model: Any, film: Path) -> int:
    """The number of lines that rapidocr finds in a frame of each second."""
    lines = 0
    with av.open(str(film)) as container:
        following = 0.0
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= following:
                following += 1.0
                lines += len(model(frame.to_ndarray(format="bgr24")).txts or ())
    return lines


def open_alone(film: Path) -> int:
    """The number of tags of a container."""
    with av.open(str(film)) as container:
        return len(container.metadata)


def seconds_of(run: Callable[[], object], calls: int) -> float:
    """How long a call takes, in the mean over some."""
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def compare(name: str, seconds: float, reader: Callable[[], object], alone: Callable[[], object]) -> dict[str, float]:
    """Times of a reader and of its library, in turn, as multiples of real time and as their ratio."""
    begun = time.perf_counter()
    taken: dict[str, list[float]] = {"reader": [], "alone": []}
    sides = {"reader": reader, "alone": alone}
    # The first call of each is not counted, and tells how many make a time.
    calls = {side: math.ceil(_LEAST_SECONDS / seconds_of(run, 1)) for side, run in sides.items()}
    for _ in range(_RUNS if max(calls.values()) == 1 else _RUNS_OF_MANY_CALLS):
        for side, run in sides.items():
            taken[side].append(seconds_of(run, calls[side]))
    print(f"{name} took {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    medians = {side: statistics.median(of_side) for side, of_side in taken.items()}
    return {
        f"{name} (times real time)": seconds / medians["reader"],
        f"{name}, library alone (times real time)": seconds / medians["alone"],
        f"{name}, reader / library": medians["alone"] / medians["reader"],
    }


def tree_bytes(root: int) -> int:
    """Resident memory of a process and of those below it."""
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        try:
            fields = Path(f"/proc/{process}/statm").read_text().split()
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            continue
        # What is shared with other processes counts once, where it is not shared.
        total += (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
    return total


def read_an_hour(film: Path, model: Path, folder: Path) -> tuple[int, int, float]:
    """The largest memory in bytes, how many different lines of progress were seen, and the seconds it took."""
    start, peak = time.perf_counter(), 0
    notices = folder / "notices"
    with notices.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "-c", _READ_AN_HOUR, str(film), str(model), str(folder / "index")], stderr=written
        )
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"reading an hour ended with {process.returncode}: {notices.read_text()}")
    shown = set(re.findall(r"reading speech (\S+) of", notices.read_text()))
    return peak, len(shown), time.perf_counter() - start


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Makes the films and reads them."""
    from faster_whisper import WhisperModel
    from pysubs2 import SSAFile
    from rapidocr import RapidOCR

    whisper = models_folder() / "whisper-tiny"
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = spoken(folder)
        long = np.tile(said, int(_SPEECH_SECONDS * _RATE / len(said)) + 1)[: int(_SPEECH_SECONDS * _RATE)]
        speech, slides = write_film(folder / "speech.mp4", long), write_slides(folder / "slides.mp4")
        beside = write_subtitles(folder / "speech.srt")
        speech_reader, screen_reader = SpeechReader(whisper, language="en"), ScreenTextReader()
        speech_reader.load()
        screen_reader.load()
        whisper_model = WhisperModel(str(whisper), device="cpu", compute_type="float32", local_files_only=True)
        screen_model = RapidOCR(params={"Global.log_level": "error", "Global.text_score": 0.7})
        # As processes that read do: collections pass over models that stay.
        gc.collect()
        gc.freeze()
        figures |= compare(
            "speech",
            _SPEECH_SECONDS,
            lambda: speech_reader.read(str(speech)),
            lambda: whisper_alone(whisper_model, speech),
        )
        figures |= compare(
            "screen text",
            float(_SLIDES * _SLIDE_SECONDS),
            lambda: screen_reader.read(str(slides)),
            lambda: rapidocr_alone(screen_model, slides),
        )
        subtitles, description = SubtitleReader(), DescriptionReader()
        figures |= compare(
            "subtitles", 2.0 * _CUES, lambda: subtitles.read(str(speech)), lambda: SSAFile.load(str(beside))
        )
        figures |= compare(
            "description", _SPEECH_SECONDS, lambda: description.read(str(speech)), lambda: open_alone(speech)
        )
        pause = np.zeros(9 * len(said), np.float32)
        hour = np.tile(np.concatenate([said, pause]), _HOUR * _RATE // (10 * len(said)) + 1)[: _HOUR * _RATE]
        film = write_film(folder / "hour.mp4", hour)
        peak, shown, seconds = read_an_hour(film, whisper, folder)
        print(f"the hour took {seconds:.0f} s", file=sys.stderr)
        figures |= {
            "an hour, memory (MB)": peak / 1e6,
            "an hour, lines of progress": shown,
            "an hour, seconds a line of progress": seconds / max(1, shown),
            "an hour (times real time)": _HOUR / seconds,
        }
    targets = [
        Target(each, value, 0.9, at_least=True) for each, value in figures.items() if each.endswith("reader / library")
    ]
    targets.append(Target("an hour, memory (MB)", figures["an hour, memory (MB)"], 1500.0, at_least=False))
    name = "an hour, seconds a line of progress"
    targets.append(Target(name, figures[name], 15.0, at_least=False))
    return figures, targets


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", measure))
