from pathlib import Path

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from tests.tiny_models import tiny_model
from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.encoding.level_scores import PaddedLevel
from video_colbert.evaluation.encoded_split import EncodedSplit
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.calibration.level_weights import fit_level_weights, level_weights_of_split
from video_colbert.training.model_setup import build_model_and_processor, check_level_weights


def noisy_scores(noise: dict[str, float], number: int = 60) -> dict[str, Tensor]:
    """Scores whose diagonal is right by 0.1 on each level, with noise of a standard deviation of its own."""
    generator = torch.Generator().manual_seed(0)
    return {
        level: 0.1 * torch.eye(number) + deviation * torch.randn(number, number, generator=generator)
        for level, deviation in noise.items()
    }


def test_fitted_weights_minimise_info_nce_as_another_optimiser_does() -> None:
    scores = noisy_scores({"frame": 0.1, "video": 0.05})
    frame, video = (scores[level].double() for level in ("frame", "video"))

    def loss(weights: list[float]) -> float:
        total = weights[0] * frame + weights[1] * video
        both = [-torch.log_softmax(matrix, 1).diagonal().mean() for matrix in (total, total.T)]
        return float(sum(both) / 2)

    best = minimize(loss, [10.0, 10.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12}).x
    found = fit_level_weights(scores)
    assert found["frame"] + found["video"] == pytest.approx(2)
    assert found["frame"] / found["video"] == pytest.approx(best[0] / best[1], rel=1e-3)


def test_a_level_that_misleads_counts_almost_nothing() -> None:
    scores = noisy_scores({"frame": 0.1, "video": 0.05})
    found = fit_level_weights({"frame": -scores["frame"], "video": scores["video"]})
    assert found["frame"] < 0.1 * found["video"]


def test_captions_of_several_videos_have_all_of_them_as_positives() -> None:
    scores = {level: matrix.repeat(2, 1) for level, matrix in noisy_scores({"frame": 0.1, "video": 0.05}).items()}
    positives = torch.eye(60, dtype=torch.bool).repeat(2, 1)
    # With every caption there twice a row of videos is met twice, and nothing else changes.
    once = fit_level_weights(noisy_scores({"frame": 0.1, "video": 0.05}))
    twice = fit_level_weights(scores, positives)
    assert twice["frame"] == pytest.approx(once["frame"], rel=0.05)
    with pytest.raises(ValueError, match="positive_mask"):
        fit_level_weights(scores)


def test_one_video_leaves_nothing_to_fit() -> None:
    with pytest.raises(ValueError, match="two videos or more, got 3 captions and 1 videos"):
        fit_level_weights({"frame": torch.ones(3, 1)}, torch.ones(3, 1, dtype=torch.bool))


def test_weights_of_a_split_are_those_of_its_scores() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = {
        level: torch.nn.functional.normalize(torch.randn(8, 3, 6, generator=generator), dim=-1) for level in "ab"
    }
    queries = tokens["b"] + 0.5 * torch.randn(8, 3, 6, generator=generator)
    everywhere = torch.ones(8, 3, dtype=torch.bool)
    bags = QueryBags(torch.nn.functional.normalize(queries, dim=-1), everywhere, [[]] * 8)
    split = EncodedSplit(
        [str(row) for row in range(8)],
        {level: PaddedLevel(bag, everywhere) for level, bag in tokens.items()},
        EncodedQueries.of_one_encoder([""] * 8, bags, ("a", "b")),
        list(range(8)),
        [],
        8,
    )
    scores = split.level_scores()
    found = level_weights_of_split(split, ["a", "b"])
    assert found == pytest.approx(fit_level_weights({level: scores[level] for level in "ab"}))
    assert found["b"] > found["a"]


@pytest.mark.parametrize("config", [{"score_levels": ["video"]}, {"loss_type": "sigmoid"}])
def test_a_model_without_weights_to_fit_is_refused(config: dict[str, object], clip_backbone_folder: Path) -> None:
    with pytest.raises(ValueError, match="fit_level_weights needs"):
        check_level_weights(tiny_model(**config).config)
    overrides = {"query_length": 16, "max_frames": 12, "temporal_num_heads": 4, **config}
    arguments = TrainingArguments(
        backbone=str(clip_backbone_folder), config_overrides=overrides, fit_level_weights=True
    )
    with pytest.raises(ValueError, match="fit_level_weights needs"):
        build_model_and_processor(arguments)
