from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from tests.text.made_media import RATE, overwrite_sound, tone, write_media
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.text.audio import SAMPLE_RATE, Sound, SoundOfFile


def hertz(samples: npt.NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(spectrum.argmax() * SAMPLE_RATE / len(samples))


def test_sound_comes_in_one_channel_at_the_rate_and_pitch_it_had(tmp_path: Path) -> None:
    (sound,) = SoundOfFile(str(write_media(tmp_path / "a.mp4", sound=tone(2.0))))
    assert sound.start == pytest.approx(0.0, abs=0.05)
    assert sound.seconds == pytest.approx(2.0, abs=0.1)
    assert hertz(sound.samples) == pytest.approx(440.0, abs=2.0)
    assert np.sqrt(np.square(sound.samples).mean()) == pytest.approx(0.5 / np.sqrt(2), abs=0.02)


def test_a_file_without_sound_gives_none(tmp_path: Path) -> None:
    assert list(SoundOfFile(str(write_media(tmp_path / "a.mp4")))) == []


def test_long_sound_is_cut_where_it_is_quiet_and_nothing_is_lost(tmp_path: Path) -> None:
    pieces = [tone(2.5), np.zeros(RATE // 2, np.float32), tone(3.0)]
    path = str(write_media(tmp_path / "a.mp4", sound=np.concatenate(pieces)))
    (whole,) = SoundOfFile(path)
    first, second = SoundOfFile(path, most_seconds=4.0)
    assert 2.5 < first.seconds < 3.0
    assert second.start == pytest.approx(first.seconds + first.start)
    np.testing.assert_array_equal(np.concatenate([first.samples, second.samples]), whole.samples)


@pytest.mark.parametrize(("pause", "parts"), [(5.0, 1), (40.0, 2)])
def test_a_pause_in_the_clock_is_silence_or_begins_another_stretch(tmp_path: Path, pause: float, parts: int) -> None:
    path = tmp_path / "a.mkv"
    _write_with_pause(path, pause)
    sounds = list(SoundOfFile(str(path)))
    assert len(sounds) == parts
    end = sounds[-1]
    assert end.start + end.seconds == pytest.approx(2.0 + pause, abs=0.2)


def test_damaged_packets_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mkv", sound=tone(3.0))
    overwrite_sound(path, every=4)
    sound = SoundOfFile(str(path))
    assert sum(part.seconds for part in sound) > 1.0
    assert sound.problem is not None
    assert sound.problem.endswith("packets of its sound cannot be decoded")


def test_sound_of_which_nothing_decodes_is_an_error(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mkv", sound=tone(3.0))
    overwrite_sound(path, every=1)
    with pytest.raises(VideoDecodingError, match="has sound of which nothing can be decoded"):
        list(SoundOfFile(str(path)))


def _write_with_pause(path: Path, pause: float) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for second in (0.0, 1.0 + pause):
            block = av.AudioFrame.from_ndarray((tone(1.0)[None] * 32767).astype(np.int16), format="s16", layout="mono")
            block.sample_rate, block.pts = RATE, round(second * RATE)
            block.time_base = Fraction(1, RATE)
            container.mux(stream.encode(block))
        container.mux(stream.encode())


def test_a_stretch_knows_its_length() -> None:
    assert Sound(1.0, np.zeros(SAMPLE_RATE // 2, np.float32)).seconds == 0.5
