"""The self-test of a checkpoint: a tiny input with the tokens and scores that the model makes of it.

Two files beside the weights: `self_test.json` (captions, expected scores, tolerances) and `self_test.safetensors`
(frames, expected token ids and tokens). Scores alone would not do: a video token that is no query token's maximum
leaves no trace in them, and with it whole layers; hence the tokens.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor

from video_colbert import __version__
from video_colbert.errors import CheckpointError
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.modeling_video_colbert.towers_video_colbert import frame_side
from video_colbert.processing import VideoColBERTProcessor

JSON_FILE = "self_test.json"
TENSOR_FILE = "self_test.safetensors"
SELF_TEST_FILES = (JSON_FILE, TENSOR_FILE)

CAPTIONS = ("a red square moves left", "a dog runs", "a man rides. he stops.")

# At the size of a ViT-B/32, other kernels for attention and matrix products move scores by 5e-8; rounding the weights
# to bfloat16 moves them by 2e-4, which is to be noticed.
SCORE_TOLERANCE = 1e-4
TOKEN_TOLERANCE = 1e-3

_FORMAT_VERSION = 1
# The second video has fewer frames, so that padding takes part.
_VIDEO_LENGTHS = (4, 2)
_PATTERN_SIZE = 8
_SEED = 0


@dataclass(frozen=True)
class SelfTestOutcome:
    """How a model compares with a self-test.

    Attributes:
        differences: one sentence for each thing that differs; none if the model is what it was.
        largest_score_difference: over all levels and pairs; NaN where scores cannot be compared.
    """

    differences: list[str]
    largest_score_difference: float


@dataclass(frozen=True)
class SelfTestRecord:
    """What `self_test.json` holds.

    Attributes:
        format_version: of these two files.
        captions: the queries.
        scores: expected `[Nq, Nv]` scores of each level that the model has, and their sum, as `scores`.
        score_tolerance: how much a score may differ.
        token_tolerance: how much a component of a token, a vector of unit length, may differ.
        made_with: releases of the libraries that made it.
    """

    format_version: int
    captions: list[str]
    scores: dict[str, list[list[float]]]
    score_tolerance: float
    token_tolerance: float
    made_with: dict[str, str]


@dataclass(frozen=True)
class SelfTest:
    """A tiny input with what a model makes of it.

    Attributes:
        record: captions, expected scores, tolerances.
        tensors: the input, `video_0` and `video_1`, uint8 `[T, 8, 8, 3]`, patterns each pixel of which becomes a
            block of a frame; the expected token ids, `input_ids`; and the expected tokens that count, float32
            `[N, D]`: `query_tokens`, `frame_tokens` and, where the model has them, `video_tokens`.
    """

    record: SelfTestRecord
    tensors: Mapping[str, Tensor]

    def files(self) -> dict[str, bytes]:
        """The content of its files by name."""
        text = json.dumps(asdict(self.record), indent=2) + "\n"
        return {JSON_FILE: text.encode(), TENSOR_FILE: safetensors.torch.save(dict(self.tensors))}

    @classmethod
    def read(cls, json_path: Path, tensor_path: Path) -> SelfTest:
        """Reads a self-test from its files.

        Raises:
            CheckpointError: a file is damaged or of another format.
        """
        try:
            content = json.loads(json_path.read_text(encoding="utf-8"))
            if content.get("format_version") != _FORMAT_VERSION:
                raise CheckpointError(
                    f"{json_path} has format_version {content.get('format_version')!r}; "
                    f"this release reads {_FORMAT_VERSION}"
                )
            return cls(SelfTestRecord(**content), safetensors.torch.load_file(tensor_path))
        except (ValueError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
            raise CheckpointError(f"the self-test {json_path} is damaged: {error}") from error

    def compare(self, model: VideoColBERTModel, processor: VideoColBERTProcessor) -> SelfTestOutcome:
        """Computes everything again and compares.

        Args:
            model: the model to test, in evaluation mode, float32.
            processor: its processor.
        """
        found = _encode(model, processor, self.record.captions, _patterns(self.tensors))
        differences = []
        if not torch.equal(found.input_ids, self.tensors["input_ids"]):
            differences.append("the processor makes other token ids of the captions")
        expected_tokens = {name: tensor for name, tensor in self.tensors.items() if name.endswith("_tokens")}
        expected_scores = {name: torch.tensor(scores) for name, scores in self.record.scores.items()}
        largest = 0.0
        for expected, actual, tolerance in (
            (expected_tokens, found.tokens, self.record.token_tolerance),
            (expected_scores, found.scores, self.record.score_tolerance),
        ):
            for name in sorted(expected.keys() | actual.keys()):
                difference = _largest_difference(expected.get(name), actual.get(name))
                if expected is expected_scores:
                    largest = max(largest, difference) if difference == difference else difference
                # Written so that NaN fails.
                if not difference <= tolerance:
                    differences.append(_sentence(name.replace("_", " "), difference, tolerance))
        return SelfTestOutcome(differences, largest)


@dataclass(frozen=True)
class _Encoded:
    """What a model and a processor make of the input."""

    input_ids: Tensor
    tokens: dict[str, Tensor]
    scores: dict[str, Tensor]


def make_self_test(model: VideoColBERTModel, processor: VideoColBERTProcessor) -> SelfTest:
    """Makes the self-test of a model; the model is left as it was.

    Args:
        model: the model, on any device and in any number type; what is expected is what its copy in float32 on
            the CPU computes, as a download of it does.
        processor: its processor.
    """
    lengths = [min(length, model.config.max_frames) for length in _VIDEO_LENGTHS]
    generator = np.random.default_rng(_SEED)
    tensors = {
        f"video_{place}": torch.from_numpy(
            generator.integers(0, 256, (length, _PATTERN_SIZE, _PATTERN_SIZE, 3), dtype=np.uint8)
        )
        for place, length in enumerate(lengths)
    }
    made = _encode(_reference_copy(model), processor, CAPTIONS, _patterns(tensors))
    record = SelfTestRecord(
        format_version=_FORMAT_VERSION,
        captions=list(CAPTIONS),
        scores={name: scores.tolist() for name, scores in made.scores.items()},
        score_tolerance=SCORE_TOLERANCE,
        token_tolerance=TOKEN_TOLERANCE,
        made_with={
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "video-colbert": __version__,
        },
    )
    return SelfTest(record, {**tensors, "input_ids": made.input_ids, **made.tokens})


def write_self_test(folder: Path, model: VideoColBERTModel, processor: VideoColBERTProcessor) -> None:
    """Writes the self-test of a model beside its checkpoint.

    Args:
        folder: where model and processor are saved.
        model: the model; see `make_self_test`.
        processor: its processor.
    """
    for name, content in make_self_test(model, processor).files().items():
        (folder / name).write_bytes(content)


@torch.inference_mode()
def _encode(
    model: VideoColBERTModel,
    processor: VideoColBERTProcessor,
    captions: Sequence[str],
    patterns: Sequence[Tensor],
) -> _Encoded:
    # Blocks at the tower's own resolution: there is nothing left to resize, which may differ by a grey level from
    # one processor to another and would need wider tolerances.
    size = frame_side(model.config.vision_config)
    places = torch.arange(size) * _PATTERN_SIZE // size
    videos = [pattern[:, places][:, :, places].numpy() for pattern in patterns]
    queries = processor.process_queries(list(captions))
    inputs = processor.process_videos(
        videos, num_frames=max(map(len, videos)), sampling="uniform", input_data_format="channels_last"
    )
    device = model.device
    with torch.autocast(device.type, enabled=False):
        query = model.get_text_features(
            queries["input_ids"].to(device), queries["attention_mask"].to(device), return_dict=True
        )
        video = model.get_video_features(
            **{name: tensor.to(device) for name, tensor in inputs.items()}, return_dict=True
        )
        scores = model.score(query, video)
    tokens = {
        "query_tokens": query.query_embeds[query.query_mask],
        "frame_tokens": video.frame_embeds[video.frame_mask],
    }
    if video.video_embeds is not None:
        tokens["video_tokens"] = video.video_embeds[video.video_mask]
    return _Encoded(
        queries["input_ids"],
        {name: tensor.float().cpu().contiguous() for name, tensor in tokens.items()},
        {name: tensor.float().cpu() for name, tensor in scores.items() if tensor is not None},
    )


def _patterns(tensors: Mapping[str, Tensor]) -> list[Tensor]:
    return [tensors[f"video_{place}"] for place in range(len(_VIDEO_LENGTHS))]


def _reference_copy(model: VideoColBERTModel) -> VideoColBERTModel:
    """The model in evaluation mode, in float32 on the CPU; itself if it is that already."""
    if not model.training and model.device.type == "cpu" and model.dtype == torch.float32:
        return model
    reference: VideoColBERTModel = copy.deepcopy(model).to("cpu", torch.float32).eval()
    return reference


def _largest_difference(expected: Tensor | None, actual: Tensor | None) -> float:
    """The largest absolute difference; NaN where the two cannot be compared."""
    if expected is None or actual is None or expected.shape != actual.shape:
        return float("nan")
    return (expected - actual).abs().max().item()


def _sentence(name: str, difference: float, tolerance: float) -> str:
    if difference != difference:
        return f"{name} are missing, of another shape, or not numbers"
    return f"{name} differ by up to {difference:.2g} (tolerance {tolerance:g})"
