import inspect
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import ColPaliProcessor, PreTrainedTokenizerBase

from tests.processing.test_processing_video_colbert import make_processor
from tests.tiny_models import random_batch, tiny_model
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.processing.retrieval_scores import mean_max_sim_of_bags


@pytest.fixture(scope="module")
def processor(clip_tokenizer: PreTrainedTokenizerBase) -> VideoColBERTProcessor:
    return make_processor(clip_tokenizer)


def random_bags(lengths: list[int], seed: int, width: int = 8) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [F.normalize(torch.randn(length, width, generator=draw), dim=-1) for length in lengths]


QUERIES, VIDEOS = random_bags([3, 1, 5], 0), random_bags([4, 2, 7, 1, 3], 1)


def score_in_a_loop(query: torch.Tensor, video: torch.Tensor) -> float:
    return float(np.mean([max(float(np.dot(token, other)) for other in video.numpy()) for token in query.numpy()]))


def test_scores_are_the_mean_of_maxima_of_a_loop(processor: VideoColBERTProcessor) -> None:
    expected = [[score_in_a_loop(query, video) for video in VIDEOS] for query in QUERIES]
    scores = processor.score_retrieval(QUERIES, VIDEOS)
    assert scores.dtype == torch.float32
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 128])
def test_scores_depend_on_neither_batch_nor_padding(processor: VideoColBERTProcessor, batch_size: int) -> None:
    # Every similarity is negative, so that a pad would win each maximum.
    queries, videos = [query.abs() for query in QUERIES], [-video.abs() for video in VIDEOS]
    expected = [[score_in_a_loop(query, video) for video in videos] for query in queries]
    padded = [F.pad(pad_sequence(bags, batch_first=True), (0, 0, 0, 3)) for bags in (queries, videos)]
    for given in ((queries, videos), (padded[0], padded[1]), (queries, padded[1])):
        scores = processor.score_retrieval(*given, batch_size=batch_size)
        np.testing.assert_allclose(scores.numpy(), expected, atol=1e-6)


@torch.no_grad()
def test_scores_of_both_levels_are_the_models(processor: VideoColBERTProcessor) -> None:
    output = tiny_model()(**random_batch(num_queries=3, num_videos=6))
    queries = [bag[mask] for bag, mask in zip(output.query.query_embeds, output.query.query_mask, strict=True)]
    frames, videos = (
        [bag[mask] for bag, mask in zip(output.video[f"{level}_embeds"], output.video[f"{level}_mask"], strict=True)]
        for level in ("frame", "video")
    )
    for given, expected in (
        ((queries, frames, None), output.frame_scores),
        ((queries, videos, None), output.video_scores),
        ((queries, frames, videos), output.scores),
    ):
        scores = processor.score_retrieval(given[0], given[1], video_embeddings=given[2])
        torch.testing.assert_close(scores, expected, rtol=0, atol=1e-5)


def test_scores_of_half_precision_are_taken_in_full_precision(processor: VideoColBERTProcessor) -> None:
    queries, videos = ([bag.bfloat16() for bag in bags] for bags in (QUERIES, VIDEOS))
    assert processor.score_retrieval(queries, videos).dtype == torch.bfloat16
    scores = processor.score_retrieval(queries, videos, output_dtype=torch.float64)
    expected = [[score_in_a_loop(query.float(), video.float()) for video in videos] for query in queries]
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-6)


def test_a_video_without_tokens_scores_least_and_a_query_without_tokens_nothing() -> None:
    scores = mean_max_sim_of_bags([*QUERIES[:1], torch.zeros(2, 8)], [*VIDEOS[:1], torch.zeros(3, 8)])
    assert scores[0, 1] == -torch.inf
    assert scores[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], VIDEOS), "no query embeddings"),
        ((QUERIES, []), "no passage embeddings"),
        ((QUERIES, random_bags([2], 0, width=9)), "width 8 and passages of 9"),
        ((QUERIES, [video.double() for video in VIDEOS]), "dtype torch.float32 and passages torch.float64"),
        ((QUERIES[0], VIDEOS), r"shape \[8\]; a bag is \[tokens, D\]"),
        (([torch.zeros(0, 8)], VIDEOS), "with at least one token"),
    ],
)
def test_bags_that_do_not_fit_are_named(processor: VideoColBERTProcessor, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        processor.score_retrieval(*arguments)
    with pytest.raises(ValueError, match="5 passage_embeddings and 2 video_embeddings"):
        processor.score_retrieval(QUERIES, VIDEOS, video_embeddings=VIDEOS[:2])


def test_arguments_and_scores_are_those_of_colpalis_method_but_for_the_mean(processor: VideoColBERTProcessor) -> None:
    own = inspect.signature(VideoColBERTProcessor.score_retrieval).parameters
    other = inspect.signature(ColPaliProcessor.score_retrieval).parameters
    for name, parameter in other.items():
        assert (own[name].kind, own[name].default) == (parameter.kind, parameter.default), name
    # Bags of one length: a pad of ColPali's takes part in a maximum.
    queries, videos = random_bags([3, 3], 2), random_bags([4, 4, 4], 3)
    summed = ColPaliProcessor.score_retrieval(processor, queries, videos)
    scores = processor.score_retrieval(queries, videos)
    assert scores.shape == (2, 3)
    torch.testing.assert_close(scores * 3, summed)
