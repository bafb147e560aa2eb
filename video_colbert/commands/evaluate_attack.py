"""The part of `evaluate` that attacks a model's search and measures what is lost."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.model_arguments import load_encoder
from video_colbert.commands.arguments.numbers import positive_int
from video_colbert.console import ExitCode, write_result
from video_colbert.errors import DatasetError
from video_colbert.whole_files import write_whole

if TYPE_CHECKING:
    from video_colbert.evaluation.dataset_rows import DatasetRows
    from video_colbert.evaluation.robustness.attack_report import AttackReport
    from video_colbert.evaluation.robustness.query_attack import QueryAttackReport
    from video_colbert.evaluation.robustness.victim import Victim

ATTACKS = ("promote", "suppress", "words")

_OF_VIDEOS = {
    "attack_steps": "--attack-steps",
    "attack_frames": "--attack-frames",
    "attack_model": "--attack-model",
    "attack_defences": "--attack-defences",
    "attack_index_size": "--attack-index-size",
    "attack_videos": "--attack-videos",
    "attack_output": "--attack-output",
}
_OF_PROMOTION = {"attack_targets": "--attack-targets", "attack_topic": "--attack-topic"}
_OF_WORDS = {"attack_swaps": "--attack-swaps", "attack_queries": "--attack-queries"}
_OF_ALL = {"attack_budget": "--attack-budget", "attack_seed": "--attack-seed"}
# What an evaluation writes or counts that an attack does not.
_OTHER_ARGUMENTS: dict[str, object] = {
    "report": None,
    "compare": None,
    "cache_dir": None,
    "ties": "expected",
    "dual_softmax": False,
    "level_weights": {},
    "streaming": False,
}


def add_attack_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --attack and the arguments that go with it."""
    group = parser.add_argument_group("attacks", "what an attacker can do to the search (docs/robustness.md)")
    group.add_argument(
        "--attack",
        choices=ATTACKS,
        help="in place of recall: promote changes pixels of videos so that they rank high for queries that are not "
        "theirs; suppress so that their own captions no longer find them; words swaps words or letters of queries",
    )
    group.add_argument(
        "--attack-budget",
        type=positive_int,
        metavar="N",
        help="the most by which a value of a pixel changes, of 255 (default: 8); with words, swaps of a query "
        "(default: 1)",
    )
    group.add_argument("--attack-steps", type=positive_int, metavar="N", help="steps of gradient (default: 100)")
    group.add_argument(
        "--attack-frames",
        choices=["sampled", "all"],
        help="change the frames that the model samples, or every frame, which survives other sampling (default: "
        "sampled)",
    )
    group.add_argument(
        "--attack-videos", type=positive_int, metavar="N", help="videos to attack, drawn at random (default: 5)"
    )
    group.add_argument(
        "--attack-topic",
        metavar="WORDS",
        help="with promote: the queries that contain all these words; videos that answer one are not promoted "
        "(default: all queries)",
    )
    group.add_argument(
        "--attack-targets",
        metavar="N",
        help="with promote: queries of the topic that the attack is made for, drawn at random, or all; the others "
        "tell whether it holds for queries that it never saw (default: half of them, at most 20)",
    )
    group.add_argument(
        "--attack-model",
        metavar="ID",
        help="Hub id or folder of the model whose gradients are used: one of the same backbone (grey box) or any "
        "other (black box); by default --model itself (white box)",
    )
    group.add_argument(
        "--attack-defences",
        nargs="+",
        default=None,
        metavar="NAME",
        help="also measure under jpeg:QUALITY, h264:CRF, jitter, shuffle and median:VIEWS, by which the whole gallery "
        "is encoded then",
    )
    group.add_argument(
        "--attack-index-size",
        type=positive_int,
        metavar="N",
        help="also estimate ranks in an index of so many videos, of which the gallery is taken for a random sample",
    )
    group.add_argument("--attack-output", metavar="DIR", help="write the attacked videos here, as mp4 files")
    group.add_argument(
        "--attack-swaps", choices=["words", "letters"], help="with words: what is swapped (default: words)"
    )
    group.add_argument(
        "--attack-queries", type=positive_int, metavar="N", help="with words: queries to attack (default: all)"
    )
    group.add_argument("--attack-seed", type=int, metavar="N", help="seed of all that is drawn (default: 0)")


def refuse_attack_arguments(arguments: argparse.Namespace) -> None:
    """Refuses what belongs to an attack in an evaluation without one, and in an attack of another kind.

    Raises:
        DatasetError: there is such an argument; it is named.
    """
    kinds = {
        **dict.fromkeys(_OF_ALL, ATTACKS),
        **dict.fromkeys(_OF_VIDEOS, ("promote", "suppress")),
        **dict.fromkeys(_OF_PROMOTION, ("promote",)),
        **dict.fromkeys(_OF_WORDS, ("words",)),
    }
    flags = _OF_ALL | _OF_VIDEOS | _OF_PROMOTION | _OF_WORDS
    for name, takers in kinds.items():
        if getattr(arguments, name) is not None and arguments.attack not in takers:
            raise DatasetError(f"{flags[name]} goes with --attack {' or '.join(takers)}; leave it out")
    if arguments.attack is None:
        return
    if arguments.mteb is not None:
        raise DatasetError("--attack goes with --dataset, for an attack needs the videos themselves; leave --mteb out")
    for name, default in _OTHER_ARGUMENTS.items():
        if getattr(arguments, name) != default:
            raise DatasetError(f"--{name.replace('_', '-')} does not go with --attack; leave it out")
    if arguments.dtype not in ("auto", "float32") or arguments.backend != "torch":
        raise DatasetError("an attack needs gradients: leave --dtype and --backend out, or give float32 and torch")
    targets = arguments.attack_targets
    if targets not in (None, "all") and not (targets.isdecimal() and int(targets) > 0):
        raise DatasetError(f"--attack-targets is {targets!r}; it must be a whole number from 1, or all")


def run_attack(arguments: argparse.Namespace, rows: DatasetRows) -> int:
    """Attacks the search of a split; returns 3 if videos were missing or bad.

    Raises:
        DatasetError: there is nothing to attack, or an argument is out of range.
        VideoColBERTError: a model cannot be used.
    """
    encoder = load_encoder(argparse.Namespace(**{**vars(arguments), "dtype": "float32"}))

    from video_colbert.evaluation.robustness.attack_split import prepare_victim
    from video_colbert.processing import VideoDecodingError

    try:
        victim = prepare_victim(
            encoder,
            rows,
            batch_size=arguments.batch_size,
            threads=arguments.threads,
            seed=arguments.attack_seed or 0,
        )
        report = _of_words(arguments, victim) if arguments.attack == "words" else _of_videos(arguments, victim)
    except (ValueError, VideoDecodingError) as error:
        raise DatasetError(str(error)) from error
    write_result(repr(report))
    if arguments.output is not None:
        write_whole(Path(arguments.output), json.dumps(report.as_dict(), indent=2) + "\n")
    return ExitCode.SOME_BAD if victim.split.bad else ExitCode.OK


def _of_words(arguments: argparse.Namespace, victim: Victim) -> QueryAttackReport:
    from video_colbert.evaluation.robustness.query_attack import attack_queries

    return attack_queries(
        victim,
        kind=arguments.attack_swaps or "words",
        budget=arguments.attack_budget or 1,
        num_queries=arguments.attack_queries,
        seed=arguments.attack_seed or 0,
    )


def _of_videos(arguments: argparse.Namespace, victim: Victim) -> AttackReport:
    from video_colbert.evaluation.robustness.attack_cases import choose_cases
    from video_colbert.evaluation.robustness.attack_settings import PixelAttackSettings
    from video_colbert.evaluation.robustness.attack_split import attack_split

    settings = PixelAttackSettings(
        budget=arguments.attack_budget or 8,
        steps=arguments.attack_steps or 100,
        frames=arguments.attack_frames or "sampled",
        seed=arguments.attack_seed or 0,
    )
    cases = choose_cases(
        victim.split,
        arguments.attack,
        num_videos=arguments.attack_videos or 5,
        num_targets=_number_of_targets(arguments, victim),
        topic=arguments.attack_topic,
        seed=settings.seed,
    )
    attacker = None
    if arguments.attack_model is not None:
        named = {"model": arguments.attack_model, "revision": None, "dtype": "float32"}
        attacker = load_encoder(argparse.Namespace(**{**vars(arguments), **named}))
    return attack_split(
        victim,
        arguments.attack,
        settings,
        cases=cases,
        attacker=attacker,
        defences=arguments.attack_defences or (),
        index_size=arguments.attack_index_size,
        output_dir=None if arguments.attack_output is None else Path(arguments.attack_output),
    )


def _number_of_targets(arguments: argparse.Namespace, victim: Victim) -> int | None:
    from video_colbert.evaluation.robustness.attack_cases import default_targets

    if arguments.attack == "suppress" or arguments.attack_targets == "all":
        return None
    if arguments.attack_targets is not None:
        return int(arguments.attack_targets)
    return default_targets(victim.split, arguments.attack_topic)
