from __future__ import annotations

import base64
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip
from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.processing import DecodingSettings

CAPTIONS = ["a red circle grows", "a blue circle rests", "a man <b>rides</b> & waits", "a red square turns", "it runs"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five videos, the first with two captions, and one caption without a video."""
    lines = [{"video": "0.mp4", "caption": "a circle of one colour"}]
    for number, caption in enumerate(CAPTIONS):
        write_clip(tmp_path / f"videos/{number}.mp4", number)
        lines.append({"video": f"{number}.mp4", "caption": caption})
    (tmp_path / "videos/captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path / "videos"


class Page(HTMLParser):
    """Which tags are left open and what is loaded from elsewhere."""

    VOID = frozenset(("meta", "img", "br"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        values = dict(attrs)
        source = values.get("src") or values.get("href")
        if tag == "img" and source is not None and source.startswith("data:"):
            self.images.append(source)
        elif source is not None:
            self.loaded.append(source)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def brute_ranks(checkpoint: Path, folder: Path) -> dict[str, list[int]]:
    """Rank of each caption's video on each level, one pair at a time."""
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint, device="cpu")
    bags = [next(encoder.encode_videos([VideoClip(str(folder / f"{number}.mp4"))])) for number in range(5)]
    ranks: dict[str, list[int]] = {"frame": [], "video": [], "sum": []}
    for text, place in [("a circle of one colour", 0), *((text, place) for place, text in enumerate(CAPTIONS))]:
        query = encoder.encode_queries([text])
        tokens = query.bags_of("frame").embeds[0][query.bags_of("frame").mask[0]].numpy()
        scores = []
        for bag in bags:
            assert isinstance(bag, EncodedVideo)
            scores.append([(tokens @ level.numpy().T).max(axis=1).mean() for level in bag.embeds.values()])
        table = np.array(scores)
        for level, column in (("frame", table[:, 0]), ("video", table[:, 1]), ("sum", table.sum(axis=1))):
            ranks[level].append(1 + int((column > column[place]).sum()))
    return ranks


def test_report_holds_ranks_intervals_failures_with_pictures_and_plots(
    tmp_path: Path, folder: Path, checkpoint_folder: Path, run_command: RunCommand
) -> None:
    command = ("evaluate", "--model", checkpoint_folder, "--dataset", "video_folder", "--data-dir", folder)
    code, out, err = run_command(*command, "--report", tmp_path / "report", "--failures", "3", "--device", "cpu")
    assert code == 0, err
    assert out.splitlines()[-1] == f"report: {tmp_path / 'report' / 'report.html'}"
    report = json.loads((tmp_path / "report/report.json").read_text())
    expected = brute_ranks(checkpoint_folder, folder)
    for level, ranks in expected.items():
        assert [query["ranks"][level] for query in report["queries"]] == ranks
    assert [query["video_id"] for query in report["queries"]] == [f"{number}.mp4" for number in (0, 0, 1, 2, 3, 4)]
    assert {result["num_expected_videos"] for result in report["results"]} == {5}

    worst = sorted((rank for rank in expected["sum"] if rank > 1), reverse=True)[:3]
    assert [failure["rank"] for failure in report["failures"]] == worst
    for failure in report["failures"]:
        assert failure["preferred"]["score"] > failure["right"]["score"]
        moments = failure["right"]["moments"]
        assert {moment["word"] for moment in moments} <= set(re.findall(r"\w+", failure["text"]))
        assert set(failure["right"]["thumbnails"]) == {f"{moment['time']:.3f}" for moment in moments}

    text = (tmp_path / "report/report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert page.loaded == []
    assert "5 of 5 videos" in text
    assert "a man &lt;b&gt;rides&lt;/b&gt; &amp; waits" in text
    assert page.images
    for uri in page.images:
        picture = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
        assert picture.height == 120
    plots = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(plots) == 6  # ranks and scores of three levels
    for plot in plots:
        ElementTree.fromstring(plot)  # noqa: S314 # made by this very test


def test_second_run_with_a_cache_decodes_nothing_and_finds_the_same(
    tmp_path: Path,
    folder: Path,
    checkpoint_folder: Path,
    run_command: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = ("evaluate", "--model", checkpoint_folder, "--dataset", "video_folder", "--data-dir", folder)
    command = (*command, "--cache-dir", tmp_path / "cache")
    code, first, err = run_command(*command)
    assert code == 0, err
    assert "0 of 5 videos were read from the cache" in err

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a video was decoded")

    monkeypatch.setattr(DecodingSettings, "decode", refuse)
    code, second, err = run_command(*command)
    assert (code, second) == (0, first)
    assert "5 of 5 videos were read from the cache" in err


def test_a_run_compares_with_the_report_of_another(
    tmp_path: Path, folder: Path, checkpoint_folder: Path, clip_backbone_folder: Path, run_command: RunCommand
) -> None:
    command = ("evaluate", "--dataset", "video_folder", "--data-dir", folder)
    code, _, err = run_command(*command, "--model", clip_backbone_folder, "--report", tmp_path / "zero-shot")
    assert code == 0, err
    ours = (*command, "--model", checkpoint_folder)
    code, out, err = run_command(*ours, "--report", tmp_path / "ours", "--compare", tmp_path / "zero-shot")
    assert code == 0, err
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("ours", "zero-shot")]
    ranks = [[query["ranks"]["frame"] for query in report["queries"]] for report in reports]
    line = next(line for line in out.splitlines() if line.startswith("frame  MnR"))
    assert line.split()[2] == f"{np.mean(ranks[0]) - np.mean(ranks[1]):+.3f}"

    (folder / "captions.jsonl").write_text('{"video": "0.mp4", "caption": "another"}')
    code, out, err = run_command(*ours, "--compare", tmp_path / "zero-shot")
    assert code == 1
    assert "only evaluations of the same queries and videos compare" in err
    code, _, err = run_command(*ours, "--compare", tmp_path / "nowhere.json")
    assert code == 1
    assert "is no report.json of an evaluation" in err


def test_what_is_not_the_usual_counting_is_labelled_everywhere(
    tmp_path: Path, folder: Path, checkpoint_folder: Path, run_command: RunCommand
) -> None:
    command = ("evaluate", "--model", checkpoint_folder, "--dataset", "video_folder", "--data-dir", folder)
    code, out, err = run_command(
        *command, "--dual-softmax", "--ties", "clip4clip", "--report", tmp_path / "r", "--output", tmp_path / "o.json"
    )
    assert code == 0, err
    labels = ("re-weighted by dual softmax, which sees all queries", "ties ranked as clip4clip")
    page = (tmp_path / "r/report.html").read_text()
    for label in labels:
        assert label in out
        assert label in page
    for result in json.loads((tmp_path / "o.json").read_text()):
        assert (result["reweighting"], result["ties"]) == ("dual_softmax", "clip4clip")
        assert result["confidence_intervals"] is None
