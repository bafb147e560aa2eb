"""What is said and written, read by the processes of a Ray cluster on this machine; needs the extra `ray`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.index.ingest.made_readers import MadeReader, SoundReader
from tests.index.ingest.test_reading import add, indexed, texts
from tests.index.made_videos import MODEL
from tests.text.made_media import overwrite_sound, tone, write_media
from tests.text.tiny_text_models import save_plain
from tests.video_files import write_clip
from video_colbert import open_index
from video_colbert.cli import main
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.errors import MissingExtraError, ModelLoadError
from video_colbert.index import LanceIndex
from video_colbert.index.ingest.ray_indexing import RayEncoders, index_videos_on_ray
from video_colbert.index.ingest.reading import read_passages
from video_colbert.index.ingest.reading_tasks.ray_reading import RayReaders
from video_colbert.index.ingest.reading_tasks.reading_job import ReadAnswers, ReadingJob
from video_colbert.text.description import DescriptionReader
from video_colbert.text.subtitles import SubtitleReader

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    try:
        import ray
    except ImportError:
        pytest.fail("this test needs the extra `ray`: make setup-ray")
    ray.init(num_cpus=2, object_store_memory=100 * 2**20, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_what_is_read_on_the_cluster_is_what_is_read_here(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    spoken = write_media(tmp_path / "videos" / "a.mkv", subtitles={"eng": [(0.5, 1.0, "from inside")]})
    named = write_media(tmp_path / "videos" / "b.mkv", tags={"title": "On leaves"})
    named.with_suffix(".srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nfrom beside\n")
    readers = [SubtitleReader(), DescriptionReader()]
    read = {}
    for name, where in (("cluster", RayReaders().read), ("here", None)):
        index = LanceIndex.create(tmp_path / name, model=MODEL, num_frames=3)
        add(index, [spoken, named], {"headline": "Green leaves"})
        report = read_passages(index, readers, [spoken, named], description_column="headline", workers=1, read=where)
        assert (report.read, report.bad) == ({"subtitles": 2, "description": 2}, [])
        assert read_passages(index, readers, [spoken, named], read=where).read == {}
        read[name] = sorted(index.readings.read(), key=lambda reading: (reading.digest, reading.source))
    assert read["cluster"] == read["here"]
    said = {passage.text for reading in read["cluster"] for passage in reading.passages}
    assert said == {"from inside", "from beside", "On leaves", "Green leaves"}


def test_a_bad_file_stops_no_other_and_says_why(tmp_path: Path) -> None:
    names = ("a.mp4", "change.mp4", "crash.mp4", "damaged.mp4", "gone.mp4", "long.mp4", "z.mp4")
    index, files = indexed(tmp_path, *names)
    files[4].unlink()
    reader = MadeReader(tmp_path / "log")
    report = read_passages(index, [reader], files, read=lambda job: RayReaders().read(replace(job, timeout=5.0)))
    assert texts(index) == {"this is a.mp4", "what is left", "this is z.mp4"}
    reasons = {Path(bad.source).stem: bad.reason for bad in report.bad}
    assert reasons == {
        "change": "speech: it changed since its pictures were encoded; index it again",
        "crash": "speech: reading it made its process crash 2 times (SIGABRT)",
        "damaged": "speech: 2 packets of its sound are damaged",
        "gone": "speech: cannot be read: No such file or directory",
        "long": "speech: reading it did not end within 5 s",
    }


def test_an_interrupted_run_keeps_what_was_read_and_goes_on_there(tmp_path: Path) -> None:
    index, files = indexed(tmp_path, *(f"{number:02d}.mp4" for number in range(12)))
    log = tmp_path / "log"

    def broken_off(job: ReadingJob) -> ReadAnswers:
        for number, answered in enumerate(RayReaders(workers=1).read(job)):
            if number == 5:
                raise KeyboardInterrupt
            yield answered

    with pytest.raises(KeyboardInterrupt):
        read_passages(index, [MadeReader(log)], files, read=broken_off)
    kept = {passage.text.removeprefix("this is ") for reading in index.readings.read() for passage in reading.passages}
    assert len(kept) == 5
    log.unlink()
    assert read_passages(index, [MadeReader(log)], files, read=RayReaders().read).read == {"speech": 7}
    assert sorted(log.read_text().split()) == [file.name for file in files if file.name not in kept]


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ("unloadable", ModelLoadError, "cannot be loaded: it is damaged"),
        ("uninstalled", MissingExtraError, "speech needs the package listening, which is not installed on "),
    ],
)
def test_a_reader_that_a_machine_cannot_load_ends_the_run(
    tmp_path: Path, settings: str, error: type[Exception], words: str
) -> None:
    index, files = indexed(tmp_path, "a.mp4", "b.mp4")
    with pytest.raises(error, match=words):
        read_passages(index, [MadeReader(tmp_path / "log", settings)], files, read=RayReaders().read)
    assert texts(index) == set()


def test_damaged_sound_beside_good_pictures_keeps_the_pictures_and_is_reported(
    tmp_path: Path, checkpoint_folder: Path
) -> None:
    (tmp_path / "videos").mkdir()
    whole = write_media(tmp_path / "videos" / "a.mkv", sound=tone(2.0))
    damaged = write_media(tmp_path / "videos" / "b.mkv", sound=tone(2.0, 880.0))
    unheard = write_media(tmp_path / "videos" / "c.mkv", sound=tone(2.0, 220.0))
    packets = overwrite_sound(damaged, every=4)
    overwrite_sound(unheard, every=1)
    files = [str(whole), str(damaged), str(unheard)]
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    index = LanceIndex.create(tmp_path / "index", model=encoder.reference, num_frames=encoder.num_frames)
    report = index_videos_on_ray(index, RayEncoders(str(checkpoint_folder)), files)
    assert (sorted(report.added), report.bad) == (files, [])
    read = read_passages(index, [SoundReader()], files, read=RayReaders().read)
    assert {bad.source: bad.reason for bad in read.bad} == {
        str(damaged): f"speech: {packets} packets of its sound cannot be decoded",
        str(unheard): "speech: has sound of which nothing can be decoded",
    }
    heard = {reading.digest: len(reading.passages) for reading in index.readings.read()}
    digests = {video.path: video.digest for video in index.videos}
    assert [heard[digests[file]] for file in files] == [1, 1, 0]
    assert {hit.video for hit in index.search(encoder.encode_queries(["grey"]), top_k=3)[0]} == set(files)


def test_the_command_reads_and_encodes_passages_and_does_neither_twice(
    tmp_path: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, text_model = tmp_path / "videos", save_plain(tmp_path / "text_model")
    for number, said in enumerate(("Leaves make sugar.", "The red river runs.")):
        film = write_clip(videos / f"{number}.mp4", number)
        film.with_suffix(".srt").write_text(f"1\n00:00:00,100 --> 00:00:00,900\n{said}\n")
    command = [
        *(
            "index",
            str(videos),
            "--index",
            str(tmp_path / "index"),
            "--model",
            str(checkpoint_folder),
            "--ray",
            "auto",
        ),
        *("--subtitles", "--description", "-", "--text-model", str(text_model)),
    ]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "2 added, 2 read for subtitles, 2 read for description" in told
    assert "2 passages" in told
    index = open_index(tmp_path / "index")
    [hit] = index.search("the red river runs", sources=["keywords"], top_k=1)
    assert Path(hit.video).name == "1.mp4"
    passages = index.stored.passages.keys()
    index.close()
    # Another film is all that a second run has to do.
    shutil.copy(write_clip(tmp_path / "2.mp4", 2), videos)
    assert main(command) == 0
    assert "1 added, 2 already there, 1 read for subtitles, 1 read for description" in capsys.readouterr().out
    assert LanceIndex.open(tmp_path / "index").passages.keys() == passages
