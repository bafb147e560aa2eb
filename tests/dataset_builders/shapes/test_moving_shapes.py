import io
from collections import Counter
from pathlib import Path

import av
import datasets
import pytest

from video_colbert.dataset_builders.shapes.moving_shapes import MovingShapes, MovingShapesConfig, plan_clips
from video_colbert.dataset_builders.shapes.moving_shapes_scenes import partition_of

SMALL = {
    "num_train": 70,
    "num_validation": 6,
    "num_test": 9,
    "num_twin_pairs": 4,
    "num_frames": 12,
    "image_size": 32,
}


def decoded(video: bytes) -> list[bytes]:
    with av.open(io.BytesIO(video)) as container:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]


def built(tmp_path: Path, **kwargs: object) -> datasets.DatasetDict:
    builder = MovingShapes(cache_dir=tmp_path / "cache", **{**SMALL, **kwargs})
    builder.download_and_prepare()
    return builder.as_dataset()


def test_splits_have_the_asked_sizes_and_one_row_a_clip(tmp_path: Path) -> None:
    dataset = built(tmp_path)
    assert {name: len(split) for name, split in dataset.items()} == {
        "train": 70,
        "validation": 6,
        "test": 9,
        "twins": 8,
    }
    row = dataset["test"][0]
    assert list(row) == ["video_id", "video", "captions", "start", "end", "twin_id"]
    assert row["video_id"] == "test_000000"
    assert row["video"]["path"] == "test_000000.mp4"
    assert len(decoded(row["video"]["bytes"])) == 12
    assert len(row["captions"]) == 1
    assert (row["start"], row["end"], row["twin_id"]) == (None, None, None)


def test_streaming_and_several_processes_give_the_same_rows(tmp_path: Path) -> None:
    expected = {name: split.to_list() for name, split in built(tmp_path).items()}
    builder = MovingShapes(cache_dir=tmp_path / "parallel", **SMALL)
    assert {name: list(split) for name, split in builder.as_streaming_dataset().items()} == expected
    builder.download_and_prepare(num_proc=2)
    assert {name: split.to_list() for name, split in builder.as_dataset().items()} == expected


def test_a_split_without_clips_is_left_out(tmp_path: Path) -> None:
    assert set(built(tmp_path, num_twin_pairs=0, num_validation=0)) == {"train", "test"}


def test_twins_name_each_other_and_hold_equal_frames_under_different_captions(tmp_path: Path) -> None:
    rows = {row["video_id"]: row for row in built(tmp_path)["twins"]}
    for row in rows.values():
        twin = rows[row["twin_id"]]
        assert twin["twin_id"] == row["video_id"]
        assert twin["captions"] != row["captions"]
        one, other = decoded(row["video"]["bytes"]), decoded(twin["video"]["bytes"])
        assert one != other
        assert Counter(one) == Counter(other)


@pytest.mark.parametrize("actors", [1, 2])
def test_held_out_captions_are_distinct_and_no_scene_of_theirs_is_trained_on(actors: int) -> None:
    config = MovingShapesConfig(num_train=8000, num_test=60, num_validation=60, num_twin_pairs=30, actors=actors)
    plans = {split: plan_clips(config, split) for split in ("train", "validation", "test", "twins")}
    trained = {plan.scene.family for plan in plans["train"]}
    for split in ("validation", "test", "twins"):
        assert len({plan.scene.identity for plan in plans[split]}) == len(plans[split])
        assert len({plan.scene.caption for plan in plans[split]}) == len(plans[split])
        assert not trained & {plan.scene.family for plan in plans[split]}
    assert not {p.scene.family for p in plans["validation"]} & {p.scene.family for p in plans["test"]}
    words = {split: {w for p in plans[split] for w in p.scene.caption.split()} for split in plans}
    assert words["validation"] | words["test"] | words["twins"] <= words["train"]
    assert all(partition_of(p.scene, 0, 0.2) == "test" for p in plans["twins"])


def test_relations_take_turns() -> None:
    plans = plan_clips(MovingShapesConfig(num_train=300), "train")
    assert Counter(plan.scene.relation for plan in plans) == {"alone": 100, "and": 100, "then": 100}


def test_more_distinct_captions_than_scenes_is_an_error() -> None:
    config = MovingShapesConfig(num_test=10_000, num_twin_pairs=10_000, actors=1)
    with pytest.raises(ValueError, match=r"10000 clips with distinct captions .* the test partition has"):
        plan_clips(config, "test")
    with pytest.raises(ValueError, match="num_twin_pairs is 10000, but the held-out scenes make"):
        plan_clips(config, "twins")
    with pytest.raises(ValueError, match="split must be one of train, validation, test, twins, got 'dev'"):
        plan_clips(config, "dev")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actors", 3),
        ("num_frames", 16),
        ("image_size", 33),
        ("fps", 0),
        ("held_out_share", 1.0),
        ("num_train", -1),
    ],
)
def test_a_field_out_of_range_is_named(field: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=field):
        MovingShapes(cache_dir=tmp_path, **{field: value})
