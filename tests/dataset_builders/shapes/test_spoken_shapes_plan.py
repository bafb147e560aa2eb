from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from video_colbert.dataset_builders.shapes.moving_shapes_scenes import COLOURS
from video_colbert.dataset_builders.shapes.spoken_sentences import (
    PEOPLE,
    PLACES,
    THINGS,
    VERBS,
    Sentence,
    draw_sentences,
)
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


def test_half_of_the_sentences_asked_for_are_asked_for_by_the_exact_name_that_no_other_clip_has() -> None:
    clips = plan_spoken_clips(CONFIG, "test")
    asked = [(clip, contents_of(clip)[clip.asked]) for clip in clips if clip.asked != "visible"]
    kinds = Counter((clip.asked, sentence.has_name) for clip, sentence in asked if isinstance(sentence, Sentence))
    assert kinds == dict.fromkeys(((content, has_name) for content in CONTENTS[:3] for has_name in (0, 1)), 10)
    said = {content for clip in clips for content in contents_of(clip).values() if isinstance(content, Sentence)}
    for _, sentence in asked:
        if isinstance(sentence, Sentence) and sentence.has_name:
            assert [each for each in said if sentence.query in each.text] == [sentence]


def test_the_other_half_is_asked_for_in_words_that_no_sentence_has_but_the_colour() -> None:
    little = {"a", "an", "the", "in", "of", "for", "on", *COLOURS}
    said = {word for words in (PEOPLE, VERBS, THINGS, PLACES) for word in words}
    sentences = [next(nameless) for nameless in [draw_sentences(np.random.default_rng(0))] for _ in range(500)]
    asked = {word for sentence in sentences for word in sentence.query.replace(",", "").split()} - little
    assert len(asked) > 100
    for sentence in sentences:
        assert not sentence.has_name
        assert sentence.colour in sentence.query.split()
    assert not {word.lower() for word in asked} & {word.lower() for word in said}
    # Nor another form of one: "sells" and "seller".
    assert not {word.lower()[:5] for word in asked if len(word) > 4} & {word.lower()[:5] for word in said}


def test_more_clips_leave_those_before_them_as_they_are() -> None:
    more = SpokenShapesConfig(num_train=160, num_validation=8, num_test=160)
    assert plan_spoken_clips(more, "test")[:80] == plan_spoken_clips(CONFIG, "test")


def test_a_seed_decides_everything_and_scenes_of_the_test_are_not_trained_on() -> None:
    other = SpokenShapesConfig(seed=1, num_test=80)
    assert plan_spoken_clips(other, "test") != plan_spoken_clips(CONFIG, "test")
    trained = {clip.scene.family for clip in plan_spoken_clips(CONFIG, "train")}
    for config in (CONFIG, other):
        assert not trained & {clip.scene.family for clip in plan_spoken_clips(config, "test")}


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


def test_more_clips_than_there_are_names_are_refused() -> None:
    with pytest.raises(ValueError, match="has 1600 different names, and more are needed"):
        plan_spoken_clips(SpokenShapesConfig(num_train=1920), "train")


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(ValueError, match="split must be one of train, validation, test, got 'twins'"):
        plan_spoken_clips(CONFIG, "twins")
