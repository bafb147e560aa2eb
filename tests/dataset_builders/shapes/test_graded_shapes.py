from collections import Counter, defaultdict
from itertools import groupby, pairwise

import numpy as np
import pytest

from video_colbert.dataset_builders.shapes.graded_shapes import SPLITS, GradedShapesConfig, plan_task_clips
from video_colbert.dataset_builders.shapes.graded_shapes_clips import TaskClip, generate_task_clip, render_task_clip
from video_colbert.dataset_builders.shapes.graded_shapes_tasks import (
    GALLERY_SIZE,
    TASKS,
    TIMES,
    TRAINED_TASKS,
    partition_casts,
)
from video_colbert.processing import decode_video

SMALL = GradedShapesConfig(
    num_train=dict.fromkeys(TRAINED_TASKS, 40), num_galleries=dict.fromkeys(TASKS, 4), image_size=32
)


def galleries(split: str, task: str) -> list[list[TaskClip]]:
    clips = [clip for clip in plan_task_clips(SMALL, split) if clip.task == task]
    return [list(members) for _, members in groupby(clips, key=lambda clip: clip.gallery)]


def actors(clip: TaskClip) -> set[tuple[str, str]]:
    return {(performance.action.colour, performance.action.shape) for performance in clip.performances}


def decoded(clip: TaskClip) -> list[bytes]:
    return [frame.tobytes() for frame in decode_video(generate_task_clip(clip), clip.num_frames).frames]


def test_every_task_has_the_asked_clips_and_galleries_of_one_size() -> None:
    assert Counter(clip.task for clip in plan_task_clips(SMALL, "train")) == dict.fromkeys(TRAINED_TASKS, 40)
    for split, number in (("validation", 2), ("test", 4)):
        for task in TASKS:
            size = GALLERY_SIZE.get(task, len(partition_casts(2, 0)[split]))
            assert [len(members) for members in galleries(split, task)] == [size] * number
    assert all(clip.gallery == -1 for clip in plan_task_clips(SMALL, "train"))


def test_captions_of_a_gallery_are_distinct_and_clip_names_unique() -> None:
    for split in SPLITS:
        names = [clip.video_id for clip in plan_task_clips(SMALL, split)]
        assert len(set(names)) == len(names)
    for task in TASKS:
        for members in galleries("test", task):
            assert len({clip.caption for clip in members}) == len(members)


def test_no_cast_is_in_two_splits_of_a_task_and_training_has_every_actor() -> None:
    seen: dict[str, dict[str, set[frozenset[tuple[str, str]]]]] = defaultdict(lambda: defaultdict(set))
    everybody = set()
    for split in SPLITS:
        for clip in plan_task_clips(SMALL, split):
            size = len(actors(clip))
            seen[split][size].add(frozenset(actors(clip)))
            everybody |= actors(clip) if split == "train" else set()
    for size in (1, 2, 4):
        assert not seen["train"][size] & seen["test"][size]
        assert not seen["train"][size] & seen["validation"][size]
        assert not seen["validation"][size] & seen["test"][size]
    assert len(everybody) == 24


@pytest.mark.parametrize("task", ["motion_twins", "order_twins", "counting"])
def test_decoded_clips_of_these_galleries_hold_equal_frames_in_different_order(task: str) -> None:
    for members in galleries("test", task):
        frames = [decoded(clip) for clip in members]
        assert all(Counter(one) == Counter(frames[0]) for one in frames)
        assert len({tuple(one) for one in frames}) == len(members)


def test_counting_shows_its_actor_in_as_many_runs_as_the_caption_says() -> None:
    for members in galleries("test", "counting"):
        for times, clip in enumerate(members, start=1):
            (performance,) = clip.performances
            seen = performance.frames
            assert sum(b - a > 1 for a, b in pairwise(seen)) + 1 == times
            assert len(seen) == 4
            assert clip.caption.endswith(f" appears {TIMES[times - 1]}")


def test_half_of_the_clips_of_an_order_gallery_are_the_other_half_in_the_other_order() -> None:
    for members in galleries("test", "order"):
        captions = [clip.caption for clip in members]
        assert [" then ".join(caption.split(" then ")[::-1]) for caption in captions[::2]] == captions[1::2]


def test_long_captions_differ_in_their_last_sentence_within_each_four() -> None:
    for members in galleries("test", "long"):
        for four in (members[:4], members[4:]):
            openings = {tuple(clip.caption.split(". ")[:3]) for clip in four}
            assert len(openings) == 1
            assert len({clip.caption.split(". ")[3] for clip in four}) == 4


def test_a_distractor_clip_shows_its_event_and_one_that_no_caption_of_the_gallery_names() -> None:
    for members in galleries("test", "distractors"):
        named = {clip.caption for clip in members}
        for clip in members:
            shown = [f"a {p.action.colour} {p.action.shape} {p.action.motion}" for p in clip.performances]
            assert [text for text in shown if text in named] == [clip.caption]
            assert len(shown) == 2


def test_a_clip_is_drawn_only_where_its_performances_are() -> None:
    clip = galleries("test", "counting")[0][1]
    frames = render_task_clip(clip)
    lit = {index for index, frame in enumerate(frames) if len(np.unique(frame.reshape(-1, 3), axis=0)) > 1}
    assert lit == set(clip.performances[0].frames)


def test_equal_configurations_give_equal_files_and_other_seeds_other_ones() -> None:
    def some(seed: int) -> list[TaskClip]:
        config = GradedShapesConfig(seed=seed, num_galleries=dict.fromkeys(TASKS, 1), image_size=32)
        return plan_task_clips(config, "test")[::16]

    assert some(0) == some(0)
    assert [generate_task_clip(clip) for clip in some(0)] == [generate_task_clip(clip) for clip in some(0)]
    assert {clip.seed for clip in some(0)}.isdisjoint(clip.seed for clip in some(1))


def test_wrong_settings_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="num_frames must be a multiple of 8, got 12"):
        GradedShapesConfig(num_frames=12)
    with pytest.raises(ValueError, match="image_size must be even"):
        GradedShapesConfig(image_size=33)
    with pytest.raises(ValueError, match="num_train names"):
        GradedShapesConfig(num_train={"motion_twins": 3})
    with pytest.raises(ValueError, match="split must be one of"):
        plan_task_clips(SMALL, "twins")
