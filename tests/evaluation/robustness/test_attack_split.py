import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.robustness.conftest import CAPTIONS
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.robustness.attack_cases import AttackCase, choose_cases, queries_of_topic
from video_colbert.evaluation.robustness.attack_settings import PixelAttackSettings
from video_colbert.evaluation.robustness.attack_split import attack_split
from video_colbert.evaluation.robustness.query_attack import attack_queries
from video_colbert.evaluation.robustness.victim import Victim

QUICK = PixelAttackSettings(steps=4)


def test_promoted_videos_answer_no_query_of_the_topic_and_unseen_queries_are_no_targets(victim: Victim) -> None:
    cases = choose_cases(victim.split, "promote", num_videos=3, num_targets=2, topic="CIRCLE red", seed=1)
    topic = [number for number, caption in enumerate(CAPTIONS) if "red circle" in caption]
    assert queries_of_topic(CAPTIONS, "red circle").tolist() == topic
    for case in cases:
        assert case.video not in topic
        assert sorted([*case.targets, *case.unseen]) == topic
        assert len(case.targets) == 2
    assert cases == choose_cases(victim.split, "promote", num_videos=3, num_targets=2, topic="red circle", seed=1)
    everything = choose_cases(victim.split, "promote", num_videos=1, num_targets=None)[0]
    assert sorted(everything.targets) == [number for number in range(12) if number != everything.video]
    assert not everything.unseen


def test_a_suppressed_video_is_attacked_for_its_own_captions(victim: Victim) -> None:
    cases = choose_cases(victim.split, "suppress", num_videos=2, num_targets=None)
    assert [list(case.targets) for case in cases] == [[case.video] for case in cases]
    with pytest.raises(ValueError, match="own captions"):
        choose_cases(victim.split, "suppress", num_videos=2, num_targets=None, topic="red")
    with pytest.raises(ValueError, match="no query contains"):
        choose_cases(victim.split, "promote", num_videos=2, num_targets=None, topic="elephant")


def test_ranks_are_those_of_the_changed_video_in_the_place_of_the_old_one(victim: Victim, tmp_path: Path) -> None:
    case = AttackCase(video=7, targets=[0, 1, 2], unseen=[3, 4])
    report = attack_split(
        victim, "promote", QUICK, cases=[case], defences=["jpeg"], index_size=1000, output_dir=tmp_path / "made"
    )
    [outcome] = report.outcomes
    encoder = victim.encoder
    for state, source in (("before", victim.clips[7].source), ("after", outcome.video.frames)):
        sources = [clip.source for clip in victim.clips]
        sources[7] = source
        scores = encoder.similarity(CAPTIONS[:5], sources).numpy()
        expected = 1 + (scores > scores[:, [7]]).sum(1)
        assert outcome.targets[state].tolist() == expected[:3].tolist()
        assert outcome.unseen[state].tolist() == expected[3:].tolist()
    assert set(outcome.unseen) == {"before", "after", "written as mp4", "before, jpeg:75", "after, jpeg:75"}
    # Eleven other videos, of which one answers the query.
    assert outcome.large_index is not None
    assert (outcome.large_index.sample_size, outcome.large_index.index_size) == (10, 1000)
    assert outcome.change.largest == 8
    # The file is the video: its ranks are those of "written as mp4".
    [file] = (tmp_path / "made").iterdir()
    sources[7] = str(file)
    scores = encoder.similarity(CAPTIONS[:3], sources).numpy()
    assert outcome.targets["written as mp4"].tolist() == (1 + (scores > scores[:, [7]]).sum(1)).tolist()
    # The clean gallery's recall is what an evaluation finds.
    scores = encoder.similarity(CAPTIONS, [clip.source for clip in victim.clips]).numpy()
    assert report.recall["none"] == pytest.approx(100 * np.mean(scores.argmax(1) == victim.split.positives))


def test_promotion_lifts_and_suppression_lowers_the_rank(victim: Victim) -> None:
    settings = replace(QUICK, budget=32, steps=12)
    promoted = attack_split(victim, "promote", settings, cases=[AttackCase(7, [0, 1, 2], [])])
    figures = promoted.figures("targets")
    assert figures["after"].mean < figures["before"].mean
    suppressed = attack_split(victim, "suppress", settings)
    figures = suppressed.figures("targets")
    assert figures["after"].mean > figures["before"].mean
    assert suppressed.figures("unseen") == {}


def test_another_models_gradients_are_used_where_it_is_given(victim: Victim, encoder: VideoColBERTEncoder) -> None:
    cases = [AttackCase(7, [0, 1, 2], [3])]
    own = attack_split(victim, "promote", QUICK, cases=cases)
    other = VideoColBERTEncoder.__new__(VideoColBERTEncoder)
    other.__dict__.update(encoder.__dict__)
    torch.manual_seed(3)
    model = type(encoder.model)(encoder.model.config).eval()
    other.model = model
    black = attack_split(victim, "promote", QUICK, cases=cases, attacker=other)
    assert own.attack_model is None
    assert black.attack_model is not None
    assert not np.array_equal(own.outcomes[0].video.frames, black.outcomes[0].video.frames)


def test_a_report_is_whole_as_text_and_as_json(victim: Victim) -> None:
    report = attack_split(victim, "promote", QUICK, cases=[AttackCase(7, [0, 1], [3])], defences=["jitter"])
    text = repr(report)
    for part in ("white box", "targets (2 queries)", "unseen (1 queries)", "after, jitter", "PSNR", "detector"):
        assert part in text
    content = json.loads(json.dumps(report.as_dict()))
    assert content["figures"]["unseen"]["after"]["num_queries"] == 1
    assert content["recall_at_1"].keys() == {"none", "jitter"}


def test_swapped_queries_rank_their_videos_as_a_search_for_them_does(victim: Victim) -> None:
    report = attack_queries(victim, kind="letters", budget=2, num_queries=6)
    assert len(report.texts) == 6
    sources = [clip.source for clip in victim.clips]
    for number, query in enumerate(report.queries):
        own = victim.split.positives[query]
        for text, rank in ((report.texts[number], report.before), (report.swapped[number].text, report.after)):
            scores = victim.encoder.similarity([text], sources)[0].numpy()
            assert rank[number] == 1 + (scores > scores[own]).sum()
    assert report.after.mean() >= report.before.mean()
    assert json.loads(json.dumps(report.as_dict()))["budget"] == 2
    assert "R@10" in repr(report)
