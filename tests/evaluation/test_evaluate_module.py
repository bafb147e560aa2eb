from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.warm_python import warm_python
from video_colbert.evaluation import metrics
from video_colbert.evaluation.metrics import text_to_video_metrics, video_to_text_metrics

FOLDER = Path(metrics.__file__).with_name("video_text_retrieval")
SCRIPT = """
import json, sys
import evaluate
given = json.loads(sys.stdin.read())
metric = evaluate.load(sys.argv[1])
arguments = {"predictions": given["scores"], "references": given["positives"]}
found = {
    "text_to_video": metric.compute(**arguments),
    "video_to_text": metric.compute(**arguments, direction="video_to_text", ks=[2], ties="optimistic"),
}
for row, places in zip(given["scores"], given["positives"]):
    metric.add(prediction=row, reference=places)
found["one by one"] = metric.compute()
flat = [place for (place,) in given["positives"]]
found["flat"] = metric.compute(predictions=given["scores"], references=flat)
for row, place in zip(given["scores"], flat):
    metric.add(prediction=row, reference=place)
found["flat, one by one"] = metric.compute()
metric.add_batch(predictions=given["scores"], references=flat)
found["flat, a batch"] = metric.compute()
try:
    metric.compute(**arguments, direction="sideways")
except ValueError as error:
    found["error"] = str(error)
print(json.dumps(found))
"""


def test_module_loads_offline_from_its_folder_and_gives_the_metrics(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    scores = generator.integers(0, 9, (12, 8)) / 3
    positives = [[int(place)] for place in generator.permutation([*range(8), 0, 1, 2, 3])]
    run = subprocess.run(
        [warm_python(), "-c", SCRIPT, str(FOLDER)],
        input=json.dumps({"scores": scores.tolist(), "positives": positives}),
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    expected = text_to_video_metrics(scores, positives).as_dict()
    assert found["text_to_video"] == pytest.approx(expected, abs=1e-12)
    for name in ("one by one", "flat", "flat, one by one", "flat, a batch"):
        assert found[name] == found["text_to_video"]
    backwards = video_to_text_metrics(scores, positives, ks=[2], ties="optimistic").as_dict()
    assert found["video_to_text"] == pytest.approx(backwards, abs=1e-12)
    assert found["error"] == "direction must be one of text_to_video, video_to_text, got 'sideways'"
