"""The model card: metadata for the Hub, and what a reader needs to trust and use a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from video_colbert.evaluation.result_text import DIRECTIONS, LEVELS, conditions_text, gallery_text
from video_colbert.evaluation.retrieval import EvaluationResult
from video_colbert.hub.checkpoint_files import CONFIG_FILE, PROCESSOR_FILE, TRAINING_FILE, read_json_object
from video_colbert.hub.evaluation_files import (
    dataset_hub_id,
    dataset_name,
    hub_result_files,
    read_evaluation_results,
    to_model_index,
)
from video_colbert.modeling_video_colbert import VideoColBERTConfig

CARD_FILE = "README.md"

TAGS = ("text-to-video-retrieval", "late-interaction", "custom_code")
_MARKER = "<!-- This card is written by video-colbert. Delete this line to keep your own text. -->"
_PAPER = "[Video-ColBERT](https://arxiv.org/abs/2503.19009) (Reddy et al., CVPR 2025)"


@dataclass(frozen=True)
class _Checkpoint:
    """What a card is made of."""

    name: str
    config: VideoColBERTConfig
    processor: dict[str, Any]
    training: dict[str, Any]
    results: list[EvaluationResult]


def write_model_card(
    folder: str | Path,
    *,
    repo_id: str | None = None,
    license: str = "apache-2.0",
    datasets: Sequence[str] | None = None,
) -> None:
    """Writes `README.md` and `.eval_results/` beside a checkpoint.

    Args:
        folder: where model and processor are saved, with `evaluation.json` and `training_arguments.json` if there
            are any.
        repo_id: see `build_model_card`.
        license: see `build_model_card`.
        datasets: see `build_model_card`.

    Raises:
        CheckpointError: a file of the checkpoint is missing or malformed.
    """
    folder = Path(folder)
    card = build_model_card(folder, repo_id=repo_id, license=license, datasets=datasets)
    (folder / CARD_FILE).write_text(str(card), encoding="utf-8")
    for name, content in hub_result_files(read_evaluation_results(folder)).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def build_model_card(
    folder: str | Path,
    *,
    repo_id: str | None = None,
    license: str = "apache-2.0",
    datasets: Sequence[str] | None = None,
) -> ModelCard:
    """Builds the card of a checkpoint.

    A `README.md` in the folder that this package did not write keeps its text and metadata; only metadata that it
    lacks, and the figures, are added.

    Args:
        folder: as for `write_model_card`.
        repo_id: Hub id that the card's examples load; the folder's name by default.
        license: the Hub's id of the weights' licence.
        datasets: Hub ids, or names of benchmarks, that the model was trained on; by default the `dataset` of its
            training arguments.

    Raises:
        CheckpointError: a file of the checkpoint is missing or malformed.
    """
    folder = Path(folder)
    training_file = folder / TRAINING_FILE
    checkpoint = _Checkpoint(
        name=repo_id or folder.resolve().name,
        config=VideoColBERTConfig(**read_json_object(folder / CONFIG_FILE)),
        processor=read_json_object(folder / PROCESSOR_FILE),
        training=read_json_object(training_file) if training_file.is_file() else {},
        results=read_evaluation_results(folder),
    )
    data = _metadata(checkpoint, license, datasets)
    existing = folder / CARD_FILE
    if existing.is_file():
        card = ModelCard(existing.read_text(encoding="utf-8"), ignore_metadata_errors=True)
        if _MARKER not in card.text:
            for key, value in data.__dict__.items():
                is_figures = key in ("eval_results", "model_name") and data.eval_results
                if is_figures or card.data.get(key) is None:
                    card.data[key] = value
            return card
    sections = (_introduction, _evaluation, _use, _training, _limits)
    text = "\n\n".join([_MARKER, *(section(checkpoint) for section in sections)])
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n")


def _metadata(checkpoint: _Checkpoint, license_id: str, datasets: Sequence[str] | None) -> ModelCardData:
    if datasets is None:
        datasets = [checkpoint.training["dataset"]] if "dataset" in checkpoint.training else []
    return ModelCardData(
        license=license_id,
        library_name="transformers",
        pipeline_tag="feature-extraction",
        base_model=_base_model(checkpoint),
        datasets=[hub_id for dataset in datasets if (hub_id := dataset_hub_id(dataset))] or None,
        tags=list(TAGS),
        model_name=checkpoint.name.split("/")[-1],
        eval_results=to_model_index(checkpoint.results) or None,
    )


def _base_model(checkpoint: _Checkpoint) -> str | None:
    """The Hub id of what training started from; None where it was a folder."""
    started_from: str | None = checkpoint.training.get("model") or checkpoint.config.backbone
    return started_from if started_from and "/" in started_from else None


def _introduction(checkpoint: _Checkpoint) -> str:
    config = checkpoint.config
    family = config.to_dict()["text_config"]["model_type"].split("_")[0]
    towers = {"clip": "CLIP", "siglip": "SigLIP"}[family]
    source = f" of [{base}](https://huggingface.co/{base})" if (base := config.backbone) and "/" in base else ""
    is_pooled = config.query_representation == "pooled"
    if is_pooled and config.video_representation == "tokens" and not checkpoint.training:
        method = (
            "Not trained further: it scores the backbone's one text vector against its frame vectors, which is the "
            "backbone's own zero-shot retrieval."
        )
    else:
        levels = {
            "frame": "frame tokens, one for each sampled frame",
            "video": (
                f"video tokens, the same frames seen together by a temporal transformer of "
                f"{config.temporal_num_layers} layers, with {config.num_visual_expansion_tokens} visual expansion "
                "tokens"
            ),
        }
        if config.video_representation == "mean":
            levels = {level: f"one vector, the mean of {tokens}" for level, tokens in levels.items()}
        query = "The one text vector of the query" if is_pooled else "Every token of the query"
        made = {
            "mean_max_sim": "the mean of the maxima is the score",
            "max_sim": "the sum of the maxima is the score",
            "weighted_token_wise": (
                "the maxima of both sides, weighted by what was learned for each token, are summed to the score"
            ),
        }[config.interaction]
        listed = "; ".join(levels[level] for level in config.score_levels)
        method = (
            f"{query} is compared with every token of the video, and {made}, on each of these levels: {listed}. "
            "The model's score is their sum; each level's is there too."
        )
    return (
        f"# {checkpoint.name.split('/')[-1]}\n\n"
        f"Finds videos by text. A model of the form of {_PAPER}, over the {towers} towers{source}. {method}"
    )


def _evaluation(checkpoint: _Checkpoint) -> str:
    lines = ["## Evaluation"]
    if not checkpoint.results:
        return "\n\n".join([*lines, "No evaluation is recorded for this checkpoint."])
    groups: dict[tuple[Any, ...], list[EvaluationResult]] = {}
    for result in checkpoint.results:
        key = (result.dataset, result.protocol, result.split, gallery_text(result), result.num_queries)
        conditions = (result.truncated_queries, result.selection, *conditions_text(result))
        groups.setdefault((*key, *conditions), []).append(result)
    for results in groups.values():
        first = results[0]
        protocol = f"protocol {first.protocol}, " if first.protocol else ""
        facts = [f"Gallery: {gallery_text(first)}", f"{first.num_queries} queries", *conditions_text(first)]
        if first.truncated_queries:
            facts.append(f"{first.truncated_queries} of them cut to the text tower's length")
        lines += [
            f"### {dataset_name(first.dataset)}, {protocol}{first.split} split",
            f"{', '.join(facts)}. Checkpoint chosen: {first.selection or 'not recorded'}.",
        ]
        if first.num_videos < first.num_expected_videos:
            lines.append(
                f"**{first.num_expected_videos - first.num_videos} videos of the split are missing, and with them "
                "their queries: these figures do not compare with those of the whole gallery.**"
            )
        lines.append(_results_table(results))
    lines.append(
        "R@k is the share of queries, in percent, with a right video among the first k; MdR and MnR are the median "
        "and mean rank of the best right video. Tied scores count with the expectation over random orders."
    )
    return "\n\n".join(lines)


def _results_table(results: Sequence[EvaluationResult]) -> str:
    names = list(dict.fromkeys(name for result in results for name in result.metrics))
    ordered = sorted(
        results, key=lambda item: (list(DIRECTIONS).index(item.direction), list(LEVELS).index(item.level))
    )
    rows = [
        [
            DIRECTIONS[result.direction],
            LEVELS[result.level],
            gallery_text(result),
            *(f"{result.metrics[name]:.2f}" if name in result.metrics else "" for name in names),
        ]
        for result in ordered
    ]
    return _table(["Direction", "Score", "Gallery", *names], rows)


def _use(checkpoint: _Checkpoint) -> str:
    name = checkpoint.name
    return f"""## Use

With the package `video-colbert`, which runs none of the code in this repository:

```bash
video-colbert index VIDEOS --model {name} --index my_index
video-colbert search "a dog catches a ball" --index my_index
```

With transformers alone (`pip install "transformers>=5.20" torch av pillow sentencepiece protobuf`), which runs the
code in this repository; read it, then pin the commit with `revision=`:

```python
import torch
from transformers import AutoModel, AutoProcessor

model = AutoModel.from_pretrained("{name}", trust_remote_code=True).eval()
processor = AutoProcessor.from_pretrained("{name}", trust_remote_code=True)


def score(captions, videos):
    queries = processor.process_queries(captions)
    clips = processor.process_videos(videos)
    with torch.inference_mode():
        query = model.get_text_features(**queries)
        video = model.get_video_features(**clips)
        return model.score(query, video)


# score(["a dog catches a ball"], ["first.mp4", "second.mp4"]).scores has a row a caption and a column a video;
# .frame_scores and .video_scores are those of each level.
```

To check that the weights are what was published: `video-colbert verify {name}`."""


def _training(checkpoint: _Checkpoint) -> str:
    if not checkpoint.training:
        return "## Training\n\nNo training arguments are recorded for this checkpoint."
    rows = [[f"`{name}`", f"`{value}`"] for name, value in _flat(checkpoint.training) if value not in (None, [], "")]
    return "## Training\n\nArguments of the run, also in `training_arguments.json`:\n\n" + _table(
        ["Argument", "Value"], rows
    )


def _limits(checkpoint: _Checkpoint) -> str:
    config, processor = checkpoint.config, checkpoint.processor
    length = processor.get("query_length", config.query_length)
    frames = processor.get("video_processor", {}).get("num_frames")
    seen = f"{frames} frames of a video are looked at" if frames else "Sampled frames of a video are looked at"
    if processor.get("query_windows"):
        query = f"A query is read sentence by sentence, in windows of {length} tokens; no sentence sees another."
    else:
        query = f"A query is cut at {length} tokens, special tokens included."
    limits = [
        f"{seen}, whatever its length: what happens between them is missed.",
        query,
        "Sound, speech and file names are not used.",
        "Scores rank videos for one query. They are no probabilities, and those of different queries do not compare.",
        "What the backbone has learned from web images and texts, its languages, errors and biases included, is "
        "learned here too. Do not use it to identify people.",
    ]
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)


def _flat(values: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
