"""What is measured of one seed's models, each measure kept in a file, so that an interrupted run goes on.

With a measure is kept what it was made with; one of other settings or of other models is measured again.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from demo import rows_of
from demo_checkpoint import load_demo_encoder
from robustness_fingerprint import clips_settings, fingerprint, weights_digest
from robustness_models import DEMO_SEED, SAMPLE, SeedModels, model_settings, sample_files

from video_colbert import VideoColBERTEncoder
from video_colbert.dataset_builders.shapes.moving_shapes_scenes import COLOURS, SHAPES
from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.encoding.level_scores import pad_levels
from video_colbert.evaluation.dataset_rows import DatasetRows
from video_colbert.evaluation.robustness.attack_cases import AttackCase, choose_cases
from video_colbert.evaluation.robustness.attack_settings import PixelAttackSettings
from video_colbert.evaluation.robustness.attack_split import attack_split, prepare_victim
from video_colbert.evaluation.robustness.query_attack import attack_queries
from video_colbert.evaluation.robustness.victim import Victim

TOPICS = 8
"""Topics of a seed, each with one promoted video."""

SUPPRESSED = 10
INDEX_SIZE = 1_000_000
DEFENCES = ("jpeg:75", "jpeg:30", "h264:28", "h264:36", "jitter", "shuffle", "median:5")


@dataclass(frozen=True)
class Measure:
    """One attack on the promoted videos of a seed.

    Attributes:
        settings: of the attack.
        attacker: "victim", "other_head" or "other_seed": whose gradients are used.
        victim: "victim" or "hardened": who is attacked.
        defences: under which the outcome is measured too.
    """

    settings: dict[str, Any]
    attacker: str = "victim"
    victim: str = "victim"
    defences: Sequence[str] = field(default=())


MEASURES = {
    "white_8": Measure({"budget": 8}, defences=DEFENCES),
    "white_4": Measure({"budget": 4}),
    "white_12": Measure({"budget": 12}),
    "white_16": Measure({"budget": 16}),
    "all_frames_8": Measure({"budget": 8, "frames": "all", "steps": 200}, defences=DEFENCES),
    "grey_8": Measure({"budget": 8}, attacker="other_head"),
    "grey_16": Measure({"budget": 16}, attacker="other_head"),
    "black_8": Measure({"budget": 8}, attacker="other_seed"),
    "black_16": Measure({"budget": 16}, attacker="other_seed"),
    "hardened_8": Measure({"budget": 8}, attacker="hardened", victim="hardened"),
}
"""Of every seed."""

VARIANTS = {
    "plain_8": Measure({"budget": 8, "refined": False}),
    "plain_all_frames_8": Measure({"budget": 8, "refined": False, "frames": "all", "steps": 200}),
    "steps_50": Measure({"budget": 8, "steps": 50}),
    "steps_200": Measure({"budget": 8, "steps": 200}),
}
"""Of the demo's seed alone."""


SUPPRESSION: dict[str, Any] = {"budget": 8}
"""Settings of the attack that is to bury videos."""

SWAPS = {f"{kind}_{budget}": (kind, budget) for kind in ("words", "letters") for budget in (1, 2)}
"""Of what and of how many, by the name of the measure."""


def settings_of(seed: int) -> dict[str, dict[str, Any]]:
    """What each measure of a seed is made with, by its name."""
    found: dict[str, dict[str, Any]] = {}
    for name, measure in (MEASURES | (VARIANTS if seed == DEMO_SEED else {})).items():
        found[name] = {
            "goal": "promote",
            "attack": asdict(PixelAttackSettings(seed=seed, **measure.settings)),
            "attacker": measure.attacker,
            "attacked": measure.victim,
            "defences": [*measure.defences],
            "topics": TOPICS,
            "index_size": INDEX_SIZE,
            "sample": clips_settings(SAMPLE),
            # The promoted videos are chosen by the victim, whoever is attacked.
            "models": _models_of({"victim", measure.attacker, measure.victim}, seed),
        }
    found["suppress_8"] = {
        "goal": "suppress",
        "attack": asdict(PixelAttackSettings(seed=seed, **SUPPRESSION)),
        "videos": SUPPRESSED,
        "index_size": INDEX_SIZE,
        "sample": clips_settings(SAMPLE),
        "models": _models_of({"victim"}, seed),
    }
    for name, (kind, budget) in SWAPS.items():
        found[name] = {"swapped": kind, "budget": budget, "seed": seed, "models": _models_of({"victim"}, seed)}
    return found


def _models_of(names: Collection[str], seed: int) -> dict[str, Any]:
    return {name: model_settings(name, seed) for name in sorted(names)}


class SeedMeasures:
    """All measures of one seed.

    Args:
        output: folder of the clips, and of what is kept.
        seed: of the models and of what is drawn.
        models: its checkpoints.
        other_seed: a victim trained from other weights.
    """

    def __init__(self, output: Path, seed: int, models: SeedModels, other_seed: Path) -> None:
        self._folder = output / f"seed_{seed}" / "measures"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._output, self._seed = output, seed
        self._paths = {
            "victim": models.victim,
            "hardened": models.hardened,
            "other_head": models.other_head,
            "other_seed": other_seed,
        }
        self._encoders: dict[str, VideoColBERTEncoder] = {}
        self._victims: dict[str, Victim] = {}

    def all(self) -> dict[str, Any]:
        """Every measure by its name; what is kept is read."""
        measures = MEASURES | (VARIANTS if self._seed == DEMO_SEED else {})
        ways: dict[str, Callable[[], dict[str, Any]]] = {
            name: partial(self._attacked, measure) for name, measure in measures.items()
        }
        ways["suppress_8"] = self._suppressed
        ways |= {name: partial(self._swapped, *swapped) for name, swapped in SWAPS.items()}
        return {name: self._kept(name, settings, ways[name]) for name, settings in settings_of(self._seed).items()}

    def cases(self) -> list[AttackCase]:
        """The promoted videos: for each of some topics one that half of the unseen queries have behind N / 3.

        A topic is a shape in a colour. Half of its queries are targets. All models of a seed are attacked on the same
        videos.
        """
        victim = self._victim("victim")
        rng = np.random.default_rng(self._seed)
        actors = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
        topics = [actors[number] for number in rng.permutation(len(actors))[:TOPICS]]
        return [case for topic in topics if (case := self._case(victim, topic, rng)) is not None]

    def _case(self, victim: Victim, topic: str, rng: np.random.Generator) -> AttackCase | None:
        """A video far behind for the queries of a topic; None where there is none."""
        texts = victim.split.queries.texts
        queries = rng.permutation([number for number, text in enumerate(texts) if f"a {topic} " in text])
        targets, unseen = (np.sort(part).tolist() for part in np.split(queries, [len(queries) // 2]))
        positives = np.asarray(victim.split.positives)
        for video in rng.permutation(np.setdiff1d(np.arange(len(victim.clips)), positives[queries])):
            ranks = victim.clean_ranks(int(video), unseen, victim.clean_scores)
            if np.median(ranks) > len(victim.clips) / 3:
                return AttackCase(int(video), targets, unseen)
        return None

    def _kept(self, name: str, settings: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        path = self._folder / f"{name}.json"
        made_with = {
            "fingerprint": fingerprint(settings),
            "weights": {model: weights_digest(self._paths[model]) for model in settings["models"]},
        }
        if path.exists():
            kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if all(kept.get(key) == value for key, value in made_with.items()):
                return kept
            print(f"seed {self._seed}: {name} was measured with other settings or models", flush=True)
        print(f"seed {self._seed}: {name}", flush=True)
        # As it is read later: what JSON makes of numbers.
        found: dict[str, Any] = json.loads(json.dumps(measure() | made_with))
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(found), encoding="utf-8")
        unfinished.replace(path)
        return found

    def _attacked(self, measure: Measure) -> dict[str, Any]:
        report = attack_split(
            self._victim(measure.victim),
            "promote",
            PixelAttackSettings(seed=self._seed, **measure.settings),
            cases=self.cases(),
            attacker=None if measure.attacker == measure.victim else self._encoder(measure.attacker),
            defences=measure.defences,
            index_size=INDEX_SIZE,
        )
        return report.as_dict() | {"clean_disagreement": report.clean_disagreement.tolist()}

    def _suppressed(self) -> dict[str, Any]:
        victim = self._victim("victim")
        cases = choose_cases(victim.split, "suppress", num_videos=SUPPRESSED, num_targets=None, seed=self._seed)
        settings = PixelAttackSettings(seed=self._seed, **SUPPRESSION)
        return attack_split(victim, "suppress", settings, cases=cases, index_size=INDEX_SIZE).as_dict()

    def _swapped(self, kind: Any, budget: int) -> dict[str, Any]:
        return attack_queries(self._victim("victim"), kind=kind, budget=budget, seed=self._seed).as_dict()

    def _encoder(self, name: str) -> VideoColBERTEncoder:
        if name not in self._encoders:
            self._encoders[name] = load_demo_encoder(self._paths[name])
        return self._encoders[name]

    def _victim(self, name: str) -> Victim:
        if name not in self._victims:
            encoder = self._encoder(name)
            rows = DatasetRows("moving_shapes", "test", rows_of(self._output / "clips" / "test"))
            victim = prepare_victim(encoder, rows, seed=self._seed)
            videos = encoder.encode_videos(map(str, sample_files(self._output)))
            sample = pad_levels([video for video in videos if isinstance(video, EncodedVideo)])
            self._victims[name] = Victim(encoder, victim.split, victim.clips, self._seed, sample=sample)
        return self._victims[name]
