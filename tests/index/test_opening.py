from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.index.qdrant.qdrant_server import serve
from tests.video_files import write_bad_files, write_clip
from tests.warm_python import warm_python
from video_colbert import Index, VideoColBERTEncoder, open_index
from video_colbert.encoding.search_hits import SearchHits
from video_colbert.errors import FilterError, IndexStoreError, MetadataError, ModelMismatchError
from video_colbert.index import IndexingReport, WindowSettings, index_exists

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


@pytest.fixture(scope="module")
def other_encoder(clip_backbone_folder: Path) -> VideoColBERTEncoder:
    return VideoColBERTEncoder.from_pretrained(clip_backbone_folder, device="cpu")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of 3 s, of which two are in a folder of their own, and one of 6 s."""
    folder = tmp_path_factory.mktemp("videos")
    for seed, name in enumerate(("a.mp4", "b.mp4", "more/c.mp4")):
        write_clip(folder / name, seed)
    write_clip(folder / "more" / "long.mp4", 7, frames=24)
    return folder


def places(tmp_path: Path) -> dict[str, str]:
    return {"folder": str(tmp_path / "index"), "memory": "memory://", "qdrant": f"qdrant+local://{tmp_path}/qdrant"}


@pytest.mark.parametrize("kind", ["folder", "memory", "qdrant"])
def test_the_same_lines_twice_find_the_same_in_every_kind_of_index(
    kind: str, tmp_path: Path, videos: Path, encoder: VideoColBERTEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(videos.parent)
    found, similarities, reports = [], [], []
    for _ in range(2):
        similarities.append(encoder.similarity(["a dog runs"], [videos / "a.mp4", videos / "b.mp4"]))
        [best] = encoder.rerank("a dog runs", [videos / "a.mp4", videos / "b.mp4"], top_k=1)
        assert best.score == pytest.approx(float(similarities[-1].max()), abs=1e-5)
        index = open_index(places(tmp_path)[kind], encoder)
        reports.append(index.add([videos.name]))
        found.append(index.search("a dog catches a ball", top_k=5))
        assert [str(hit) for hit in found[-1]] == repr(found[-1]).splitlines()
        assert len(index.videos) == len(index) == index.info().num_videos == 4
        assert index.remove([f"{videos.name}/a.mp4"]) == 1
        assert len(index) == 3
        index.close()
    assert torch.equal(*similarities)
    assert found[0] == found[1]
    assert [len(report.added) for report in reports] == [4, 4 if kind == "memory" else 1]
    # The scores are those of the encoder alone, but for the 16 bits a number that are stored.
    expected = {hit.video: hit.score for hit in encoder.rerank("a dog catches a ball", sorted(videos.rglob("*.mp4")))}
    assert {hit.video: hit.score for hit in found[0]} == pytest.approx(expected, abs=2e-3)


def test_one_text_gives_hits_and_a_list_a_list_of_them(
    tmp_path: Path, videos: Path, encoder: VideoColBERTEncoder
) -> None:
    index = open_index(tmp_path / "index", encoder)
    index.add(videos)
    texts = ["a red circle", "a blue square"]
    one = index.search(texts[0], top_k=2)
    assert isinstance(one, SearchHits)
    assert (one.query, [hit.rank for hit in one]) == (texts[0], [1, 2])
    several = index.search(texts, top_k=2)
    assert several == index.search(encoder.encode_queries(texts), top_k=2) == [one, index.search(texts[1], top_k=2)]
    assert index.search([]) == []
    # Without an encoder, what is encoded can be searched with, and texts say what is missing.
    alone = open_index(tmp_path / "index")
    assert alone.search(encoder.encode_queries(texts), top_k=2) == several
    with pytest.raises(IndexStoreError, match=r"was opened without an encoder, which it takes to search for texts"):
        alone.search("a red circle")
    with pytest.raises(IndexStoreError, match="which it takes to add videos"):
        alone.add(videos)


def test_weights_conditions_and_windows_are_passed_on(
    tmp_path: Path, videos: Path, encoder: VideoColBERTEncoder
) -> None:
    index = open_index(tmp_path / "index", encoder, windows=2.0)
    index.add(videos, metadata={"a.mp4": {"year": 2020}, str(videos / "more/long.mp4"): {"year": 2021}})
    assert {Path(hit.video).name for hit in index.search("x", where="year > 2020")} == {"long.mp4"}
    [hit] = index.search("x", top_k=1, level_weights={"video": 0.0})
    assert hit.score == pytest.approx(hit.level_scores["frame"], abs=1e-6)
    assert len(index.search("x", top_k=99)) == 4
    assert len(index.search("x", top_k=99, group_windows=False)) == len(index) == 9
    with pytest.raises(FilterError, match="there is no column 'yaer'"):
        index.search("x", where="yaer > 2020")
    with pytest.raises(MetadataError, match=r"metadata names none\.mp4, not among the videos"):
        index.add(videos, metadata={"none.mp4": {"year": 2020}})


@pytest.mark.parametrize("kind", ["folder", "qdrant"])
@pytest.mark.parametrize("said", [None, "auto", "shots", "none"])
def test_how_videos_are_cut_is_kept_and_not_changed_by_what_is_not_said(
    kind: str, said: str | None, tmp_path: Path, encoder: VideoColBERTEncoder
) -> None:
    made = None if said == "none" else WindowSettings(kind="shots" if said == "shots" else "auto")
    location = places(tmp_path)[kind]
    for windows in (said, None, said or "auto"):
        with open_index(location, encoder, windows=windows) as index:
            assert index.info().windows == index.stored.windows == made
    other = "none" if said == "shots" else "shots"
    with pytest.raises(IndexStoreError, match=rf"was made with windows={said or 'auto'}, not {other}"):
        open_index(location, encoder, windows=other)


@pytest.mark.parametrize("kind", ["folder", "qdrant"])
def test_windows_are_stored_and_used_again(
    kind: str, tmp_path: Path, videos: Path, encoder: VideoColBERTEncoder
) -> None:
    location = places(tmp_path)[kind]
    with open_index(location, encoder, windows=WindowSettings(2.0, 0.5)) as index:
        index.add(videos / "a.mp4")
        windows = [(video.start, video.end) for video in index.videos]
        assert sorted(windows) == [(0.0, 2.0), (1.0, 3.0)]
    with open_index(location, encoder) as index:
        report = index.add([videos / "a.mp4", videos / "b.mp4"])
        assert (len(report.added), len(report.present), report.replaced) == (1, 1, 0)
        assert len(index) == 4
        assert index.info().windows == WindowSettings(2.0, 0.5)
        assert "2 videos in 4 windows" in repr(index)
        assert "2 videos in 4 windows" in repr(index.info())
    with open_index(location, encoder, windows=WindowSettings(2.0, 0.5)):
        pass
    with pytest.raises(IndexStoreError, match=r"was made with windows=2 s overlapping by 0.5 s, not 3 s"):
        open_index(location, encoder, windows=3.0)


def test_an_option_that_does_not_fit_what_is_stored_is_named(tmp_path: Path, encoder: VideoColBERTEncoder) -> None:
    index = open_index(tmp_path / "index", encoder, codec="int8", num_frames=4)
    assert index.info().options == {"codec": "int8", "merge_similarity": None}
    assert index.info().num_frames == 4
    open_index(tmp_path / "index", encoder, codec="int8", hold_tokens=True)
    for options, message in (
        ({"codec": "compact"}, "was made with codec=int8, not compact"),
        ({"merge_similarity": 0.9}, "was made with merge_similarity=None, not 0.9"),
        ({"num_frames": 5}, "was made with num_frames=4, not 5"),
        ({"windows": "none"}, "was made with windows=auto, not none"),
        ({"windows": 2.0}, "was made with windows=auto, not 2 s"),
        (
            {"shards": 2},
            "there is no option 'shards'; there are codec, merge_similarity, hold_tokens, storage_options",
        ),
    ):
        with pytest.raises(IndexStoreError, match=message):
            open_index(tmp_path / "index", encoder, **options)  # type: ignore[arg-type]
    with pytest.raises(IndexStoreError, match="there is no option 'codec'; there are candidates"):
        open_index(f"qdrant+local://{tmp_path}/qdrant", encoder, codec="int8")
    with pytest.raises(ValueError, match="codec must be one of"):
        open_index(tmp_path / "other", encoder, codec="int2")
    with pytest.raises(ValueError, match="windows are 'auto', 'shots', 'none' or a number of seconds, not 'scenes'"):
        open_index(tmp_path / "other", encoder, windows="scenes")


def test_options_of_a_collection_may_stand_beside_its_address(
    encoder: VideoColBERTEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as server:
        address = f"qdrant://127.0.0.1:{server.port}/videos"
        index = open_index(f"{address}?timeout=9", encoder, on_disk=True, quantization="int8")
        assert index.location == address
        assert index_exists(address)
        options = open_index(address, encoder, on_disk=True).info().options
        assert (options["on_disk"], options["quantization"]) == (True, "int8")
        with pytest.raises(IndexStoreError, match="was made with on_disk=True, not False"):
            open_index(address, encoder, on_disk=False)


def test_another_model_is_refused_and_no_encoder_makes_no_index(
    tmp_path: Path, encoder: VideoColBERTEncoder, other_encoder: VideoColBERTEncoder
) -> None:
    with pytest.raises(IndexStoreError, match=r"there is no index in .*; give open_index an encoder to make one"):
        open_index(tmp_path / "index")
    assert not index_exists(tmp_path / "index")
    open_index(tmp_path / "index", encoder)
    assert index_exists(tmp_path / "index")
    with pytest.raises(ModelMismatchError, match=r"was made with .*, not with"):
        open_index(tmp_path / "index", other_encoder)
    # An index in memory is another one each time.
    assert len(open_index("memory://", encoder)) == len(open_index("memory://", other_encoder)) == 0


def test_what_is_not_in_the_index_is_named_and_nothing_is_removed(
    tmp_path: Path, videos: Path, encoder: VideoColBERTEncoder
) -> None:
    index = open_index(tmp_path / "index", encoder)
    index.add(videos)
    with pytest.raises(IndexStoreError, match=r"not in the index in .*: z\.mp4, deadbeef; nothing was removed"):
        index.remove([videos / "a.mp4", "z.mp4", "deadbeef"])
    assert len(index) == 4
    by_id = next(video for video in index.videos if video.path.endswith("b.mp4"))
    assert index.remove([by_id.id]) == 1
    assert index.remove("c.mp4") == 1
    assert {Path(video.path).name for video in index.videos} == {"a.mp4", "long.mp4"}


def test_wrong_types_are_told_what_is_right(tmp_path: Path, videos: Path, encoder: VideoColBERTEncoder) -> None:
    index = open_index(tmp_path / "index", encoder)
    for call, message in (
        (lambda: index.search(3), r"query must be a text or a list of them, not int"),
        (lambda: index.search(["x", None]), r"query must be a text .*; the list holds a NoneType"),
        (lambda: index.add(7), r"videos must be a path or URL or a list of them, not int"),
        (lambda: index.remove([1]), r"videos must be a path, URL or id .*; the list holds a int"),
    ):
        with pytest.raises(TypeError, match=message):
            call()


def test_bad_files_and_what_is_left_out_are_in_the_report(
    tmp_path: Path, videos: Path, encoder: VideoColBERTEncoder
) -> None:
    folder = tmp_path / "mixed"
    bad = write_bad_files(folder)
    write_clip(folder / "good.mp4", 5)
    (folder / "notes.txt").write_text("x")
    report = open_index(tmp_path / "index", encoder).add(folder)
    assert isinstance(report, IndexingReport)
    assert len(report.added) == 1
    assert {Path(video.source).name for video in report.bad} == {path.name for path in bad.values()}
    assert report.left_out == {".txt": 1}
    lines = repr(report).splitlines()
    assert lines[0] == f"1 added, 1 left out of folders, {len(bad)} bad"
    assert lines[1:] == [f"  {video.source}: {video.reason}" for video in report.bad]


def test_an_index_shows_itself_in_a_line_and_its_information_as_a_table(
    tmp_path: Path, encoder: VideoColBERTEncoder
) -> None:
    index = open_index(tmp_path / "index", encoder)
    assert repr(index) == f"Index({str(tmp_path / 'index')!r}, 0 videos, {encoder.reference})"
    rows = dict(line.split(maxsplit=1) for line in repr(index.info()).splitlines())
    assert rows["location"] == str(tmp_path / "index")
    assert (rows["frames"], rows["codec"], rows["holds"]) == ("6", "float16", "0 videos")
    assert rows["windows"] == "auto"
    whole = open_index(tmp_path / "whole", encoder, windows="none").info()
    assert (
        dict(line.split(maxsplit=1) for line in repr(whole).splitlines())["windows"] == "none, each video as a whole"
    )


def test_importing_the_door_and_the_encoder_loads_no_torch() -> None:
    code = (
        "from video_colbert import VideoColBERTEncoder, open_index\n"
        "import sys\n"
        "sys.exit(' '.join({'torch', 'transformers', 'lancedb'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_the_client_a_collection_says_what_to_install_and_a_folder_works(tmp_path: Path) -> None:
    script = f"""
import sys
sys.modules["qdrant_client"] = None
from video_colbert.errors import MissingExtraError
from video_colbert.index import index_exists
assert not index_exists({str(tmp_path)!r})
try:
    index_exists("qdrant://host/videos")
except MissingExtraError as error:
    assert "pip install 'video-colbert[qdrant]'" in str(error), error
else:
    raise AssertionError("no error")
"""
    subprocess.run([warm_python(), "-c", script], check=True)


def test_videos_are_shown_in_a_line_each(tmp_path: Path, videos: Path, encoder: VideoColBERTEncoder) -> None:
    index = open_index(tmp_path / "index", encoder, windows=2.0)
    index.add(videos / "a.mp4", metadata={str(videos / "a.mp4"): {"year": 2020}})
    # Whichever was encoded first.
    assert sorted(repr(video) for video in index.videos) == [
        f"{videos / 'a.mp4'} 0:00.0-0:02.0 year=2020",
        f"{videos / 'a.mp4'} 0:01.0-0:03.0 year=2020",
    ]
    assert len({repr(Index(index.stored)), repr(index)}) == 1
    assert all(len(line) < 200 for line in itertools.chain(*(repr(video).splitlines() for video in index.videos)))
