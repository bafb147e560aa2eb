"""The study of sources, on a handful of clips."""

from pathlib import Path

import pandas as pd
import pytest
import run_sources_study
import torch
from sources_data import SOURCES, SourceSplit
from sources_ranking import AVERAGED, FUSIONS, score_matrix, score_specialists
from sources_training import SourceEncoder, SourceRun, make_backbone

from video_colbert.dataset_builders import SpokenShapesConfig
from video_colbert.dataset_builders.shapes.spoken_shapes_plan import plan_spoken_clips
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.training.tiny_backbones import save_tiny_clip_backbone, train_clip_tokenizer


@pytest.fixture(scope="module")
def split() -> SourceSplit:
    clips = plan_spoken_clips(SpokenShapesConfig(num_test=16), "test")
    return SourceSplit(clips, torch.randn(16, 4, 64, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory, split: SourceSplit) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    tiny = save_tiny_clip_backbone(folder / "tiny", train_clip_tokenizer(["a red circle"]), seed=1)
    VideoColBERTModel.from_backbone(tiny, temporal_num_layers=1).save_pretrained(folder / "demo")
    texts = [*split.queries, *(text for passages in split.passages for text in passages.values())]
    return make_backbone(folder / "backbone", folder / "demo", texts)


def test_an_encoder_sees_its_sources_alone_and_learns_their_queries(backbone: Path, split: SourceSplit) -> None:
    encoder = SourceEncoder(backbone, SourceRun(("speech",), steps=3, batch_size=2), seed=0)
    tower = {name: tensor.clone() for name, tensor in encoder.model.text_model.state_dict().items()}
    encoder.train(split)
    assert any(not torch.equal(tensor, tower[name]) for name, tensor in encoder.model.text_model.state_dict().items())
    found = encoder.scores(split)["modality_max"]
    # The clips of a pair that differ in what this source does not tell are the same to it.
    for row in range(0, 16, 2):
        is_told = split.answering[row] == "speech"
        assert torch.equal(found[:, row], found[:, row + 1]) is not is_told


def test_scores_of_all_systems_are_of_their_own_matrices(split: SourceSplit) -> None:
    right, nothing = torch.eye(16), torch.zeros(16, 16)
    scores = dict(zip(SOURCES, (right, nothing, nothing, nothing), strict=True))
    found = {
        (each.system, each.source): each.recall_at_1 for each in score_specialists((split, scores), (split, scores))
    }
    assert found["video alone", "all"] == 100.0
    # Of equal scores, in expectation over their order.
    assert found["speech alone", "all"] == pytest.approx(100 / 16)
    assert found[AVERAGED, "all"] == 100.0
    assert found["late fusion, reciprocal ranks", "all"] == 100.0
    assert {system for system, _ in found} == {*FUSIONS, AVERAGED, *(f"{source} alone" for source in SOURCES)}
    [of_all, *_] = score_matrix("flipped", right.flip(1), split)
    assert of_all.recall_at_1 == 0.0


def test_tables_hold_means_over_seeds_and_paired_differences() -> None:
    systems = {"contextual, token_max": (90.0, 80.0, 85.0), "router": (70.0, 62.0, 64.0)}
    table = pd.DataFrame(
        [
            {"system": system, "seed": seed, "source": source, "recall_at_1": value}
            for system, values in systems.items()
            for seed, value in enumerate(values)
            for source in ("all", *SOURCES)
        ]
    )
    assert "| router | 3 | 65.3 ± 4.2 |" in run_sources_study.recall_table(table)
    lines = run_sources_study.difference_table(table).splitlines()
    # Differences of 20, 18 and 21: a standard error of 0.882, times the 4.303 of two degrees of freedom.
    assert "| contextual, token_max > router | supports | +19.7 [+15.9, +23.5] |" in lines
    assert "| contextual, token_max > averaged modalities | not run |  |" in lines
