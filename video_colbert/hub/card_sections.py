"""The sections of a model card: what a checkpoint is, how good, and how to use it; the others are in another file."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from importlib.metadata import requires
from typing import Any

from video_colbert.evaluation.result_text import DIRECTIONS, LEVELS, conditions_text, figure_text, gallery_text
from video_colbert.evaluation.retrieval import EvaluationResult
from video_colbert.hub.card_provenance import intended_use, license_and_citation, limits, training
from video_colbert.hub.card_source import CardSource
from video_colbert.hub.evaluation_files import dataset_name
from video_colbert.hub.mteb_results import mteb_section
from video_colbert.hub.published_text import as_code, escaped, hub_id, markdown_table
from video_colbert.modeling_video_colbert import VideoColBERTConfig
from video_colbert.modeling_video_colbert.multi_vector_video_colbert import SIMILARITIES
from video_colbert.modeling_video_colbert.towers_video_colbert import tower_family

_PAPER = "[Video-ColBERT](https://arxiv.org/abs/2503.19009) (Reddy et al., CVPR 2025)"
# What the files that a checkpoint carries import, directly or through transformers.
_CODE_REQUIREMENTS = ("transformers", "torch", "av", "pillow", "sentencepiece", "protobuf")


_LEVEL_SCORINGS = {
    "sum": "their sum",
    "modality_max": "the best of them",
    "token_max": "that of the tokens of all levels together",
}


def card_sections(source: CardSource) -> list[str]:
    """Writes the sections of a card in Markdown, in their order.

    Args:
        source: what the card is made of.
    """
    sections = (_introduction, _evaluation, _use, intended_use, training, limits, license_and_citation)
    return [section(source) for section in sections]


def _introduction(checkpoint: CardSource) -> str:
    config = checkpoint.config
    towers = tower_family(config.to_dict()["text_config"]["model_type"]).title
    source = f" of [{base}](https://huggingface.co/{base})" if (base := hub_id(config.backbone)) else ""
    is_pooled = config.query_representation == "pooled"
    if is_pooled and config.video_representation == "tokens" and not checkpoint.training:
        videos = "its one vector of a video" if config.video_tokens == "tower" else "its frame vectors"
        method = (
            f"Not trained further: it scores the backbone's one text vector against {videos}, which is the backbone's "
            "own zero-shot retrieval."
        )
    else:
        levels = {
            "frame": "frame tokens, one for each sampled frame",
            "video": (
                f"video tokens, the same frames seen together by a temporal transformer of "
                f"{config.temporal_num_layers} layers, with {config.num_visual_expansion_tokens} visual expansion "
                "tokens"
            ),
            "speech": "tokens of what is said, which have passed the temporal transformer with the frames",
            "screen_text": "tokens of what is written on the screen, likewise",
            "description": "tokens of what is told of the video, likewise",
        }
        if config.video_representation == "mean":
            levels = {level: f"one vector, the mean of {tokens}" for level, tokens in levels.items()}
        query = "The one text vector of the query" if is_pooled else "Every token of the query"
        made = {
            "mean_max_sim": "the mean of the maxima is the score",
            "max_sim": "the sum of the maxima is the score",
            "attention_max_sim": (
                "the sum of the maxima, times what the attention that both tokens receive gives them, is the score"
            ),
            "attention_mean_max_sim": (
                "the mean of the maxima, times what the attention that both tokens receive gives them, is the score"
            ),
            "weighted_token_wise": (
                "the maxima of both sides, weighted by what was learned for each token, are summed to the score"
            ),
        }[config.interaction]
        listed = "; ".join(levels[level] for level in config.score_levels)
        method = (
            f"{query} is compared with every token of the video, and {made}, on each of these levels: {listed}. "
            f"The model's score is {_LEVEL_SCORINGS[config.level_scoring]}; each level's is there too."
        )
    return (
        f"# {escaped(checkpoint.name.split('/')[-1])}\n\n"
        f"Finds videos by text. A model of the form of {_PAPER}, over the {towers} towers{source}. {method}"
    )


def _evaluation(checkpoint: CardSource) -> str:
    lines = ["## Evaluation"]
    of_mteb = mteb_section(checkpoint.mteb_results)
    if not checkpoint.results:
        return "\n\n".join([*lines, of_mteb or "No evaluation is recorded for this checkpoint."])
    groups: dict[tuple[Any, ...], list[EvaluationResult]] = {}
    for result in checkpoint.results:
        key = (result.dataset, result.protocol, result.split, gallery_text(result), result.num_queries)
        conditions = (result.truncated_queries, result.selection, *conditions_text(result))
        groups.setdefault((*key, *conditions), []).append(result)
    for results in groups.values():
        first = results[0]
        protocol = f"protocol {escaped(first.protocol)}, " if first.protocol else ""
        facts = [f"Gallery: {gallery_text(first)}", f"{first.num_queries} queries", *conditions_text(first)]
        if first.truncated_queries:
            facts.append(f"{first.truncated_queries} of them cut to the text tower's length")
        lines += [
            f"### {escaped(dataset_name(first.dataset))}, {protocol}{escaped(first.split)} split",
            f"{', '.join(facts)}. Checkpoint chosen: {escaped(first.selection or 'not recorded')}.",
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
    return "\n\n".join([*lines, of_mteb] if of_mteb else lines)


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
            *(figure_text(name, result.metrics[name], 2) if name in result.metrics else "" for name in names),
        ]
        for result in ordered
    ]
    return markdown_table(["Direction", "Score", "Gallery", *map(escaped, names)], rows)


def _use(checkpoint: CardSource) -> str:
    name, shell_name = json.dumps(checkpoint.name), shlex.quote(" ".join(checkpoint.name.split()))
    return f"""## Use

With the package, which runs none of the code in this repository:

```bash
pip install video-colbert
video-colbert index VIDEOS --model {shell_name} --index my_index
video-colbert search "a dog catches a ball" --index my_index
```

With transformers alone (`pip install {_requirements(checkpoint.config)}`), which runs the
code in this repository; read it, then pin the commit with `revision=`:

```python
import torch
from transformers import AutoModel, AutoProcessor

model = AutoModel.from_pretrained({name}, trust_remote_code=True).eval()
processor = AutoProcessor.from_pretrained({name}, trust_remote_code=True)


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
{_with_sentence_transformers(checkpoint.config, name)}
To check that the weights are what was published: {as_code(f"video-colbert verify {shell_name}")}."""


def _with_sentence_transformers(config: VideoColBERTConfig, name: str) -> str:
    """How sentence-transformers opens a checkpoint; nothing where it has no such similarity."""
    if config.interaction not in SIMILARITIES:
        return ""
    return f"""
With sentence-transformers 6, which runs the same code, and scores by the frame level:

```python
from sentence_transformers import MultiVectorEncoder

encoder = MultiVectorEncoder({name}, trust_remote_code=True)


def similarity(captions, videos):
    return encoder.similarity(encoder.encode_query(captions), encoder.encode_document(videos))
```
"""


def _requirements(config: VideoColBERTConfig) -> str:
    """What the code of a checkpoint needs, in the releases that the installed distribution asks for."""
    declared = [requirement for requirement in requires("video-colbert") or () if ";" not in requirement]
    found = [
        next(requirement for requirement in declared if re.match(rf"{name}\b", requirement))
        for name in _CODE_REQUIREMENTS
    ]
    of_tower = ["timm"] if config.to_dict()["vision_config"]["model_type"] == "pe_video_encoder" else []
    return " ".join(map(shlex.quote, [*found, *of_tower]))
