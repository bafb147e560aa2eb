"""Moving shapes: short H.264 clips of coloured shapes whose captions cannot be told from one frame.

A clip shows one or two actors (a colour and a shape) that move, grow or shrink, alone, at the same time
("and") or one after the other ("then"). The scenes of the validation and test splits, and everything made
of the same frames, are absent from training, while all words and actors are present.

The `twins` split holds pairs of clips with **the same frames in another order** and different captions: run
backwards ("moves left" and "moves right"), or with the halves exchanged ("A then B" and "B then A"). The
decoded frames are equal to the pixel, also after uniform sampling, so a model that looks at the frames one
by one cannot do better than chance on them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np

from .moving_shapes_clips import ClipPlan, generate_clip
from .moving_shapes_scenes import Partition, Scene, partition_scenes

SPLITS = ("train", "validation", "test", "twins")
CLIPS_PER_SHARD = 64


@dataclass
class MovingShapesConfig(datasets.BuilderConfig):
    """How many clips of what size to make; equal configurations give equal files.

    Attributes:
        seed: Seed of everything that varies.
        num_train: Clips in the training split; above the number of scenes, scenes come again with other
            lanes, sizes and speeds.
        num_validation: Clips in the validation split, with distinct captions.
        num_test: Clips in the test split, with distinct captions.
        num_twin_pairs: Pairs in the `twins` split, of scenes held out from training.
        image_size: Side of the square frames, in pixels; even.
        num_frames: Frames of a clip. Four times an odd number (12, 20, 28 ...), which makes the middles of
            any multiple of 4 uniform segments the same frames for both twins.
        fps: Frames a second.
        actors: Largest number of actors in a clip, 1 or 2.
        held_out_share: Share of the scenes that is kept from training, half of it for validation and half
            for test and twins.
    """

    seed: int = 0
    num_train: int = 2000
    num_validation: int = 100
    num_test: int = 200
    num_twin_pairs: int = 100
    image_size: int = 64
    num_frames: int = 20
    fps: int = 10
    actors: int = 2
    held_out_share: float = 0.2

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ValueError: A field is out of its range; the message names it.
        """
        super().__post_init__()
        if self.actors not in (1, 2):
            raise ValueError(f"actors must be 1 or 2, got {self.actors!r}")
        if self.num_frames % 8 != 4:
            raise ValueError(
                f"num_frames must be four times an odd number, such as 12, 20 or 28, got {self.num_frames}: "
                "only then do uniformly sampled twins hold the same frames"
            )
        if self.image_size < 16 or self.image_size % 2:
            raise ValueError(f"image_size must be even and at least 16, got {self.image_size}")
        if self.fps < 1:
            raise ValueError(f"fps must be at least 1, got {self.fps}")
        if not 0 < self.held_out_share < 1:
            raise ValueError(f"held_out_share must lie between 0 and 1, got {self.held_out_share}")
        for field in ("seed", "num_train", "num_validation", "num_test", "num_twin_pairs"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field} must not be negative, got {getattr(self, field)}")


def draw_scenes(
    config: MovingShapesConfig, partition: Partition, number: int, rng: np.random.Generator, *, repeat: bool
) -> list[Scene]:
    """Draws scenes of a partition, the relations in turn as long as each has any left.

    Args:
        config: The configuration.
        partition: Which scenes to draw from.
        number: How many.
        rng: Source of the order.
        repeat: Whether to begin again when a relation is used up; otherwise no two scenes drawn mean the
            same ("A and B" and "B and A" count as one).

    Returns:
        The scenes.

    Raises:
        ValueError: There are fewer scenes than asked for.
    """
    pools = []
    for scenes in partition_scenes(config.actors, config.seed, config.held_out_share)[partition].values():
        shuffled = [scenes[i] for i in rng.permutation(len(scenes))]
        pools.append(shuffled if repeat else list({scene.identity: scene for scene in shuffled}.values()))
    available = sum(len(pool) for pool in pools)
    if number and (available == 0 or (not repeat and number > available)):
        raise ValueError(
            f"{number} clips with distinct captions were asked for, but the {partition} partition has "
            f"{available} scenes with actors={config.actors} and held_out_share={config.held_out_share}"
        )
    drawn: list[Scene] = []
    turn = 0
    while len(drawn) < number:
        for pool in pools:
            if len(drawn) < number and pool and (repeat or turn < len(pool)):
                drawn.append(pool[turn % len(pool)])
        turn += 1
    return drawn


def plan_clips(config: MovingShapesConfig, split: str) -> list[ClipPlan]:
    """Decides what every clip of a split shows.

    Args:
        config: The configuration.
        split: "train", "validation", "test" or "twins".

    Returns:
        The plans; in "twins", the two of a pair follow each other.

    Raises:
        ValueError: An unknown split, or more clips than there are distinct captions.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    stream = SPLITS.index(split)
    rng = np.random.default_rng([config.seed, stream])
    if split == "train":
        scenes = draw_scenes(config, "train", config.num_train, rng, repeat=True)
    elif split == "validation":
        scenes = draw_scenes(config, "validation", config.num_validation, rng, repeat=False)
    elif split == "test":
        scenes = draw_scenes(config, "test", config.num_test, rng, repeat=False)
    else:
        return plan_twins(config, rng)
    return [
        ClipPlan(
            f"{split}_{i:06d}",
            scene,
            (config.seed, stream, i),
            config.num_frames,
            config.image_size,
            config.fps,
        )
        for i, scene in enumerate(scenes)
    ]


def plan_twins(config: MovingShapesConfig, rng: np.random.Generator) -> list[ClipPlan]:
    """Decides what every pair of twins shows; no two pairs are made of the same scenes."""
    families = partition_scenes(config.actors, config.seed, config.held_out_share)["test"]
    available = sum(len({frozenset((s.identity, s.twin.identity)) for s in scenes}) for scenes in families.values())
    if config.num_twin_pairs > available:
        raise ValueError(
            f"num_twin_pairs is {config.num_twin_pairs}, but the held-out scenes make {available} pairs with "
            f"actors={config.actors} and held_out_share={config.held_out_share}"
        )
    # Twice as many scenes as pairs always hold enough pairs, for no more than two scenes make one.
    everything = sum(len({s.identity for s in scenes}) for scenes in families.values())
    number = min(2 * config.num_twin_pairs, everything)
    pairs: dict[frozenset[Scene], Scene] = {}
    for scene in draw_scenes(config, "test", number, rng, repeat=False):
        pairs.setdefault(frozenset((scene.identity, scene.twin.identity)), scene)
    stream = SPLITS.index("twins")
    plans = []
    for i, scene in enumerate(list(pairs.values())[: config.num_twin_pairs]):
        one, other = f"twins_{i:06d}_a", f"twins_{i:06d}_b"
        settings = ((config.seed, stream, i), config.num_frames, config.image_size, config.fps)
        plans.append(ClipPlan(one, scene, *settings, twin_id=other))
        plans.append(ClipPlan(other, scene.twin, *settings, twin_id=one, reordered=True))
    return plans


class MovingShapes(datasets.GeneratorBasedBuilder):
    """Moving shapes as a data set: one row a clip, the file's bytes inside.

    Args and configuration are those of `MovingShapesConfig`. Rows hold `video_id`, `video` (`path` is a
    file name, `bytes` the mp4 file), `captions` (one), `start` and `end` (null: the whole clip) and
    `twin_id` (null outside the `twins` split).
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = MovingShapesConfig

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description="Clips of moving shapes whose captions cannot be told from one frame.",
            features=datasets.Features(
                {
                    "video_id": datasets.Value("string"),
                    "video": datasets.Video(decode=False),
                    "captions": [datasets.Value("string")],
                    "start": datasets.Value("float64"),
                    "end": datasets.Value("float64"),
                    "twin_id": datasets.Value("string"),
                }
            ),
        )

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        generators = []
        for split in SPLITS:
            plans = plan_clips(self.config, split)
            if plans:
                # A list of lists is what several processes share out.
                batches = [plans[i : i + CLIPS_PER_SHARD] for i in range(0, len(plans), CLIPS_PER_SHARD)]
                generators.append(datasets.SplitGenerator(name=split, gen_kwargs={"batches": batches}))
        return generators

    def _generate_examples(self, batches: list[list[ClipPlan]]) -> Iterator[tuple[Any, dict[str, Any]]]:
        for batch in batches:
            for plan in batch:
                yield (
                    plan.video_id,
                    {
                        "video_id": plan.video_id,
                        "video": {"path": f"{plan.video_id}.mp4", "bytes": generate_clip(plan)},
                        "captions": [plan.scene.caption],
                        "start": None,
                        "end": None,
                        "twin_id": plan.twin_id,
                    },
                )
