"""The loss over processes, against the formulas written out on one process."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from tests.tiny_models import tiny_model
from tests.training.process_groups import run_on_processes
from video_colbert.modeling_video_colbert import QueryEmbeddings, VideoColBERTModel, VideoEmbeddings
from video_colbert.training.distributed_loss import PairKeys, global_loss, global_scores

WIDTH = 24
LOCAL_SIZES = {2: (4, 3), 3: (3, 1, 4)}
LOSS_TYPES = ("dual_sigmoid", "sigmoid", "info_nce")
# With learned weights of tokens, which travel beside the tokens.
WEIGHTED = "info_nce, weighted"
# With factors of tokens by the attention they receive, likewise.
ATTENDED = "dual_sigmoid, attended"
INTERACTIONS = {WEIGHTED: "weighted_token_wise", ATTENDED: "attention_mean_max_sim"}
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5}
LEAVES = ("query_embeds", "frame_embeds", "video_embeds", "query_weights", "frame_weights", "video_weights")


@dataclass
class LocalBatch:
    """What one rank holds: padded to its own longest bag, which differs between ranks."""

    query: QueryEmbeddings
    video: VideoEmbeddings
    keys: PairKeys

    @property
    def leaves(self) -> list[Tensor]:
        both = {**self.query, **self.video}
        return [both[name] for name in LEAVES if name in both]


def local_batch(rank: int, size: int, loss_type: str, dtype: torch.dtype) -> LocalBatch:
    generator = torch.Generator().manual_seed(rank)
    query_length, num_frames, num_tokens = 5 + 2 * rank, 6 - rank, 8 - 2 * rank

    def bag(length: int) -> tuple[Tensor, Tensor]:
        embeds = F.normalize(torch.randn(size, length, WIDTH, generator=generator, dtype=torch.float64), dim=-1)
        mask = torch.arange(length) < torch.randint(1, length + 1, (size, 1), generator=generator)
        return embeds.to(dtype).requires_grad_(), mask

    def weigh(mask: Tensor) -> Tensor | None:
        if loss_type not in INTERACTIONS:
            return None
        logits = torch.randn(mask.shape, generator=generator, dtype=torch.float64)
        return logits.masked_fill(~mask, -torch.inf).softmax(-1).to(dtype).requires_grad_()

    (query, query_mask), (frames, frame_mask), (tokens, token_mask) = map(bag, (query_length, num_frames, num_tokens))
    # Video 100 is on every rank; caption 200 too, with other videos.
    videos = torch.arange(size) + 10 * rank
    captions = torch.arange(size) + 1000 + 10 * rank
    videos[0] = 100
    captions[-1] = 200
    return LocalBatch(
        QueryEmbeddings(query_embeds=query, query_mask=query_mask, query_weights=weigh(query_mask)),
        VideoEmbeddings(
            frame_embeds=frames,
            frame_mask=frame_mask,
            frame_weights=weigh(frame_mask),
            video_embeds=tokens,
            video_mask=token_mask,
            video_weights=weigh(token_mask),
        ),
        PairKeys(videos, captions),
    )


def build_model(loss_type: str, dtype: torch.dtype) -> VideoColBERTModel:
    model = tiny_model(
        loss_type=loss_type.split(",")[0],
        interaction=INTERACTIONS.get(loss_type, "mean_max_sim"),
        temporal_num_layers=1,
        frame_loss_weight=0.7,
        video_loss_weight=1.3,
        logit_scale_init=2.0,
        logit_bias_init=-3.0,
    )
    return model.to(dtype)


def logit_parameters(model: VideoColBERTModel) -> list[Tensor]:
    return [parameter for name, parameter in model.named_parameters() if name.startswith("logit_")]


def compute_on_rank(
    world_size: int, cases: list[tuple[str, torch.dtype]], models: list[VideoColBERTModel]
) -> list[dict[str, Any]]:
    assert dist.get_world_size() == world_size
    results = []
    for case, model in zip(cases, models, strict=True):
        batch = local_batch(dist.get_rank(), LOCAL_SIZES[world_size][dist.get_rank()], *case)
        with torch.no_grad():
            scores = global_scores(model, batch.query, batch.video).scores
        result = global_loss(model, batch.query, batch.video, batch.keys)
        result.loss.backward()
        results.append(
            {
                "loss": result.loss.detach(),
                "levels": {name: value.detach() for name, value in result.level_losses.items()},
                "scores": scores,
                "leaves": [leaf.grad for leaf in batch.leaves],
                "logits": [parameter.grad for parameter in logit_parameters(model)],
            }
        )
    return results


def score_of_one_pair(loss_type: str, query: dict[str, Tensor], doc: dict[str, Tensor]) -> Tensor:
    sims = query["embeds"][query["mask"]] @ doc["embeds"][doc["mask"]].T
    if loss_type == ATTENDED:
        maxima, best = sims.max(dim=1)
        return (query["weights"][query["mask"]] * maxima * doc["weights"][doc["mask"]][best]).mean()
    if "weights" not in query:
        return sims.max(dim=1).values.mean()
    of_query = (query["weights"][query["mask"]] * sims.max(dim=1).values).sum()
    return (of_query + (doc["weights"][doc["mask"]] * sims.max(dim=0).values).sum()) / 2


def bags_of(embeddings: QueryEmbeddings | VideoEmbeddings, kind: str) -> list[dict[str, Tensor]]:
    parts = {part: embeddings.get(f"{kind}_{part}") for part in ("embeds", "mask", "weights")}
    known = {part: values for part, values in parts.items() if values is not None}
    return [dict(zip(known, values, strict=True)) for values in zip(*known.values(), strict=True)]


def reference(world_size: int, loss_type: str, dtype: torch.dtype) -> dict[str, Any]:
    """Every pair on its own, then the formulas of the losses, on one process."""
    batches = [local_batch(rank, size, loss_type, dtype) for rank, size in enumerate(LOCAL_SIZES[world_size])]
    model = build_model(loss_type, dtype)
    scale = model.logit_scale.exp()
    queries = [bag for batch in batches for bag in bags_of(batch.query, "query")]
    levels = {}
    for level in ("frame", "video"):
        docs = [bag for batch in batches for bag in bags_of(batch.video, level)]
        levels[level] = torch.stack(
            [torch.stack([score_of_one_pair(loss_type, query, doc) for doc in docs]) for query in queries]
        )
    videos = torch.cat([batch.keys.videos for batch in batches]).tolist()
    captions = torch.cat([batch.keys.captions for batch in batches]).tolist()
    size = len(videos)
    positive = torch.tensor(
        [[videos[i] == videos[j] or captions[i] == captions[j] for j in range(size)] for i in range(size)]
    )
    signs = positive.to(dtype) * 2 - 1

    def sigmoid(scores: Tensor, index: int) -> Tensor:
        return -F.logsigmoid(signs * (scale[index] * scores + model.logit_bias[index])).sum() / size

    def info_nce(scores: Tensor, index: int) -> Tensor:
        halves = []
        for logits in (scale[index] * scores, scale[index] * scores.T):
            likelihoods = logits - logits.logsumexp(1, keepdim=True)
            halves.append(-torch.stack([likelihoods[i][positive[i]].mean() for i in range(size)]).mean())
        return (halves[0] + halves[1]) / 2

    if loss_type == "sigmoid":
        losses = {"sum": sigmoid(levels["frame"] + levels["video"], 0)}
        loss = losses["sum"]
    else:
        formula = sigmoid if loss_type.startswith("dual_sigmoid") else info_nce
        losses = {level: formula(scores, index) for index, (level, scores) in enumerate(levels.items())}
        loss = 0.7 * losses["frame"] + 1.3 * losses["video"]
    loss.backward()
    return {
        "loss": loss.detach(),
        "levels": {name: value.detach() for name, value in losses.items()},
        "scores": (levels["frame"] + levels["video"]).detach(),
        "leaves": [[leaf.grad for leaf in batch.leaves] for batch in batches],
        "logits": [parameter.grad for parameter in logit_parameters(model)],
    }


CASES = [(loss_type, dtype) for loss_type in (*LOSS_TYPES, *INTERACTIONS) for dtype in TOLERANCES]


@pytest.fixture(scope="module", params=LOCAL_SIZES, ids=lambda size: f"{size} processes")
def distributed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    models = [build_model(*case) for case in CASES]
    return request.param, run_on_processes(folder, request.param, compute_on_rank, request.param, CASES, models)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{str(case[1])[6:]}")
def test_loss_and_gradients_over_processes_equal_those_of_one(
    distributed: tuple[int, list[Any]], case: tuple[str, torch.dtype]
) -> None:
    world_size, ranks = distributed
    results = [rank[CASES.index(case)] for rank in ranks]
    expected = reference(world_size, *case)
    close = {"rtol": 0, "atol": TOLERANCES[case[1]]}

    def average(values: list[Tensor]) -> Tensor:
        return torch.stack(values).mean(0)

    torch.testing.assert_close(torch.cat([result["scores"] for result in results]), expected["scores"], **close)
    torch.testing.assert_close(average([result["loss"] for result in results]), expected["loss"], **close)
    for level, value in expected["levels"].items():
        torch.testing.assert_close(average([result["levels"][level] for result in results]), value, **close)
    for index, gradient in enumerate(expected["logits"]):
        torch.testing.assert_close(average([result["logits"][index] for result in results]), gradient, **close)
    for result, gradients in zip(results, expected["leaves"], strict=True):
        assert len(result["leaves"]) == (len(LEAVES) if case[0] in INTERACTIONS else 3)
        for name, actual, gradient in zip(LEAVES, result["leaves"], gradients, strict=False):
            # What DistributedDataParallel divides by is multiplied in.
            torch.testing.assert_close(actual / world_size, gradient, **close, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_one_process_gives_the_plain_loss(loss_type: str) -> None:
    model = build_model(loss_type, torch.float64)
    batch = local_batch(0, 4, loss_type, torch.float64)
    result = global_loss(model, batch.query, batch.video, batch.keys)
    loss, levels = model.loss(model.score(batch.query, batch.video), batch.keys.positive_mask(batch.keys))
    assert torch.equal(result.loss, loss)
    assert {name: value.item() for name, value in result.level_losses.items()} == {
        name: value.item() for name, value in levels.items()
    }


def test_pairs_that_share_a_video_or_a_caption_are_positives() -> None:
    rows = PairKeys(videos=torch.tensor([1, 2, 3]), captions=torch.tensor([7, 8, 9]))
    columns = PairKeys(videos=torch.tensor([1, 1, 4]), captions=torch.tensor([5, 8, 9]))
    assert rows.positive_mask(columns).tolist() == [[True, True, False], [False, True, False], [False, False, True]]
