"""What attacks on several videos came to, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from video_colbert.evaluation.robustness.attack_settings import AttackGoal, PixelAttackSettings
from video_colbert.evaluation.robustness.level_agreement import roc
from video_colbert.evaluation.robustness.promoted_ranks import TOP, RankFigures, rank_figures
from video_colbert.evaluation.robustness.video_attack import AFTER, BEFORE, AttackOutcome

_FALSE_ALARMS = 0.05


@dataclass(frozen=True, repr=False)
class AttackReport:
    """What attacks on several videos came to; shown as a table.

    Attributes:
        model: the victim's name.
        attack_model: name of the model whose gradients were used; None for the victim's own (white box).
        goal: "promote" or "suppress".
        settings: of the attack.
        gallery: videos of the gallery.
        recall: R@1 of the clean gallery, in percent: under "none", and under each defence.
        outcomes: of each video.
        clean_disagreement: of the two levels on each clean video of the gallery; empty for a model of one level.
    """

    model: str
    attack_model: str | None
    goal: AttackGoal
    settings: PixelAttackSettings
    gallery: int
    recall: Mapping[str, float]
    outcomes: Sequence[AttackOutcome]
    clean_disagreement: npt.NDArray[np.float64]

    def figures(self, queries: str) -> dict[str, RankFigures]:
        """Ranks over all videos, by state.

        Args:
            queries: "targets" or "unseen".
        """
        states = dict.fromkeys(state for outcome in self.outcomes for state in getattr(outcome, queries))
        return {
            state: rank_figures(
                np.concatenate([ranks[state] for outcome in self.outcomes if (ranks := getattr(outcome, queries))])
            )
            for state in states
        }

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "attack": self.goal,
            "model": self.model,
            "attack_model": self.attack_model,
            "settings": asdict(self.settings),
            "gallery": self.gallery,
            "recall_at_1": dict(self.recall),
            "figures": {
                queries: {state: asdict(found) for state, found in self.figures(queries).items()}
                for queries in ("targets", "unseen")
            },
            "detection": self.detection(),
            "videos": [outcome.as_dict() for outcome in self.outcomes],
        }

    def detection(self) -> dict[str, float] | None:
        """How well disagreement of the levels finds the attacked videos; None for a model of one level."""
        attacked = [each.disagreement for each in self.outcomes if each.disagreement is not None]
        if not attacked or not len(self.clean_disagreement):
            return None
        curve = roc(self.clean_disagreement, np.asarray(attacked))
        return {"area": curve.area, "found_at_5_percent": curve.found_at(_FALSE_ALARMS)}

    def __repr__(self) -> str:
        box = "white box" if self.attack_model is None else f"by the gradients of {self.attack_model}"
        settings = self.settings
        lines = [
            f"model: {self.model}",
            f"{self.goal}, {box}: {len(self.outcomes)} videos, at most {settings.budget} of 255 a value, "
            f"{settings.steps} steps on {settings.frames} frames; gallery of {self.gallery}",
        ]
        for queries in ("targets", "unseen"):
            figures = self.figures(queries)
            if figures:
                lines += _table(f"{queries} ({figures[AFTER].num_queries} queries)", figures, self.recall)
        changes = [outcome.change for outcome in self.outcomes]
        lines.append(
            f"change of the {sum(change.num_changed for change in changes)} changed of "
            f"{sum(change.num_frames for change in changes)} frames: PSNR "
            f"{np.mean([change.psnr for change in changes]):.1f} dB, SSIM "
            f"{np.mean([change.ssim for change in changes]):.3f}, at most {max(change.largest for change in changes)}"
        )
        large = [outcome.large_index for outcome in self.outcomes if outcome.large_index is not None]
        if large:
            shares = ", ".join(f"top {top} {np.mean([each.shares[top] for each in large]):.1f} %" for top in TOP)
            lines.append(
                f"in an index of {large[0].index_size:,}, estimated from {large[0].sample_size:,}: median rank "
                f"{np.median([each.median for each in large]):,.0f}, {shares}; above the whole sample for "
                f"{np.mean([each.above_sample for each in large]):.1f} % of queries"
            )
        if (found := self.detection()) is not None:
            lines.append(
                f"disagreement of the levels as a detector: area under the ROC {found['area']:.3f}, "
                f"{100 * found['found_at_5_percent']:.0f} % found at 5 % false alarms"
            )
        return "\n".join(lines)


def _table(title: str, figures: Mapping[str, RankFigures], recall: Mapping[str, float]) -> list[str]:
    """Lines of a table, a state each."""
    width = max(len(title), *map(len, figures)) + 2
    tops = "".join(f"{f'top {top}':>8}" for top in TOP)
    lines = [f"{title:<{width}}{'MdR':>8}{'MnR':>8}{tops}  R@1 clean"]
    for state, found in figures.items():
        shares = "".join(f"{found.shares[top]:>8.1f}" for top in TOP)
        defence = state.partition(", ")[2] or "none"
        clean = f"{recall[defence]:>11.1f}" if state.startswith(BEFORE) else ""
        lines.append(f"{state:<{width}}{found.median:>8.1f}{found.mean:>8.1f}{shares}{clean}")
    return lines
