from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import run_study
import torch
import yaml
from pretrained_backbone import BackboneSettings, normalized_pixels, pretrain_backbone
from scipy import stats
from study_report import write_report
from study_statistics import AVERAGE, chance, paired_difference, recalls
from task_data import load_split
from task_scores import gallery_recall, score_tasks, twin_accuracy
from training_run import (
    PooledFrames,
    PooledSplit,
    pool_split,
    rows_with_counting_groups,
    train_run,
    training_rows,
)
from transformers import CLIPModel

from video_colbert.dataset_builders.shapes.graded_shapes import GradedShapesConfig
from video_colbert.dataset_builders.shapes.graded_shapes_tasks import TASKS, TRAINED_TASKS, TaskPlanner
from video_colbert.modeling_video_colbert import VideoColBERTConfig
from video_colbert.training.model_setup import build_model_and_processor

DATA = GradedShapesConfig(
    num_train=dict.fromkeys(TRAINED_TASKS, 12), num_galleries=dict.fromkeys(TASKS, 2), image_size=16
)
BACKBONE = BackboneSettings(image_size=16, num_stills=200, batch_size=8, steps=2)
CONFIGURATIONS = yaml.safe_load((run_study.HERE / "configurations.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("study")
    clips = load_split(output / "clips", DATA, "train").clips
    load_split(output / "clips", DATA, "test")
    pretrain_backbone(output / "backbone", BACKBONE, [clip.caption for clip in clips])
    return output


def test_every_configuration_is_a_configuration_of_the_model() -> None:
    common = yaml.safe_load((run_study.HERE / "common.yaml").read_text("utf-8"))["config_overrides"]
    for name in CONFIGURATIONS:
        overrides = run_study.run_arguments(name, CONFIGURATIONS, 0, Path("runs")).config_overrides
        assert overrides.keys() >= common.keys()
        VideoColBERTConfig(projection_dim=64, **overrides)


def test_scores_from_pooled_frames_are_those_from_pixels(made: Path) -> None:
    arguments = run_study.run_arguments("frame_and_video", CONFIGURATIONS, 0, made)
    start = build_model_and_processor(arguments)
    model, processor = start.model, start.processor
    split = load_split(made / "clips", DATA, "test")
    pooled = pool_split(made / "backbone", split)
    pixels = normalized_pixels(split.frames[:6].reshape(-1, 16, 16, 3)).view(6, 8, 3, 16, 16)
    queries = processor.process_queries([clip.caption for clip in split.clips[:6]])
    with torch.inference_mode():
        expected = model.eval()(**queries, pixel_values_videos=pixels)
        model.vision_model = PooledFrames()
        found = model(**queries, pixel_values_videos=pooled.pixel_values(np.arange(6)))
    for name in ("scores", "frame_scores", "video_scores"):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-5)


def test_a_run_is_repeated_exactly_and_trains_all_but_the_image_tower(made: Path) -> None:
    arguments = run_study.run_arguments("frame_and_video", CONFIGURATIONS, 0, made)
    arguments.max_train_steps = 3
    arguments.warmup_ratio = 0.0
    split = pool_split(made / "backbone", load_split(made / "clips", DATA, "train"))
    models = [train_run(arguments, split)[0] for _ in range(2)]
    for (name, one), other in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other), name
    backbone = CLIPModel.from_pretrained(made / "backbone")
    assert not torch.equal(models[0].frame_head.weight, backbone.visual_projection.weight)
    assert not torch.equal(models[0].query_head.weight, backbone.text_projection.weight)


def test_epochs_hold_every_clip_once_in_orders_of_their_own() -> None:
    batches = list(training_rows(12, 4, seed=1, num_steps=6))
    first, second = np.concatenate(batches[:3]), np.concatenate(batches[3:])
    assert sorted(first) == sorted(second) == list(range(12))
    assert list(first) != list(second)
    assert [list(batch) for batch in training_rows(12, 4, seed=1, num_steps=6)] == [list(batch) for batch in batches]
    assert list(next(training_rows(12, 4, seed=2, num_steps=1))) != list(batches[0])


def test_every_batch_has_four_counting_clips_of_one_actor(made: Path) -> None:
    clips = load_split(made / "clips", DATA, "train").clips
    rng = np.random.default_rng(0)
    planner = TaskPlanner("train", 8, 0)
    counting = [planner.counting(("red", "circle"), times, rng) for times in (1, 2, 3, 4)]
    more = [
        replace(clips[0], task="counting", caption=each.caption, performances=each.performances) for each in counting
    ]
    split = PooledSplit([*clips, *more], torch.zeros(len(clips) + 4, 8, 4))
    batches = list(rows_with_counting_groups(split, 16, seed=0, num_steps=7))
    assert [len(rows) for rows in batches] == [16] * 7
    for rows in batches:
        tasks = [split.clips[row].task for row in rows]
        assert tasks.count("counting") == 4
        group = [split.clips[row] for row in rows if split.clips[row].task == "counting"]
        assert len({clip.caption for clip in group}) == 4
        assert len({clip.performances[0].action for clip in group}) == 1
    others = [row for rows in batches[:5] for row in rows[:12]]
    assert len(set(others)) == len(others)


def test_level_weights_of_a_run_are_fitted_to_clips_that_it_was_not_trained_on(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = run_study.run_arguments("fitted_levels", CONFIGURATIONS, 0, made)
    arguments.max_train_steps, arguments.hold_out, arguments.per_device_train_batch_size = 2, 20, 8
    split = pool_split(made / "backbone", load_split(made / "clips", DATA, "train"))
    seen: list[PooledSplit] = []
    monkeypatch.setattr(
        "training_run.held_out_level_weights", lambda model, processor, part: seen.append(part) or {"frame": 0.5}
    )
    trained: list[int] = []
    monkeypatch.setattr(
        "training_run.training_rows", lambda number, *rest: trained.append(number) or training_rows(number, *rest)
    )
    model, _ = train_run(arguments, split)
    assert model.config.level_weights == {"frame": 0.5}
    assert trained == [len(split.clips) - 20]
    assert len({clip.video_id for clip in seen[0].clips}) == 20


@pytest.mark.parametrize("name", ["frame_and_video", "temporal_pooled", "weighted_token_wise", "sentence_windows"])
def test_scores_of_tasks_equal_a_loop_over_galleries(made: Path, name: str) -> None:
    start = build_model_and_processor(run_study.run_arguments(name, CONFIGURATIONS, 0, made))
    model, processor = start.model, start.processor
    model.eval().vision_model = PooledFrames()
    split = pool_split(made / "backbone", load_split(made / "clips", DATA, "test"))
    found = {(score.task, score.level): score.recall_at_1 for score in score_tasks(model, processor, split)}
    for task in ("motion", "long"):
        right = []
        for place, clip in enumerate(split.clips):
            if clip.task != task:
                continue
            gallery = [i for i, other in enumerate(split.clips) if (other.task, other.gallery) == (task, clip.gallery)]
            queries = processor.process_queries([clip.caption])
            with torch.inference_mode():
                scores = model(**queries, pixel_values_videos=split.pixel_values(np.array(gallery))).scores[0]
            right.append(gallery[int(scores.argmax())] == place)
        assert found[task, "sum"] == pytest.approx(100 * np.mean(right))


def test_twins_within_a_millionth_count_half_and_galleries_are_ranked_apart() -> None:
    won, lost = torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([[1.0, 2.0], [1.0 + 1e-8, 1.0]])
    assert twin_accuracy([won, lost]) == 100 * 2.5 / 4
    assert gallery_recall([won, lost]) == pytest.approx(100 * (2 + 0 + 0.5) / 4)


def test_a_difference_has_the_interval_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    one, other = (pd.Series(rng.normal(size=4), index=range(4)) for _ in range(2))
    found = paired_difference(one + 0.5, other)
    expected = stats.ttest_rel(one + 0.5, other).confidence_interval(0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.verdict == "cannot tell"
    narrow = paired_difference(pd.Series([5.0, 5.1, 4.9]), pd.Series([1.0, 1.0, 1.0]))
    assert narrow is not None
    assert narrow.verdict == "supports"
    assert paired_difference(pd.Series([5.0]), pd.Series([1.0])) is None


def rows_of_a_run(name: str, seed: int, digest: str, offset: float = 0.0) -> list[dict[str, object]]:
    return [
        {
            "configuration": name,
            "seed": seed,
            "settings": digest,
            "split": split,
            "task": task,
            "level": level,
            "recall_at_1": {"frame": 50.0, "video": 80.0 + seed, "sum": 80.0 + seed}[level] + offset,
            "num_queries": 4,
            "gallery": 2,
        }
        for split in ("validation", "test")
        for task in TASKS
        for level in ("frame", "video", "sum")
    ]


def test_finished_runs_are_known_by_their_settings_and_replaced_when_those_change(tmp_path: Path) -> None:
    results = tmp_path / "results.parquet"
    assert not run_study.is_finished(results, "frame_only", 0, "a")
    run_study.append_rows(results, rows_of_a_run("frame_only", 0, "a"))
    run_study.append_rows(results, rows_of_a_run("frame_only", 1, "a"))
    run_study.append_rows(results, rows_of_a_run("frame_only", 0, "b"))
    table = pd.read_parquet(results)
    assert len(table) == 2 * 2 * len(TASKS) * 3
    assert run_study.is_finished(results, "frame_only", 0, "b")
    assert not run_study.is_finished(results, "frame_only", 0, "a")


def test_the_report_fills_the_tables_of_the_page_and_fails_when_a_check_does(tmp_path: Path) -> None:
    results = tmp_path / "results.parquet"
    for name in ("frame_and_video", "frame_only", "video_only"):
        for seed in (0, 1):
            run_study.append_rows(results, rows_of_a_run(name, seed, "a"))
    page = tmp_path / "study.md"
    page.write_text(
        "".join(f"<!-- {x} -->\n\n<!-- end of {x} -->\n" for x in ("recall", "levels", "claims", "verdicts", "checks"))
    )
    assert not write_report(results, ["frame_and_video", "frame_only", "video_only"], tmp_path)
    text = page.read_text("utf-8")
    assert "80.5 ± 0.7" in text
    assert "| motion_twins: the frame level of every run is at chance (50 %) | yes | 50.00 to 50.00 |" in text
    assert "beats the frame level by more than the spread | **no** | margin 0.0, spread 1.0 |" in text
    assert (
        "- **F+V > V**: cannot be told. `frame_and_video` has 80.5 and `video_only` 80.5 on the average, 2 seeds"
        in text
    )
    assert "- **dual sigmoid > InfoNCE**: not run." in text
    assert (tmp_path / "study" / "tasks.png").stat().st_size < 100_000
    table = pd.read_parquet(results)
    assert list(recalls(table, "frame_only", AVERAGE)) == [80.0, 81.0]
    assert chance(table, AVERAGE) == 50.0
