import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import EvalPrediction, Trainer, TrainingArguments

from tests.video_files import write_clip
from video_colbert import VideoColBERTEncoder
from video_colbert.evaluation.dataset_rows import DatasetRows
from video_colbert.evaluation.evaluate import evaluate
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training import TrainerParts
from video_colbert.training.trainer.trainer_parts import EpochOfExamples, WholeModel

NUM_CLIPS = 5


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        {
            "video_id": str(number),
            "video": {"path": str(write_clip(folder / f"{number}.mp4", number)), "bytes": None},
            "captions": [f"clip {number} {verb}" for verb in ("shows", "plays")[: 1 + number % 2]],
            "start": None,
            "end": None,
        }
        for number in range(NUM_CLIPS)
    ]


@pytest.fixture
def parts(checkpoint_folder: Path) -> TrainerParts:
    model = VideoColBERTModel.from_pretrained(checkpoint_folder, dtype=torch.float32)
    return TrainerParts(model, VideoColBERTProcessor.from_pretrained(checkpoint_folder))


def trainer_of(parts: TrainerParts, folder: Path, **values: Any) -> Trainer:
    arguments: dict[str, Any] = {
        "remove_unused_columns": False,
        "label_names": ["labels"],
        "report_to": "none",
        "use_cpu": True,
    }
    sets = {name: values.pop(name) for name in ("train_dataset", "eval_dataset") if name in values}
    return Trainer(parts.model, TrainingArguments(str(folder), **arguments | values), **sets, **parts.arguments())


def test_metrics_over_batches_are_those_of_an_evaluation_of_the_split(
    parts: TrainerParts, rows: list[dict[str, Any]], tmp_path: Path, encoder: VideoColBERTEncoder
) -> None:
    trainer = trainer_of(parts, tmp_path, eval_dataset=parts.evaluation_examples(rows), per_device_eval_batch_size=3)
    found = trainer.evaluate()
    for result in evaluate(encoder, DatasetRows("clips", "test", rows)).results:
        prefix = "eval_" if result.level == "sum" else f"eval_{result.level}_"
        for name, value in result.metrics.items():
            assert found[f"{prefix}{result.direction}_{name}"] == pytest.approx(value), (result.level, name)
    assert math.isfinite(found["eval_loss"])


def test_a_video_that_cannot_be_decoded_is_left_out_of_an_evaluation(
    parts: TrainerParts, rows: list[dict[str, Any]], tmp_path: Path, encoder: VideoColBERTEncoder
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    bad = {**rows[2], "video_id": "bad", "video": {"path": str(tmp_path / "bad.mp4"), "bytes": None}}
    with_bad = [*rows[:2], bad, *rows[3:]]
    trainer = trainer_of(parts, tmp_path / "run", eval_dataset=parts.evaluation_examples(with_bad))
    found = trainer.evaluate()
    expected = evaluate(encoder, DatasetRows("clips", "test", [row for row in with_bad if row is not bad])).results
    [sums] = [result for result in expected if (result.level, result.direction) == ("sum", "text_to_video")]
    assert {name: found[f"eval_text_to_video_{name}"] for name in sums.metrics} == pytest.approx(sums.metrics)
    nothing = EvalPrediction(predictions={}, label_ids=np.full((3, 2), -1))
    with pytest.raises(ValueError, match="no video of the evaluation split could be decoded"):
        parts.metrics(nothing)


def test_loss_is_the_models_own_with_pairs_of_one_video_as_positives(
    parts: TrainerParts, rows: list[dict[str, Any]]
) -> None:
    parts.model.eval()
    examples = parts.evaluation_examples(rows)
    batch = parts.collate([examples[number] for number in range(len(examples))])
    labels = batch.pop("labels")
    with torch.no_grad():
        loss = parts.loss(parts.model(**batch), labels)
        ids = torch.tensor([number for number, row in enumerate(rows) for _ in row["captions"]])
        expected = parts.model(
            **{**batch, "return_scores": True}, return_loss=True, positive_mask=ids[:, None] == ids[None]
        ).loss
        # As Trainer calls it where the labels of two such batches make up one step.
        half = parts.loss(parts.model(**batch), labels, num_items_in_batch=2 * labels.numel())
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(half, expected / 2)


def test_bias_is_calibrated_once_on_a_batch_of_the_examples(parts: TrainerParts, rows: list[dict[str, Any]]) -> None:
    examples = parts.training_examples(rows, random_frames=False)
    found = parts.calibrate_logit_bias(examples, batch_size=NUM_CLIPS)
    assert found is not None
    assert parts.model.config.logit_bias_calibration == found == parts.model.logit_bias.tolist()
    model = parts.model.eval()
    batch = parts.collate([examples[number] for number in range(NUM_CLIPS)])
    batch.pop("labels")
    with torch.no_grad():
        output = model(**{**batch, "return_scores": True})
    off_diagonal = ~torch.eye(NUM_CLIPS, dtype=torch.bool)
    for level, bias, scale in zip(("frame", "video"), found, model.logit_scale.expand(2).tolist(), strict=True):
        mean = output[f"{level}_scores"][off_diagonal].mean().item()
        assert bias == pytest.approx(-math.exp(scale) * mean - math.log(NUM_CLIPS - 1), abs=1e-4)
    assert parts.calibrate_logit_bias(examples, batch_size=2) == found


def test_each_epoch_has_captions_and_frames_of_its_own(
    parts: TrainerParts, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    examples = parts.training_examples([row for row in rows if len(row["captions"]) == 2], seed=3)
    seen: list[tuple[int, str, bytes]] = []
    collate = parts.collate.collate

    def watched(found: Any) -> dict[str, Any]:
        seen.extend((examples.epoch, example.caption, example.pixels.numpy().tobytes()) for example in found)
        return collate(found)

    parts.collate.collate = watched  # type: ignore[assignment]
    trainer_of(
        parts, tmp_path, train_dataset=examples, num_train_epochs=4, save_strategy="no", per_device_train_batch_size=2
    ).train()
    assert [epoch for epoch, _, _ in seen] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len({caption for _, caption, _ in seen}) == 4
    assert len({pixels for _, _, pixels in seen}) > 2
    expected = {(epoch, examples.examples[epoch, number].caption) for epoch in range(4) for number in range(2)}
    assert {(epoch, caption) for epoch, caption, _ in seen} == expected


def test_trainer_is_given_what_refuses_a_model_in_shards(parts: TrainerParts) -> None:
    assert {type(callback) for callback in parts.arguments()["callbacks"]} == {WholeModel, EpochOfExamples}
    for world_size, found in ((1, None), (2, False)):
        WholeModel().on_init_end(SimpleNamespace(world_size=world_size, ddp_find_unused_parameters=found), None, None)
    for found in (None, True):
        with pytest.raises(ValueError, match="must have ddp_find_unused_parameters=False"):
            WholeModel().on_init_end(SimpleNamespace(world_size=2, ddp_find_unused_parameters=found), None, None)


def test_towers_are_trained_at_rates_of_their_own(parts: TrainerParts) -> None:
    groups = parts.optimizer(learning_rate=1e-2).param_groups
    assert {group["name"]: group["lr"] for group in groups} == {"backbone": 1e-7, "new": 1e-2, "logit": 1e-3}
