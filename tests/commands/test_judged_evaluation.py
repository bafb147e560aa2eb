from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.commands.conftest import RunCommand
from tests.dataset_builders.small_benchmarks import write_multivent2
from tests.video_files import write_clip
from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.hub.evaluation_files import read_evaluation_results

QUERIES = {"a flood in the north": {"x": 2}, "Wahlen, erster Tag": {"x": 1, "z": 3}}


def test_multivent_queries_are_measured_by_their_graded_judgements(
    tmp_path: Path,
    encoder: VideoColBERTEncoder,
    checkpoint_folder: Path,
    run_command: RunCommand,
) -> None:
    folder = tmp_path / "multivent"
    write_multivent2(folder, "judgments.qrels")
    for seed, name in enumerate("wxy"):
        write_clip(folder / f"test/000/test{name}.mp4", seed)
    # Two videos that nothing tells apart.
    shutil.copy(folder / "test/000/testy.mp4", folder / "test/000/testz.mp4")
    command = ("evaluate", "--model", checkpoint_folder, "--dataset", "multivent2", "--data-dir", folder)
    code, out, err = run_command(*command, "--output", tmp_path / "evaluation.json", "--report", tmp_path / "report")
    assert code == 0, err
    bags = {}
    for name in "wxyz":
        (video,) = encoder.encode_videos([VideoClip(str(folder / f"test/000/test{name}.mp4"))])
        assert isinstance(video, EncodedVideo)
        bags[name] = video.embeds["frame"].numpy()
    values = []
    for text, grades in QUERIES.items():
        query = encoder.encode_queries([text]).bags_of("frame")
        tokens = query.embeds[0][query.mask[0]].numpy()
        scores = {name: float((tokens @ bag.T).max(axis=1).mean()) for name, bag in bags.items()}
        discounts = []
        for name, score in scores.items():
            above = sum(other > score + 1e-6 for other in scores.values())
            tied = sum(abs(other - score) <= 1e-6 for other in scores.values())
            ranks = np.arange(above + 1, above + tied + 1)
            discounts.append((grades.get(name, 0), float(np.mean(1 / np.log2(1 + ranks)))))
        ideal = sum(grade / np.log2(rank + 2) for rank, grade in enumerate(sorted(grades.values(), reverse=True)))
        values.append(sum(grade * discount for grade, discount in discounts) / ideal)
    results = read_evaluation_results(tmp_path)
    frame = next(it for it in results if (it.level, it.direction) == ("frame", "text_to_video"))
    assert frame.metrics["nDCG@10"] == pytest.approx(np.mean(values), abs=1e-6)
    assert (frame.num_judged_queries, frame.num_queries) == (2, 3)
    assert [("nDCG@10" in it.metrics) for it in results] == [it.direction == "text_to_video" for it in results]
    levels = {it.level: it.metrics["nDCG@10"] for it in results if it.direction == "text_to_video"}
    assert (
        f"nDCG@10 of 2 judged queries: frame level {levels['frame']:.3f}, video level {levels['video']:.3f}, "
        f"all levels {levels['sum']:.3f}" in out.splitlines()
    )
    assert f"<td>{levels['sum']:.3f}</td>" in (tmp_path / "report/report.html").read_text()
    assert json.loads((tmp_path / "report/report.json").read_text())["results"][0]["num_judged_queries"] == 2
