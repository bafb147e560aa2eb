from __future__ import annotations

import dataclasses
import random
import signal
import subprocess
import time
from pathlib import Path

import lancedb
import pytest
import torch
import torch.nn.functional as F

from tests.index.lance.test_levels import make_three_level_queries, make_three_level_video
from tests.index.made_videos import MODEL, make_queries, make_video
from tests.warm_python import warm_python
from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.errors import IndexStoreError
from video_colbert.index import IndexedVideo, LanceIndex
from video_colbert.index.lance.learned_codes import LearnedCode
from video_colbert.index.lance.repair import repair_index, verify_index
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.metadata_columns import POOLED

ROOT = Path(__file__).parents[3]
PREFIX = b"video_colbert.code."
Made = tuple[IndexedVideo, EncodedVideo]

ADDING = """
import sys
from tests.index.lance.test_learned_codes import made
from video_colbert.index import LanceIndex

index = LanceIndex.open(sys.argv[1])
first = 0
for number in (1, 9, 72, 600):
    index.add(made(first, first + number))
    first += number
    print(first, flush=True)
"""


def made(first: int, stop: int, frames: int = 4) -> list[Made]:
    return [make_video(f"{number}.mp4", frames=frames, metadata={"number": number}) for number in range(first, stop)]


def turned(videos: list[Made], seed: int) -> list[Made]:
    """The same videos with tokens along two directions only."""
    plane = torch.randn(2, 8, generator=torch.Generator().manual_seed(seed))
    return [
        (
            video,
            dataclasses.replace(
                encoded,
                embeds={
                    level: F.normalize(tokens[:, :2] @ plane, dim=1) if level == "frame" else tokens
                    for level, tokens in encoded.embeds.items()
                },
            ),
        )
        for video, encoded in videos
    ]


def make_index(folder: Path) -> LanceIndex:
    return LanceIndex.create(folder, model=MODEL, num_frames=4, codec="compact")


def codes_in(folder: Path) -> dict[str, list[LearnedCode]]:
    """The codes by level, as another program would read them."""
    kept = lancedb.connect(folder).open_table("videos").schema.field(POOLED).metadata or {}
    found: dict[str, list[LearnedCode]] = {}
    for key, text in kept.items():
        if key.startswith(PREFIX) and text != b"withdrawn":
            level = key.removeprefix(PREFIX).decode().split(".")[0]
            found.setdefault(level, []).append(LearnedCode.from_text(text.decode()))
    return {level: sorted(codes, key=lambda code: code.order) for level, codes in found.items()}


def stored_tokens(folder: Path, level: str) -> dict[str, list[list[int]]]:
    table = lancedb.connect(folder).open_table("videos").to_arrow()
    return dict(zip(table["path"].to_pylist(), table[f"{level}_tokens"].to_pylist(), strict=True))


def scores(index: LanceIndex, number: int) -> dict[str, float]:
    return {hit.video: hit.score for hit in index.search(make_queries(1), top_k=number)[0]}


def test_compact_tokens_score_nearly_as_whole_ones(tmp_path: Path) -> None:
    index = make_index(tmp_path / "compact")
    whole = LanceIndex.create(tmp_path / "whole", model=MODEL, num_frames=4)
    for first, stop in ((0, 40), (40, 45), (45, 400)):
        index.add(made(first, stop))
        whole.add(made(first, stop))
    found, exact = scores(LanceIndex.open(tmp_path / "compact"), 400), scores(whole, 400)
    assert found.keys() == exact.keys()
    assert max(abs(found[video] - exact[video]) for video in exact) < 0.15
    assert LanceIndex.open(tmp_path / "compact").codec == "compact"
    # One code a level until there were eight times as many videos.
    assert {level: len(codes) for level, codes in codes_in(tmp_path / "compact").items()} == {"frame": 2, "video": 2}


def test_levels_of_different_widths_and_videos_without_tokens_have_codes_of_their_own(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    # The first video has no tokens on the level of speech.
    index.add([make_three_level_video("0.mp4", 0)])
    index.add([make_three_level_video(f"{row}.mp4", row) for row in range(1, 60)])
    assert {level: codes[-1].code.width for level, codes in codes_in(tmp_path).items()} == {
        "frame": 8,
        "video": 8,
        "speech": 5,
    }
    assert len(LanceIndex.open(tmp_path).search(make_three_level_queries({}), top_k=60)[0]) == 60


def test_tokens_that_changed_are_noticed_and_a_new_code_is_learned(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    index.add(turned(made(0, 300), seed=1))
    before = stored_tokens(tmp_path, "frame")
    index.add(turned(made(300, 600), seed=1))
    assert len(codes_in(tmp_path)["frame"]) == 1
    changed = made(600, 900)
    index.add(changed)
    codes = codes_in(tmp_path)
    assert (len(codes["frame"]), len(codes["video"])) == (2, 1)
    tokens = torch.cat([encoded.embeds["frame"] for _, encoded in changed])
    assert codes["frame"][0].code.lost_share(tokens) > 2 * codes["frame"][0].lost
    assert codes["frame"][1].code.lost_share(tokens) < 0.5 * codes["frame"][0].code.lost_share(tokens)
    # What is stored already stays as it is, and is decoded as it was.
    after = stored_tokens(tmp_path, "frame")
    assert all(after[path] == tokens for path, tokens in before.items())
    numbers = {token[0] for of_video in after.values() for token in of_video}
    assert len(numbers) == 2
    assert len(scores(LanceIndex.open(tmp_path), 900)) == 900


def test_a_code_that_is_kept_before_a_commit_fails_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index(tmp_path)
    index.add(made(0, 5))

    def fail(*_: object) -> None:
        raise IndexStoreError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(LanceTable, "insert", fail)
        with pytest.raises(IndexStoreError, match="killed"):
            index.add(made(5, 60))
    assert len(codes_in(tmp_path)["frame"]) == 2
    assert len(scores(LanceIndex.open(tmp_path), 60)) == 5
    LanceIndex.open(tmp_path).add(made(5, 60))
    assert len(scores(LanceIndex.open(tmp_path), 60)) == 60
    assert len(codes_in(tmp_path)["frame"]) == 2


def test_a_changed_code_is_one_sentence_and_the_version_before_is_repaired_to(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    index.add(made(0, 30))
    kept = LanceTable.open(str(tmp_path)).schema.field(POOLED).metadata
    key, text = next((key, text) for key, text in kept.items() if key.startswith(PREFIX))
    flipped = bytearray(text)
    flipped[len(text) // 2] ^= 1
    LanceTable.open(str(tmp_path)).set_field_metadata(POOLED, {key.decode(): flipped.decode()})
    with pytest.raises(IndexStoreError, match=r"is damaged: its token code \S+ is not what was written; `video-colb"):
        LanceIndex.open(tmp_path).search(make_queries(1))
    with pytest.raises(IndexStoreError, match="is damaged: its token code"):
        LanceIndex.open(tmp_path).add(made(30, 31))
    assert len(repair_index(tmp_path).set_aside) == 1
    assert verify_index(tmp_path).videos == 30
    assert len(scores(LanceIndex.open(tmp_path), 30)) == 30


def test_any_flipped_bit_of_the_file_that_holds_codes_is_noticed(tmp_path: Path) -> None:
    make_index(tmp_path).add(made(0, 30))
    manifest = min((tmp_path / "videos.lance" / "_versions").glob("*.manifest"))
    content = manifest.read_bytes()
    generator = random.Random(0)
    for place in generator.sample(range(len(content)), 20):
        changed = bytearray(content)
        changed[place] ^= 1 << generator.randrange(8)
        manifest.write_bytes(changed)
        with pytest.raises(IndexStoreError, match="is damaged"):
            LanceIndex.open(tmp_path).search(make_queries(1))
    manifest.write_bytes(content)
    assert len(scores(LanceIndex.open(tmp_path), 30)) == 30


def test_of_two_codes_of_one_number_that_are_learned_at_once_the_later_takes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_index(tmp_path).add(made(0, 5))
    set_field_metadata = LanceTable.set_field_metadata
    learned: list[str] = []

    def set_after_another(table: LanceTable, column: str, values: dict[str, str]) -> None:
        if not learned and any(key.startswith("video_colbert.code.") for key in values):
            key, text = next(iter(values.items()))
            learned.append(key)
            # Another process has taken the same number for another code, a moment before.
            other = LanceTable.open(str(tmp_path))
            set_field_metadata(other, column, {f"{key.rpartition('.')[0]}.{'0' * 16}": text})
        set_field_metadata(table, column, values)

    monkeypatch.setattr(LanceTable, "set_field_metadata", set_after_another)
    LanceIndex.open(tmp_path).add(made(5, 60))
    assert len(learned) == 1
    kept = lancedb.connect(tmp_path).open_table("videos").schema.field(POOLED).metadata
    numbers = [key.split(b".")[-2] for key, text in kept.items() if key.startswith(PREFIX) and text != b"withdrawn"]
    assert len(set(numbers)) == len(numbers)
    assert kept[learned[0].encode()] == b"withdrawn"
    assert len(scores(LanceIndex.open(tmp_path), 60)) == 60


def test_a_reader_goes_on_while_codes_are_learned(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    index.add(made(0, 10))
    reader = LanceIndex.open(tmp_path)
    first = scores(reader, 1000)
    for start, stop in ((10, 90), (90, 800)):
        index.add(made(start, stop))
        found = scores(reader, 1000)
        assert len(found) == stop
        assert all(found[video] == pytest.approx(score, abs=1e-3) for video, score in first.items())


@pytest.mark.slow
def test_every_acknowledged_add_survives_a_kill_while_codes_are_learned(tmp_path: Path) -> None:
    generator = random.Random()
    for number in range(8):
        folder = tmp_path / str(number)
        make_index(folder)
        child = subprocess.Popen([warm_python(), "-c", ADDING, folder], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        time.sleep(generator.uniform(0, 1.0))
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines()
        child.wait()
        child.stdout.close()
        acknowledged = int(lines[-1])
        index = LanceIndex.open(folder)
        assert len(index) in (acknowledged, *{1: [10], 10: [82], 82: [682]}.get(acknowledged, []))
        assert len(scores(index, 1000)) == len(index)
        index.add(made(0, 700))
        assert len(scores(LanceIndex.open(folder), 1000)) == 700
        assert verify_index(folder).videos == 700
