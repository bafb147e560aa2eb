from __future__ import annotations

from collections import Counter

import pytest

from video_colbert.dataset_builders.shapes.spoken_shapes_plan import (
    CONTENTS,
    SpokenClip,
    SpokenShapesConfig,
    plan_spoken_clips,
)

CONFIG = SpokenShapesConfig(num_train=160, num_validation=8, num_test=80)


def contents_of(clip: SpokenClip) -> dict[str, object]:
    return {"spoken": clip.spoken, "written": clip.written, "told": clip.told, "visible": clip.scene}


def test_the_clips_of_a_pair_share_three_of_four_contents() -> None:
    clips = plan_spoken_clips(CONFIG, "test")
    assert len(clips) == 80
    for one, other in zip(clips[::2], clips[1::2], strict=True):
        assert (one.partner_id, other.partner_id) == (other.video_id, one.video_id)
        first, second = contents_of(one), contents_of(other)
        assert [name for name in CONTENTS if first[name] != second[name]] == [one.asked] == [other.asked]


def test_every_query_asks_for_what_one_clip_alone_has_and_each_content_is_asked_for_equally_often() -> None:
    clips = plan_spoken_clips(CONFIG, "test")
    assert Counter(clip.asked for clip in clips) == dict.fromkeys(CONTENTS, 20)
    assert len({clip.query for clip in clips}) == len(clips)
    everything = [content for clip in clips for content in contents_of(clip).values()]
    for clip in clips:
        assert everything.count(contents_of(clip)[clip.asked]) == 1


def test_a_query_has_the_words_that_matter_and_not_the_sentence() -> None:
    clips = [clip for clip in plan_spoken_clips(CONFIG, "test") if clip.asked == "written"]
    for clip in clips:
        words = set(clip.query.split())
        assert {clip.written.person, clip.written.verb, clip.written.thing, clip.written.place} < words
        assert clip.query not in clip.written.text


def test_more_clips_leave_those_before_them_as_they_are() -> None:
    more = SpokenShapesConfig(num_train=160, num_validation=8, num_test=160)
    assert plan_spoken_clips(more, "test")[:80] == plan_spoken_clips(CONFIG, "test")


def test_a_seed_decides_everything_and_scenes_of_the_test_are_not_trained_on() -> None:
    other = SpokenShapesConfig(seed=1, num_test=80)
    assert plan_spoken_clips(other, "test") != plan_spoken_clips(CONFIG, "test")
    trained = {clip.scene.family for clip in plan_spoken_clips(CONFIG, "train")}
    assert not trained & {clip.scene.family for clip in plan_spoken_clips(CONFIG, "test")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_test": 12}, "num_test must be a multiple of 8"),
        ({"image_size": 64}, "image_size must be even and at least 128"),
        ({"num_frames": 5}, "num_frames must be even"),
        ({"fps": 0}, "fps must be at least 1"),
        ({"seed": -1}, "seed must not be negative"),
    ],
)
def test_a_field_out_of_range_is_named(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpokenShapesConfig(**arguments)


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(ValueError, match="split must be one of train, validation, test, got 'twins'"):
        plan_spoken_clips(CONFIG, "twins")
