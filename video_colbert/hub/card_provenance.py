"""The sections of a model card on what a checkpoint is for and where it comes from: uses, training, licence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from video_colbert.hub.backbone_facts import backbone_facts
from video_colbert.hub.card_source import CardSource
from video_colbert.hub.evaluation_files import dataset_name
from video_colbert.hub.published_text import as_code, escaped, markdown_table

_CITATION = """```bibtex
@inproceedings{reddy2025videocolbert,
  title     = {{Video-ColBERT}: Contextualized Late Interaction for Text-to-Video Retrieval},
  author    = {Reddy, Arun and Martin, Alexander and Yang, Eugene and Yates, Andrew and Sanders, Kate and
               Murray, Kenton and Kriz, Reno and de Melo, Celso M. and Van Durme, Benjamin and Chellappa, Rama},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2025}
}
```"""


def intended_use(checkpoint: CardSource) -> str:
    """What the model is for, and what it is not.

    Args:
        checkpoint: what the card is made of.
    """
    return (
        "## Intended use and out of scope\n\n"
        "For finding videos, or moments in them, by a sentence: in collections of one's own, and in research on "
        "retrieval. Someone should look at what is found before anything follows from it.\n\n"
        "Out of scope: identifying or following people, decisions about people, surveillance, and any use where a "
        "missed or wrongly found video does harm. The model gives an order of videos; it does not describe what is "
        "in them, and it is no detector."
    )


def training(checkpoint: CardSource) -> str:
    """What the model was trained on, how long and on what, and by which arguments.

    Args:
        checkpoint: what the card is made of.
    """
    parts = ["## Training", _training_data(checkpoint)]
    parts.append(_run_text(checkpoint.run))
    if checkpoint.training:
        set_ones = ((name, value) for name, value in _flat(checkpoint.training) if value not in (None, [], ""))
        rows = [[as_code(name), as_code(value)] for name, value in set_ones]
        parts += [
            "Arguments of the run, also in `training_arguments.json`:",
            markdown_table(["Argument", "Value"], rows),
        ]
    else:
        parts.append("No training arguments are recorded for this checkpoint.")
    return "\n\n".join(parts)


def limits(checkpoint: CardSource) -> str:
    """What the model cannot do.

    Args:
        checkpoint: what the card is made of.
    """
    config, processor = checkpoint.config, checkpoint.processor
    length = processor.get("query_length", config.query_length)
    frames = processor.get("video_processor", {}).get("num_frames")
    seen = f"{frames} frames of a video are looked at" if frames else "Sampled frames of a video are looked at"
    if processor.get("query_windows"):
        query = f"A query is read sentence by sentence, in windows of {length} tokens; no sentence sees another."
    else:
        query = f"A query is cut at {length} tokens, special tokens included."
    if config.passage_levels:
        sound = "Of sound and writing, it takes what others have read of them as text; file names are not used."
    else:
        sound = "Sound, speech and file names are not used."
    listed = [
        f"{seen}, whatever its length: what happens between them is missed.",
        query,
        sound,
        "Scores rank videos for one query. They are no probabilities, and those of different queries do not compare.",
        "What the backbone has learned from web images and texts, its languages, errors and biases included, is "
        "learned here too. Do not use it to identify people.",
    ]
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in listed)


def license_and_citation(checkpoint: CardSource) -> str:
    """Under which licence the weights are and why, and how to cite the method.

    Args:
        checkpoint: what the card is made of.
    """
    facts = backbone_facts(checkpoint.backbone)
    if checkpoint.license is None:
        text = "The licence of these weights is not stated; ask who published them before you use them."
    else:
        text = f"The weights are published under {as_code(checkpoint.license)}."
        if checkpoint.license == (facts and facts.license):
            text += " That is the licence of the backbone that they were made from."
    text += (
        " The videos and captions of the training data have terms of their own. The code of `video-colbert` is under "
        "the Apache License 2.0."
    )
    return f"## Licence\n\n{text}\n\n## Citation\n\nThe method:\n\n{_CITATION}"


def _training_data(checkpoint: CardSource) -> str:
    facts = backbone_facts(checkpoint.backbone)
    backbone = f"Its backbone, {escaped(checkpoint.backbone)}, was" if checkpoint.backbone else "Its backbone was"
    learned = f"{backbone} trained on {facts.data}." if facts else ""
    if dataset := checkpoint.training.get("dataset"):
        own = f"This model was then trained on the training split of {escaped(dataset_name(str(dataset)))}."
    else:
        own = "What data this model was trained on beyond its backbone's is not recorded, if on any."
    return " ".join(filter(None, (learned, own)))


def _run_text(run: dict[str, Any]) -> str:
    """What a run measured of itself, in a sentence; what its file lacks is left out."""
    facts = []
    if isinstance(steps := run.get("steps"), int):
        facts.append(f"{steps} steps")
    if isinstance(hours := run.get("hours"), int | float):
        facts.append(f"{hours:.2g} hours, validation not included")
    if isinstance(run.get("processes"), int) and isinstance(run.get("device"), str):
        facts.append(f"hardware: {run['processes']} x {escaped(run['device'])}")
    if isinstance(precision := run.get("mixed_precision"), str):
        facts.append(f"mixed precision: {escaped(precision)}")
    if isinstance(libraries := run.get("libraries"), dict):
        facts += [f"{escaped(name)} {escaped(version)}" for name, version in libraries.items()]
    return f"The run, as it measured itself: {'; '.join(facts)}." if facts else "Hardware and time are not recorded."


def _flat(values: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
