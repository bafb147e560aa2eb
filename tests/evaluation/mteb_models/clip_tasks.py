"""Tasks of mteb's own classes over made clips, in the forms in which mteb keeps videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from datasets import Dataset, Video
from mteb import TaskMetadata
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData

Form = Literal["feature", "rows"]
"""A column of the feature `Video`, or rows of `path` and `bytes`."""

CAPTIONS = [
    "a red square moves left",
    "a dog",
    "a man rides a bicycle through the city",
    "two people dance in a small room",
    "a blue ball rises over the water",
    "a cat sleeps",
    "somebody cooks rice with vegetables",
    "the car stops at a red light",
    "a woman sings a song on a stage",
    "children play in the snow",
]


def video_column(clips: list[Path], form: Form) -> Dataset:
    """A data set with the one column "video", whose files exist nowhere but in it."""
    rows = Dataset.from_dict({"video": [{"path": None, "bytes": clip.read_bytes()} for clip in clips]})
    return rows.cast_column("video", Video()) if form == "feature" else rows


def metadata(name: str, category: str) -> TaskMetadata:
    """What mteb wants to know of a task."""
    return TaskMetadata(
        name=name,
        description="Made clips.",
        dataset={"path": "made/clips", "revision": "1"},
        type="Any2AnyRetrieval",
        category=category,
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
        modalities=["text", "video"],
        reference=None,
        date=("2026-01-01", "2026-12-31"),
        domains=["Web"],
        task_subtypes=[],
        license="not specified",
        annotations_creators="derived",
        dialect=[],
        sample_creation="created",
        bibtex_citation="",
    )


def msrvtt_rows(clips: list[Path]) -> Dataset:
    """Clips and captions in the columns of `mteb/MSR-VTT`."""
    return video_column(clips, "feature").add_column("caption", CAPTIONS[: len(clips)])


class ClipsT2V(AbsTaskRetrieval):
    """Captions look for clips; caption number i is of clip number i."""

    metadata = metadata("ClipsT2V", "t2v")

    def __init__(self, clips: list[Path], form: Form = "feature", ids: list[str] | None = None) -> None:
        super().__init__()
        self._clips, self._form = clips, form
        self._ids = ids or [f"v{number}" for number in range(len(clips))]

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        corpus = video_column(self._clips, self._form).add_column("id", self._ids)
        captions = CAPTIONS[: len(self._clips)]
        queries = Dataset.from_dict({"id": [f"q{number}" for number in range(len(captions))], "text": captions})
        relevant = {f"q{number}": {self._ids[number]: 1} for number in range(len(captions))}
        self.dataset = {
            "default": {
                "test": RetrievalSplitData(corpus=corpus, queries=queries, relevant_docs=relevant, top_ranked=None)
            }
        }
        self.data_loaded = True


class ClipsV2T(AbsTaskRetrieval):
    """Clips look for captions."""

    metadata = metadata("ClipsV2T", "v2t")

    def __init__(self, clips: list[Path], form: Form = "feature") -> None:
        super().__init__()
        self._clips, self._form = clips, form

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        ids = [str(number) for number in range(len(self._clips))]
        queries = video_column(self._clips, self._form).add_column("id", ids)
        corpus = Dataset.from_dict({"id": ids, "text": CAPTIONS[: len(ids)]})
        relevant = {each: {each: 1} for each in ids}
        self.dataset = {
            "default": {
                "test": RetrievalSplitData(corpus=corpus, queries=queries, relevant_docs=relevant, top_ranked=None)
            }
        }
        self.data_loaded = True
