"""The metrics as a Space: its files run where this package is not, and the Hub's client publishes them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import SpaceCard

pytest.importorskip("gradio", reason="needs the extra [app]")

from tests.hub.clients import HubClient, run_without_packages
from tests.hub_stand_in import HubStandIn
from video_colbert.errors import HubError
from video_colbert.evaluation.metrics import text_to_video_metrics, video_to_text_metrics
from video_colbert.hub.metric_space import metric_files

NAME = "video_text_retrieval"
CALL = """
import json, sys
sys.path.insert(0, {folder!r})
import app
scores, positives = {scores!r}, {positives!r}
found = [
    app.compute(json.dumps(scores), json.dumps(positives), "text_to_video", "expected"),
    app.compute(json.dumps(scores), json.dumps(positives), "video_to_text", "optimistic"),
]
try:
    app.compute("[[1, 2], [3]]", "[0, 0]", "text_to_video", "expected")
except app.gr.Error as error:
    found.append(str(error))
print(json.dumps([*found, [key for key in app.demo.config["dependencies"] if key["api_name"] == "compute"] != []]))
"""
LOAD = """
import json
import evaluate
metric = evaluate.load({name!r})
found = [
    metric.compute(predictions={scores!r}, references={positives!r}),
    metric.compute(
        predictions={scores!r}, references={positives!r}, direction="video_to_text", ties="optimistic"
    ),
]
print(json.dumps(found))
"""


def made_scores() -> tuple[np.ndarray, list[list[int]]]:
    """Scores of 12 texts with 8 videos, of which many are tied, and the right videos."""
    generator = np.random.default_rng(3)
    scores = generator.integers(0, 9, (12, 8)) / 3
    return scores, [[int(place)] for place in generator.permutation([*range(8), 0, 1, 2, 3])]


def test_the_files_of_the_space_compute_without_this_package(tmp_path: Path) -> None:
    folder = tmp_path / "space"
    folder.mkdir()
    for path, content in metric_files(NAME).items():
        (folder / path).write_bytes(content)
    scores, positives = made_scores()
    code = CALL.format(folder=str(folder), scores=scores.tolist(), positives=positives)
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "1",
        "GRADIO_ANALYTICS_ENABLED": "0",
    }
    forwards, backwards, error, is_named = json.loads(run_without_packages(code, environment).splitlines()[-1])
    assert forwards == pytest.approx(text_to_video_metrics(scores, positives).as_dict(), abs=1e-12)
    expected = video_to_text_metrics(scores, positives, ties="optimistic").as_dict()
    assert backwards == pytest.approx(expected, abs=1e-12)
    assert "the rows have several lengths" in error
    assert is_named


def test_what_a_space_needs_is_there_and_named() -> None:
    files = metric_files("my_metric")
    assert {"app.py", "requirements.txt", "README.md", "my_metric.py", "metrics.py"} < files.keys()
    for path, content in files.items():
        assert b"import video_colbert" not in content, path
        assert b"from video_colbert" not in content, path
    card = SpaceCard(files["README.md"].decode()).data
    assert (card.sdk, card.app_file) == ("gradio", "app.py")
    assert {"evaluate", "metric"} <= set(card.tags or ())
    with pytest.raises(HubError, match="evaluate loads modules whose name is one of Python"):
        metric_files("video-text-retrieval")


def test_the_command_publishes_what_is_made_and_replaces_nothing_of_others(hub: HubStandIn, tmp_path: Path) -> None:
    client = HubClient(hub.settings(tmp_path))
    try:
        code, out, err = client.command_line("publish-metric", f"tester/{NAME}")
        assert code == 0, err
        assert f"evaluate.load('tester/{NAME}')" in out
        code, _, err = client.command_line("publish-metric", f"tester/{NAME}")
        assert code == 0, err
        code, _, err = client.command_line("publish-metric", "tester/no-module")
        assert code == 1
        assert "such as video_text_retrieval" in err
    finally:
        client.close()


def test_evaluate_loads_what_the_command_published_by_its_name_where_this_package_is_not(
    hub: HubStandIn, tmp_path: Path
) -> None:
    name = f"{hub.owner}/retrieval_by_name"
    client = HubClient(hub.settings(tmp_path / "publisher"))
    try:
        code, _, err = client.command_line("publish-metric", name)
    finally:
        client.close()
    assert code == 0, err
    scores, positives = made_scores()
    before = len(hub.log)
    environment = {
        **hub.environment(tmp_path / "reader", token=None),
        # The one address that evaluate has wired in: it counts downloads at S3, whatever the Hub's address is.
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    }
    code = LOAD.format(name=name, scores=scores.tolist(), positives=positives)
    forwards, backwards = json.loads(run_without_packages(code, environment).splitlines()[-1])
    assert forwards == pytest.approx(text_to_video_metrics(scores, positives).as_dict(), abs=1e-12)
    expected = video_to_text_metrics(scores, positives, ties="optimistic").as_dict()
    assert backwards == pytest.approx(expected, abs=1e-12)
    fetched = [Path(request.path).name for request in hub.log[before:] if request.method == "GET"]
    assert {"retrieval_by_name.py", "metrics.py"} < set(fetched) < metric_files("retrieval_by_name").keys()
