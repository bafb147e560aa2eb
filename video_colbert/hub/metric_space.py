"""The retrieval metrics as a Space: a module of the `evaluate` library that needs not this package, and its page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, SpaceCard, SpaceCardData

from video_colbert.errors import HubError, MissingExtraError
from video_colbert.hub.space import APP_FILE, check_may_replace, existing_space
from video_colbert.hub_errors import hub_errors

MARKER = "# This app is written by `video-colbert publish-metric`."
"""First line of the app, by which another publication knows that it may replace it."""

# What the module computes with: by file, a name in it for those that the module itself does not import from.
_EVALUATION = Path(__file__).parents[1] / "evaluation"
_SCRIPT = "video_text_retrieval"
_PARTS = {
    "clip4clip": "median_position",
    "metrics": None,
    "query_metrics": "settle_ties",
    "rank_counts": "rank_counts",
    "tied_ranks": "expected_median",
}
_OWN_IMPORT = re.compile(r"^from video_colbert\.evaluation\.(\w+) import", re.MULTILINE)
_REQUIREMENTS = "--extra-index-url https://download.pytorch.org/whl/cpu\nevaluate>=0.4.6\ndatasets>=5\nnumpy\ntorch\n"
_APP = '''{marker}
"""A page over the metric, and the same call for programs: `gradio_client` finds it as /compute."""

import json
from pathlib import Path

import evaluate
import gradio as gr

metric = evaluate.load(str(Path(__file__).with_name("{name}.py")))


def compute(predictions: str, references: str, direction: str, ties: str) -> dict[str, float]:
    """Retrieval metrics of a matrix of scores, both given as JSON."""
    try:
        given = {{"predictions": json.loads(predictions), "references": json.loads(references)}}
        return metric.compute(**given, direction=direction, ties=ties)
    except (TypeError, ValueError) as error:
        raise gr.Error(str(error)) from error


demo = gr.Interface(
    compute,
    [
        gr.Textbox("[[0.9, 0.1, 0.3], [0.8, 0.3, 0.5]]", label="Scores of each text with all videos (JSON)", lines=4),
        gr.Textbox("[0, 2]", label="Place of each text's right video, or places (JSON)"),
        gr.Dropdown(["text_to_video", "video_to_text"], label="Direction"),
        gr.Dropdown(
            ["expected", "optimistic", "pessimistic", "clip4clip", "clip4clip_multi_sentence"], label="Tied scores"
        ),
    ],
    gr.JSON(label="Metrics"),
    title="Text-video retrieval",
    description=metric.info.description,
    api_name="compute",
)

if __name__ == "__main__":
    demo.launch()
'''


@dataclass(frozen=True)
class PublishedMetric:
    """What was published.

    Attributes:
        repo_id: the Space, with its owner, by which `evaluate.load` finds the metric.
        commit: the commit's full hash.
        url: of the Space.
    """

    repo_id: str
    commit: str
    url: str


def metric_files(name: str) -> dict[str, bytes]:
    """The files of the Space by their paths there: module, what it computes with, page, requirements and card.

    Args:
        name: of the Space without its owner, which is the name of the module's file too.

    Raises:
        HubError: a Space of the name could not be loaded as a module.
        MissingExtraError: the extra `app` is not installed, by whose version of Gradio the Space is built.

    Example:
        >>> sorted(metric_files("video_text_retrieval"))[:3]
        ['README.md', 'app.py', 'clip4clip.py']
    """
    if not re.fullmatch(r"[A-Za-z]\w*", name) or name in _PARTS or name == "app":
        raise HubError(
            f"the Space is called {name!r}; evaluate loads modules whose name is one of Python, such as {_SCRIPT}"
        )
    script = (_EVALUATION / _SCRIPT / f"{_SCRIPT}.py").read_text(encoding="utf-8")
    files = {f"{part}.py": (_EVALUATION / f"{part}.py").read_text(encoding="utf-8") for part in _PARTS}
    # `evaluate` fetches the files that the module itself names, and not those that they name.
    named = "".join(f"from .{part} import {first}\n" for part, first in _PARTS.items() if first)
    head = "from .metrics import"
    files[f"{name}.py"] = _OWN_IMPORT.sub(r"from .\1 import", script).replace(head, f"{named}{head}", 1)
    own = {path: _OWN_IMPORT.sub(r"from .\1 import", text) for path, text in files.items()}
    return {path: text.encode() for path, text in own.items()} | {
        APP_FILE: _APP.format(marker=MARKER, name=name).encode(),
        "requirements.txt": _REQUIREMENTS.encode(),
        "README.md": _card(name),
    }


def publish_metric(repo_id: str, *, private: bool = False, token: str | None = None) -> PublishedMetric:
    """Publishes the metrics as a Space, in one commit; `evaluate.load(repo_id)` then finds them on any machine.

    Args:
        repo_id: the Space, made if there is none; without an owner, one of the token's user.
        private: whether the Space is private. If it exists, it must be so already.
        token: Hub token; the stored one by default.

    Raises:
        HubError: the name is taken or is none of a module, or the Hub refuses or cannot be reached.
        MissingExtraError: the extra `app` is not installed.
    """
    files = metric_files(repo_id.rpartition("/")[2])
    api = HfApi(token=token)
    with hub_errors(f"{repo_id} cannot be published"):
        user = api.whoami()["name"]
        if "/" not in repo_id:
            repo_id = f"{user}/{repo_id}"
        existing = existing_space(api, repo_id)
        if existing is None:
            api.create_repo(repo_id, repo_type="space", space_sdk="gradio", private=private)
        else:
            check_may_replace(api, existing, private, MARKER)
        commit = api.create_commit(
            repo_id,
            [CommitOperationAdd(path_in_repo=path, path_or_fileobj=content) for path, content in files.items()],
            commit_message="Publish the metrics of text-video retrieval",
            repo_type="space",
            parent_commit=api.space_info(repo_id).sha,
        )
    return PublishedMetric(repo_id, commit.oid, f"{api.endpoint}/spaces/{repo_id}")


def _card(name: str) -> bytes:
    """`README.md` with the metadata by which the Hub builds the Space, and lists it as a metric."""
    try:
        gradio = version("gradio")
    except PackageNotFoundError as error:
        raise MissingExtraError("a Space needs the extra app: pip install 'video-colbert[app]'") from error
    data = SpaceCardData(
        title="Text-video retrieval",
        sdk="gradio",
        sdk_version=gradio,
        python_version="3.12",
        app_file=APP_FILE,
        license="apache-2.0",
        tags=["evaluate", "metric"],
        emoji="🎬",
        colorFrom="indigo",
        colorTo="purple",
        description="R@k, median and mean rank and MRR of text-to-video and video-to-text retrieval.",
    )
    text = f"""# Text-video retrieval

R@1, R@5, R@10 (the percentage of queries with a positive among the first k), median and mean rank (MdR, MnR) and MRR
of text-to-video and video-to-text retrieval, from a matrix of scores. Tied scores are ranked by their expectation over
random tie-breaking, or as CLIP4Clip's evaluation counts them.

```python
import evaluate

metric = evaluate.load("OWNER/{name}")
metric.compute(predictions=[[0.9, 0.1], [0.8, 0.3]], references=[[0], [1]], ks=[1])
# {{'R@1': 50.0, 'MdR': 1.5, 'MnR': 1.5, 'MRR': 0.75}}
```

It needs `evaluate`, `numpy` and `torch`.
"""
    return str(SpaceCard(f"---\n{data.to_yaml()}\n---\n\n{text}")).encode()
