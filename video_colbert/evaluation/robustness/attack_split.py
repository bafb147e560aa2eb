"""An attack on a data set: from rows and settings to a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.dataset_rows import DatasetRows
from video_colbert.evaluation.encoded_split import encode_rows, encode_split
from video_colbert.evaluation.robustness.attack_cases import AttackCase, choose_cases, default_targets
from video_colbert.evaluation.robustness.attack_report import AttackReport
from video_colbert.evaluation.robustness.attack_settings import AttackGoal, PixelAttackSettings
from video_colbert.evaluation.robustness.defences import defence_of
from video_colbert.evaluation.robustness.victim import Victim
from video_colbert.evaluation.robustness.video_attack import AttackOutcome, attack_video
from video_colbert.evaluation.robustness.written_video import write_video
from video_colbert.progress import progress_bar


def prepare_victim(
    encoder: VideoColBERTEncoder, rows: DatasetRows, *, batch_size: int = 32, threads: int | None = None, seed: int = 0
) -> Victim:
    """Encodes the gallery and the queries of a split that is to be attacked.

    Args:
        encoder: the model.
        rows: the split.
        batch_size: videos, or captions, that go through the model together.
        threads: decoding threads.
        seed: of what defences draw.

    Raises:
        ValueError: no video could be encoded, or there is no caption.
    """
    videos = encode_rows(encoder, rows.rows, batch_size=batch_size, threads=threads, progress=True)
    split = encode_split(encoder, rows.rows, videos=videos, batch_size=batch_size)
    clips = [video.clip for video in videos if isinstance(video, EncodedVideo)]
    return Victim(encoder, split, clips, seed)


def attack_split(
    victim: Victim,
    goal: AttackGoal = "promote",
    settings: PixelAttackSettings | None = None,
    *,
    cases: Sequence[AttackCase] | None = None,
    attacker: VideoColBERTEncoder | None = None,
    defences: Sequence[str] = (),
    index_size: int | None = None,
    output_dir: Path | None = None,
) -> AttackReport:
    """Attacks videos of a gallery, one after another, and reports where they stand then.

    Args:
        victim: the search, as `prepare_victim` makes it.
        goal: "promote" or "suppress".
        settings: of the attack.
        cases: the videos and their queries; by default five videos, as `choose_cases` draws them, each for half of the
            queries at most 20.
        attacker: the model whose gradients are used: the victim's own by default (white box); one of the same backbone
            (grey box) or any other (black box).
        defences: names that `defence_of` knows; the gallery and the attacked videos are encoded under each.
        index_size: videos of a large index in which ranks are estimated.
        output_dir: where the attacked videos are written, as mp4 files named by their ids; made if need be.

    Raises:
        ValueError: there is no such defence, nothing to attack, or the index is smaller than the gallery.
        VideoDecodingError: a video cannot be decoded whole.
        EncodingError: the attacker was loaded in a number format without gradients.

    Example:
        >>> from video_colbert.evaluation.dataset_rows import load_rows
        >>> victim = prepare_victim(encoder, load_rows("msrvtt", data_dir="MSRVTT"))
        >>> report = attack_split(victim, "promote", PixelAttackSettings(budget=4, steps=2))
        >>> list(report.figures("targets"))
        ['before', 'after', 'written as mp4']
    """
    settings = settings or PixelAttackSettings()
    if cases is None:
        number = default_targets(victim.split) if goal == "promote" else None
        cases = choose_cases(victim.split, goal, num_videos=5, num_targets=number, seed=settings.seed)
    asked = [defence_of(name) for name in defences]
    names = list(dict.fromkeys(defence.name for defence in asked))
    victim.defend(asked)
    outcomes: list[AttackOutcome] = []
    for case in progress_bar(cases, desc=f"attack, {goal}", unit="video"):
        outcome = attack_video(victim, case, settings, goal, attacker=attacker, defences=names, index_size=index_size)
        outcomes.append(outcome)
        if output_dir is not None:
            output_dir.mkdir(parents=True, exist_ok=True)
            write_video(outcome.video, output_dir / f"{Path(outcome.video_id).stem}.mp4")
    has_levels = all(outcome.disagreement is not None for outcome in outcomes)
    return AttackReport(
        model=str(victim.encoder.reference),
        attack_model=None if attacker is None else str(attacker.reference),
        goal=goal,
        settings=settings,
        gallery=len(victim.clips),
        recall={"none": victim.recall(victim.clean_scores)} | {name: victim.galleries[name].recall for name in names},
        outcomes=outcomes,
        clean_disagreement=victim.disagreement() if has_levels else np.zeros(0),
    )
