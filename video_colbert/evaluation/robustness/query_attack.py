"""Attacks on the queries of a split by swaps of words or letters, and how many of them still find their video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from video_colbert.encoding.level_scores import level_scores
from video_colbert.evaluation.robustness.promoted_ranks import rank_figures, ranks_among
from video_colbert.evaluation.robustness.victim import Victim
from video_colbert.evaluation.robustness.word_swaps import SwapKind, SwappedQuery, attack_query
from video_colbert.progress import progress_bar


@dataclass(frozen=True, repr=False)
class QueryAttackReport:
    """What an attack on queries came to; shown as a table.

    Attributes:
        model: the model's name.
        kind: what was swapped.
        budget: swaps a query at most.
        gallery: videos of the gallery.
        queries: numbers of the attacked queries in their split.
        texts: as they were.
        swapped: what became of them.
        before: [n] ranks of the queries' videos.
        after: [n] ranks once they are swapped.
    """

    model: str
    kind: SwapKind
    budget: int
    gallery: int
    queries: Sequence[int]
    texts: Sequence[str]
    swapped: Sequence[SwappedQuery]
    before: npt.NDArray[np.float64]
    after: npt.NDArray[np.float64]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "attack": "words",
            "model": self.model,
            "swapped": self.kind,
            "budget": self.budget,
            "gallery": self.gallery,
            "figures": {
                "before": asdict(rank_figures(self.before)),
                "after": asdict(rank_figures(self.after)),
            },
            "queries": [
                {"text": text, "rank": rank, "swapped": new.text, "swaps": new.swaps, "rank_after": rank_after}
                for text, rank, new, rank_after in zip(
                    self.texts, self.before.tolist(), self.swapped, self.after.tolist(), strict=True
                )
            ],
        }

    def __repr__(self) -> str:
        lines = [
            f"model: {self.model}",
            f"words: {len(self.texts)} queries, at most {self.budget} swaps of neighbouring {self.kind}; gallery of "
            f"{self.gallery}",
            f"{'':<8}{'R@1':>8}{'R@5':>8}{'R@10':>8}{'MdR':>8}{'MnR':>8}",
        ]
        for name, ranks in (("before", self.before), ("after", self.after)):
            found = rank_figures(ranks)
            shares = "".join(f"{share:>8.1f}" for share in found.shares.values())
            lines.append(f"{name:<8}{shares}{found.median:>8.1f}{found.mean:>8.1f}")
        swaps = np.mean([each.swaps for each in self.swapped])
        lines.append(f"{swaps:.2f} swaps a query; a query whose video is not first is left as it is")
        lost = np.flatnonzero((self.before < 2) & (self.after >= 2))[:3]
        lines += [f"  {self.texts[number]!r} became {self.swapped[number].text!r}" for number in lost]
        return "\n".join(lines)


def attack_queries(
    victim: Victim, *, kind: SwapKind = "words", budget: int = 1, num_queries: int | None = None, seed: int = 0
) -> QueryAttackReport:
    """Attacks queries one after another, each against the whole gallery.

    Args:
        victim: the search.
        kind: whether neighbouring words or neighbouring letters are swapped.
        budget: swaps a query at most.
        num_queries: queries to attack, drawn by `seed`; None for all.
        seed: of the queries that are drawn.

    Raises:
        ValueError: the budget is below 1, or there is no such kind.
    """
    split = victim.split
    number = len(split.queries.texts) if num_queries is None else num_queries
    chosen = np.sort(np.random.default_rng(seed).permutation(len(split.queries.texts))[:number]).tolist()
    swapped: list[SwappedQuery] = []
    after: list[float] = []
    for query in progress_bar(chosen, desc=f"attack, {kind}", unit="query"):
        own = split.positives[query]

        def scores(texts: Sequence[str]) -> torch.Tensor:
            return level_scores(victim.encoder.encode_queries(list(texts), phrases=False), split.levels)["sum"]

        def margins(texts: Sequence[str], own: int = own) -> npt.NDArray[np.float64]:
            found = scores(texts)
            others = found.clone()
            others[:, own] = float("-inf")
            margin: npt.NDArray[np.float64] = (found[:, own] - others.amax(1)).cpu().numpy().astype(np.float64)
            return margin

        found = attack_query(split.queries.texts[query], margins, kind=kind, budget=budget)
        swapped.append(found)
        of_text = scores([found.text])
        others = of_text.clone()
        others[:, own] = float("-inf")
        after.append(float(ranks_among(of_text[:, own], others)[0]))
    before = np.concatenate(
        [victim.clean_ranks(split.positives[query], [query], victim.clean_scores) for query in chosen]
    )
    return QueryAttackReport(
        model=str(victim.encoder.reference),
        kind=kind,
        budget=budget,
        gallery=len(victim.clips),
        queries=chosen,
        texts=[split.queries.texts[query] for query in chosen],
        swapped=swapped,
        before=before,
        after=np.asarray(after),
    )
