"""What happens in a moving-shapes clip, in words: scenes, captions, twins and the split of the scenes."""

import functools
import hashlib
import itertools
from dataclasses import dataclass
from typing import Literal

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = ("red", "green", "blue", "yellow", "purple", "cyan")
# Each motion and what it looks like when the film runs backwards.
REVERSED_MOTION = {
    "moves left": "moves right",
    "moves right": "moves left",
    "moves up": "moves down",
    "moves down": "moves up",
    "grows": "shrinks",
    "shrinks": "grows",
}
MOTIONS = tuple(REVERSED_MOTION)

Relation = Literal["alone", "and", "then"]
Partition = Literal["train", "validation", "test"]


@dataclass(frozen=True, order=True)
class Action:
    """One actor doing one thing.

    Attributes:
        colour: One of `COLOURS`.
        shape: One of `SHAPES`.
        motion: One of `MOTIONS`.
    """

    colour: str
    shape: str
    motion: str

    @property
    def actor(self) -> str:
        """The actor as a noun phrase, such as "a red circle"."""
        return f"a {self.colour} {self.shape}"

    def reversed(self) -> "Action":
        """The same actor seen backwards in time."""
        return Action(self.colour, self.shape, REVERSED_MOTION[self.motion])


@dataclass(frozen=True, order=True)
class Scene:
    """One or two actions and how they relate in time.

    Attributes:
        relation: "alone" for one action; "and" for two at the same time, both actors visible throughout;
            "then" for two one after the other, each actor visible only while it acts.
        actions: The actions, in the order in which the caption names them.
    """

    relation: Relation
    actions: tuple[Action, ...]

    @property
    def caption(self) -> str:
        """The scene in words."""
        first, *rest = self.actions
        caption = f"{first.actor} {first.motion}"
        for action in rest:
            same_actor = action.actor == first.actor
            caption += f" {self.relation} " + (action.motion if same_actor else f"{action.actor} {action.motion}")
        return caption

    @property
    def identity(self) -> "Scene":
        """The scene itself, with the actions of an "and" scene sorted: their order tells nothing apart."""
        return Scene("and", tuple(sorted(self.actions))) if self.relation == "and" else self

    def reversed(self) -> "Scene":
        """The scene when its frames are shown from last to first."""
        actions = tuple(action.reversed() for action in self.actions)
        return Scene(self.relation, actions[::-1] if self.relation == "then" else actions)

    def swapped(self) -> "Scene":
        """A "then" scene with its halves exchanged: the same actions in the other order."""
        return Scene(self.relation, self.actions[::-1])

    @property
    def twin(self) -> "Scene":
        """The scene that holds the same frames in another order.

        "then" scenes exchange their halves, so that only the order of events tells the twins apart; the
        others run backwards, so that only the direction of the motion does.
        """
        return self.swapped() if self.relation == "then" else self.reversed()

    @property
    def family(self) -> "Scene":
        """One representative of all scenes that can be made of the same frames."""
        relatives = {self, self.reversed()}
        if self.relation == "then":
            relatives |= {scene.swapped() for scene in relatives}
        return min(scene.identity for scene in relatives)


def all_scenes(actors: int) -> dict[Relation, list[Scene]]:
    """Lists every scene with up to that many different actors.

    Args:
        actors: 1 or 2. With one actor, a "then" scene is one actor doing two things.

    Returns:
        The scenes of each relation, in a fixed order.

    Raises:
        ValueError: `actors` is neither 1 nor 2.
    """
    if actors not in (1, 2):
        raise ValueError(f"actors must be 1 or 2, got {actors!r}")
    cast = list(itertools.product(COLOURS, SHAPES))
    alone = [Scene("alone", (Action(*actor, motion),)) for actor in cast for motion in MOTIONS]
    if actors == 1:
        then = [
            Scene("then", (Action(*actor, first), Action(*actor, second)))
            for actor in cast
            for first, second in itertools.permutations(MOTIONS, 2)
        ]
        return {"alone": alone, "then": then}
    pairs = [
        (Action(*one, first), Action(*other, second))
        for one, other in itertools.permutations(cast, 2)
        for first, second in itertools.product(MOTIONS, repeat=2)
    ]
    return {
        "alone": alone,
        "and": [Scene("and", pair) for pair in pairs],
        "then": [Scene("then", pair) for pair in pairs],
    }


def partition_of(scene: Scene, seed: int, held_out_share: float) -> Partition:
    """Says to which split a scene belongs: a function of its family and the seed alone.

    A family is never divided, so the twin of a held-out scene is held out too. Validation and test each
    get half of the held-out share.

    Args:
        scene: The scene.
        seed: The seed of the data set.
        held_out_share: Share of the families, between 0 and 1, that training never sees.

    Returns:
        "train", "validation" or "test".
    """
    digest = hashlib.blake2b(f"{seed}/{scene.family.caption}".encode(), digest_size=8).digest()
    position = int.from_bytes(digest, "big") / 2**64
    if position < held_out_share / 2:
        return "test"
    return "validation" if position < held_out_share else "train"


@functools.lru_cache(maxsize=8)
def partition_scenes(
    actors: int, seed: int, held_out_share: float
) -> dict[Partition, dict[Relation, tuple[Scene, ...]]]:
    """Divides all scenes among the partitions; see `all_scenes` and `partition_of`."""
    partitions: dict[Partition, dict[Relation, list[Scene]]] = {"train": {}, "validation": {}, "test": {}}
    for relation, scenes in all_scenes(actors).items():
        for partition in partitions.values():
            partition[relation] = []
        for scene in scenes:
            partitions[partition_of(scene, seed, held_out_share)][relation].append(scene)
    return {
        name: {relation: tuple(scenes) for relation, scenes in partition.items()}
        for name, partition in partitions.items()
    }
