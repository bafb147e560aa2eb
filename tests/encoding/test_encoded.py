from __future__ import annotations

import pytest
import torch

from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.processing import QueryWord


def make_queries() -> EncodedQueries:
    """Three queries with two encoders of 4 and 6 dimensions; the third was cut."""
    words = [[QueryWord(f"word{row}", [0])] for row in range(3)]
    weights = torch.arange(6.0).view(3, 2)
    return EncodedQueries(
        texts=["a", "b", "c"],
        bags={
            "video_model": QueryBags(torch.arange(24.0).view(3, 2, 4), torch.ones(3, 2).bool(), words, weights),
            "text_model": QueryBags(torch.arange(54.0).view(3, 3, 6), torch.eye(3).bool(), [[]] * 3),
        },
        encoder_of_level={"frame": "video_model", "video": "video_model", "speech": "text_model"},
        level_weights={"video": 1.0, "speech": 1.0},
        truncated=[2],
    )


def test_levels_know_the_bags_they_are_compared_with() -> None:
    queries = make_queries()
    assert queries.bags_of("frame") is queries.bags_of("video")
    assert (queries.bags_of("video").dimension, queries.bags_of("speech").dimension) == (4, 6)


def test_weights_are_changed_where_they_are_named_and_nowhere_else() -> None:
    queries = make_queries()
    changed = queries.with_level_weights({"speech": 0.5}).with_level_weights({"video": 0})
    assert changed.level_weights == {"video": 0.0, "speech": 0.5}
    assert queries.level_weights == {"video": 1.0, "speech": 1.0}
    assert changed.bags is queries.bags


def test_weights_that_do_not_fit_the_model_are_refused() -> None:
    queries = make_queries()
    with pytest.raises(ValueError, match="names 'frame'; the model scores by video, speech"):
        queries.with_level_weights({"frame": 1.0})
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="weight of level 'video' must be finite and not negative"):
            queries.with_level_weights({"video": weight})
    with pytest.raises(ValueError, match="level_weights are all 0; at least one of video, speech must count"):
        queries.with_level_weights({"video": 0.0, "speech": 0.0})


def test_selected_queries_keep_their_tokens_words_and_what_was_cut() -> None:
    queries = make_queries()
    chosen = queries.select([2, 0])
    assert (chosen.texts, chosen.truncated) == (["c", "a"], [0])
    for name, bags in queries.bags.items():
        assert torch.equal(chosen.bags[name].embeds, bags.embeds[[2, 0]])
        assert torch.equal(chosen.bags[name].mask, bags.mask[[2, 0]])
        assert chosen.bags[name].words == [bags.words[2], bags.words[0]]
    weights = chosen.bags_of("frame").token_weights
    assert weights is not None
    assert weights.tolist() == [[4.0, 5.0], [0.0, 1.0]]
