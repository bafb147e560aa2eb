"""The model card: metadata for the Hub, and what a reader needs to trust and use a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData

from video_colbert.hub.backbone_facts import backbone_facts, backbone_of, license_of
from video_colbert.hub.card_sections import card_sections
from video_colbert.hub.card_source import CardSource
from video_colbert.hub.checkpoint_files import (
    CONFIG_FILE,
    PROCESSOR_FILE,
    TRAINING_FILE,
    TRAINING_RUN_FILE,
)
from video_colbert.hub.evaluation_files import (
    dataset_hub_id,
    hub_result_files,
    read_evaluation_results,
    to_model_index,
)
from video_colbert.hub.json_files import read_json_object, read_json_object_if_there
from video_colbert.hub.mteb_results import mteb_model_index, read_mteb_results
from video_colbert.hub.published_text import without_local_folders
from video_colbert.modeling_video_colbert import VideoColBERTConfig

CARD_FILE = "README.md"

TAGS = ("text-to-video-retrieval", "late-interaction", "custom_code")
_MARKER = "<!-- This card is written by video-colbert. Delete this line to keep your own text. -->"


def write_model_card(
    folder: str | Path,
    *,
    repo_id: str | None = None,
    license: str | None = None,
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
    license: str | None = None,
    datasets: Sequence[str] | None = None,
) -> ModelCard:
    """Builds the card of a checkpoint.

    A `README.md` in the folder that this package did not write keeps its text and metadata; only metadata that it
    lacks, and the figures, are added.

    Args:
        folder: as for `write_model_card`.
        repo_id: Hub id that the card's examples load; the folder's name by default.
        license: the Hub's id of the weights' licence; by default that of the backbone, where it is known.
        datasets: Hub ids, or names of benchmarks, that the model was trained on; by default the `dataset` of its
            training arguments.

    Raises:
        CheckpointError: a file of the checkpoint is missing or malformed.
    """
    folder = Path(folder)
    config = VideoColBERTConfig(**read_json_object(folder / CONFIG_FILE))
    training = without_local_folders(read_json_object_if_there(folder / TRAINING_FILE))
    backbone = backbone_of(folder)
    checkpoint = CardSource(
        name=repo_id or folder.resolve().name,
        config=config,
        processor=read_json_object(folder / PROCESSOR_FILE),
        training=training,
        run=read_json_object_if_there(folder / TRAINING_RUN_FILE),
        results=read_evaluation_results(folder),
        backbone=backbone,
        license=license or license_of(backbone),
        mteb_results=read_mteb_results(folder),
    )
    data = _metadata(checkpoint, datasets)
    existing = folder / CARD_FILE
    if existing.is_file():
        card = ModelCard(existing.read_text(encoding="utf-8"), ignore_metadata_errors=True)
        if _MARKER not in card.text:
            for key, value in data.__dict__.items():
                is_figures = key in ("eval_results", "model_name") and data.eval_results
                if is_figures or card.data.get(key) is None:
                    card.data[key] = value
            return card
    text = "\n\n".join([_MARKER, *card_sections(checkpoint)])
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n")


def _metadata(checkpoint: CardSource, datasets: Sequence[str] | None) -> ModelCardData:
    if datasets is None:
        datasets = [checkpoint.training["dataset"]] if "dataset" in checkpoint.training else []
    facts = backbone_facts(checkpoint.backbone)
    return ModelCardData(
        language=list(facts.languages) if facts else None,
        license=checkpoint.license,
        library_name="transformers",
        pipeline_tag="feature-extraction",
        base_model=checkpoint.backbone,
        datasets=[hub_id for dataset in datasets if (hub_id := dataset_hub_id(dataset))] or None,
        tags=list(TAGS),
        model_name=checkpoint.name.split("/")[-1],
        eval_results=[*to_model_index(checkpoint.results), *mteb_model_index(checkpoint.mteb_results)] or None,
    )
