"""An attack on one video, and all that is measured of its outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.robustness.attack_cases import AttackCase
from video_colbert.evaluation.robustness.attack_settings import AttackGoal, PixelAttackSettings
from video_colbert.evaluation.robustness.perceptual_change import PerceptualChange, perceptual_change
from video_colbert.evaluation.robustness.pixel_attack import attack_pixels
from video_colbert.evaluation.robustness.promoted_ranks import LargeIndexRank
from video_colbert.evaluation.robustness.victim import Victim
from video_colbert.evaluation.robustness.written_video import written_and_decoded
from video_colbert.processing import DecodedVideo

BEFORE = "before"
AFTER = "after"
WRITTEN = "written as mp4"
"""The states of an undefended video that ranks are measured in."""

Ranks = Mapping[str, npt.NDArray[np.float64]]
"""Ranks by state, such as `BEFORE`, or `defended_state` of one."""


def defended_state(state: str, defence: str) -> str:
    """The name of a state under a defence, such as "after, jpeg:75"."""
    return f"{state}, {defence}"


@dataclass(frozen=True)
class AttackOutcome:
    """What an attack on one video came to.

    Attributes:
        video_id: of the video.
        targets: ranks for the queries of the attack, by state.
        unseen: ranks for queries that the attack never saw, by state; empty arrays where there are none.
        change: how visible the change is.
        large_index: where the changed video would stand in a large index for unseen queries, or for the targets where
            there are none; None where that was not asked for.
        disagreement: of the two levels on the changed video; None for a model of one level.
        video: the changed video.
    """

    video_id: str
    targets: Ranks
    unseen: Ranks
    change: PerceptualChange
    large_index: LargeIndexRank | None
    disagreement: float | None
    video: DecodedVideo

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON has it, without the video."""
        return {
            "video_id": self.video_id,
            "targets": {state: ranks.tolist() for state, ranks in self.targets.items()},
            "unseen": {state: ranks.tolist() for state, ranks in self.unseen.items()},
            "change": asdict(self.change),
            "large_index": None if self.large_index is None else asdict(self.large_index),
            "disagreement": self.disagreement,
        }


def attack_video(
    victim: Victim,
    case: AttackCase,
    settings: PixelAttackSettings,
    goal: AttackGoal,
    *,
    attacker: VideoColBERTEncoder | None = None,
    defences: Sequence[str] = (),
    index_size: int | None = None,
) -> AttackOutcome:
    """Attacks one video and measures where it stands: before, after, as a file, and under the victim's defences.

    Args:
        victim: the search that is attacked.
        case: the video and its queries.
        settings: of the attack.
        goal: "promote" or "suppress".
        attacker: the model whose gradients are used; the victim's own by default.
        defences: names of those of the victim's defended galleries that are measured.
        index_size: videos of a large index in which its rank is estimated; None for no estimate.

    Raises:
        VideoDecodingError: the video cannot be decoded whole.
        EncodingError: the attacker was loaded in a number format without gradients.
    """
    attacker = attacker or victim.encoder
    texts = [victim.split.queries.texts[query] for query in case.targets]
    targets = attacker.encode_queries(texts, phrases=False)
    original = victim.read(case.video)
    attacked = attack_pixels(attacker, original, targets, settings, goal=goal).video
    written = written_and_decoded(attacked)

    def ranks_for(queries: list[int]) -> dict[str, npt.NDArray[np.float64]]:
        if not queries:
            return {}
        found = {
            BEFORE: victim.clean_ranks(case.video, queries, victim.clean_scores),
            AFTER: victim.ranks(case.video, queries, attacked),
            WRITTEN: victim.ranks(case.video, queries, written),
        }
        for name in defences:
            gallery = victim.galleries[name]
            found[defended_state(BEFORE, name)] = victim.clean_ranks(case.video, queries, gallery.scores)
            found[defended_state(AFTER, name)] = victim.ranks(case.video, queries, attacked, gallery.defence)
        return found

    has_both = {"frame", "video"} <= set(victim.encoder.model.config.score_levels)
    return AttackOutcome(
        video_id=victim.split.video_ids[case.video],
        targets=ranks_for(list(case.targets)),
        unseen=ranks_for(list(case.unseen)),
        change=perceptual_change(original.frames, attacked.frames),
        large_index=None
        if index_size is None
        else victim.large_index_rank(case.video, list(case.unseen or case.targets), attacked, index_size),
        disagreement=float(victim.disagreement([attacked])[0]) if has_both else None,
        video=attacked,
    )
