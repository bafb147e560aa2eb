"""The loss over processes of a model with levels of texts, against the model's own on one process."""

from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tests.modeling_video_colbert.contextual_models import SCORE_LEVELS, contextual_model
from tests.training.process_groups import run_on_processes
from video_colbert.modeling_video_colbert import QueryEmbeddings, VideoColBERTModel, VideoEmbeddings
from video_colbert.training.distributed_loss import PairKeys, global_loss

SIZES = (3, 2)
CASES: list[dict[str, Any]] = [
    {"loss_type": "dual_sigmoid", "logit_scale_init": 2.0, "logit_bias_init": -3.0},
    *(
        {"loss_type": "modality_info_nce", "modality_loss": kind}
        for kind in ("standard", "hard_positive", "hard_negative")
    ),
]


def local_bags(rank: int) -> tuple[dict[str, list[Tensor]], PairKeys]:
    """Bags by level that differ in length between ranks; some are empty, never those of frames."""
    generator = torch.Generator().manual_seed(rank)

    def bag(length: int) -> Tensor:
        return F.normalize(torch.randn(length, 24, generator=generator, dtype=torch.float64), dim=-1)

    levels = ("query", "frame", *SCORE_LEVELS)
    bags = {
        level: [bag((1 if number < 3 else 0) + (rank + row + number) % 4) for row in range(SIZES[rank])]
        for number, level in enumerate(levels)
    }
    labels = torch.tensor([(rank + row) % 5 - 1 for row in range(SIZES[rank])])
    names = torch.arange(SIZES[rank]) + 10 * rank
    return bags, PairKeys(names, names + 100, labels)


def embeddings(bags: dict[str, list[Tensor]]) -> tuple[QueryEmbeddings, VideoEmbeddings, list[Tensor]]:
    fields, leaves = {}, []
    for level, of_level in bags.items():
        lengths = torch.tensor([len(bag) for bag in of_level])
        padded = F.pad(pad_sequence(of_level, batch_first=True), (0, 0, 0, 1)).requires_grad_()
        leaves.append(padded)
        fields |= {f"{level}_embeds": padded, f"{level}_mask": torch.arange(padded.shape[1]) < lengths[:, None]}
    query = QueryEmbeddings(query_embeds=fields.pop("query_embeds"), query_mask=fields.pop("query_mask"))
    return query, VideoEmbeddings(**fields), leaves


def counted(leaves: list[Tensor], bags: dict[str, list[Tensor]]) -> list[Tensor]:
    """Gradients of real tokens, bag after bag."""
    return [
        gradient[: len(bag)]
        for leaf, of_level in zip(leaves, bags.values(), strict=True)
        for gradient, bag in zip(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad, of_level, strict=True)
    ]


def compute_on_rank(models: list[VideoColBERTModel]) -> list[dict[str, Any]]:
    results = []
    for model in models:
        bags, keys = local_bags(dist.get_rank())
        query, video, leaves = embeddings(bags)
        loss = global_loss(model, query, video, keys).loss
        loss.backward()
        results.append({"loss": loss.detach(), "gradients": counted(leaves, bags), "scale": model.logit_scale.grad})
    return results


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    models = [contextual_model(**case).double() for case in CASES]
    return run_on_processes(tmp_path_factory.mktemp("ranks"), 2, compute_on_rank, models)


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: " ".join(map(str, CASES[case].values())))
def test_loss_and_gradients_over_processes_equal_those_of_one(ranks: list[list[dict[str, Any]]], case: int) -> None:
    parts = [local_bags(rank) for rank in range(2)]
    bags = {level: [bag for of_rank, _ in parts for bag in of_rank[level]] for level in parts[0][0]}
    labels = torch.cat([keys.query_levels for _, keys in parts if keys.query_levels is not None])
    query, video, leaves = embeddings(bags)
    model = contextual_model(**CASES[case]).double()
    loss, _ = model.loss(model.score(query, video), None, labels)
    loss.backward()
    close = {"rtol": 0, "atol": 1e-10}
    torch.testing.assert_close(torch.stack([rank[case]["loss"] for rank in ranks]).mean(), loss.detach(), **close)
    scale = torch.stack([rank[case]["scale"] for rank in ranks]).mean(0)
    torch.testing.assert_close(scale, model.logit_scale.grad, **close)
    # By level, the ranks' bags one after another.
    found = []
    for level in range(len(bags)):
        for rank, size in enumerate(SIZES):
            found += ranks[rank][case]["gradients"][level * size : (level + 1) * size]
    for actual, expected in zip(found, counted(leaves, bags), strict=True):
        torch.testing.assert_close(actual / 2, expected, **close)
