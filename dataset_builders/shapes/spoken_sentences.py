"""Sentences that are spoken, written and told in spoken shapes, and the queries that ask for them."""

from dataclasses import dataclass

import numpy as np

from .moving_shapes_scenes import COLOURS

# Common words that sound unlike each other, so that small models of speech know them.
# fmt: off
PEOPLE = (
    "baker", "teacher", "farmer", "doctor", "pilot", "sailor", "painter", "singer", "gardener", "soldier",
    "student", "nurse", "lawyer", "dancer", "hunter", "driver", "poet", "queen", "captain", "carpenter",
    "fisherman", "writer", "judge", "waiter",
)
VERBS = (
    "sells", "buys", "finds", "loses", "carries", "repairs", "hides", "breaks", "cleans", "steals", "studies",
    "brings", "washes", "borrows",
)
THINGS = (
    "bread", "piano", "violin", "bicycle", "lamp", "mirror", "carpet", "ladder", "basket", "clock", "blanket",
    "camera", "guitar", "hammer", "candle", "kettle", "pillow", "statue", "umbrella", "wallet", "helmet",
    "telescope", "drum", "letter",
)
PLACES = (
    "London", "Paris", "Berlin", "Madrid", "Vienna", "Moscow", "Cairo", "Tokyo", "Boston", "Chicago", "Mexico",
    "Sydney", "Athens", "Dublin", "Warsaw", "Rome", "Venice", "Prague", "Brazil", "Canada", "Norway", "Iceland",
    "Kenya", "India",
)
# fmt: on


@dataclass(frozen=True)
class Sentence:
    """Who does what to which thing, and where.

    Attributes:
        person: One of `PEOPLE`.
        verb: One of `VERBS`.
        colour: Colour of the thing, one of those that shapes have: colours alone do not tell where to look.
        thing: One of `THINGS`.
        place: One of `PLACES`.
    """

    person: str
    verb: str
    colour: str
    thing: str
    place: str

    @property
    def text(self) -> str:
        """The sentence as it is spoken, written or told."""
        return f"The {self.person} {self.verb} the {self.colour} {self.thing} in {self.place}."

    @property
    def query(self) -> str:
        """The sentence as somebody asks for it: the same words in another order."""
        return f"in {self.place} a {self.person} {self.verb} a {self.colour} {self.thing}"


def draw_sentences(number: int, rng: np.random.Generator) -> list[Sentence]:
    """Draws different sentences.

    Args:
        number: How many.
        rng: Source of everything.
    """
    sentences: dict[Sentence, None] = {}
    while len(sentences) < number:
        words = (str(rng.choice(words)) for words in (PEOPLE, VERBS, COLOURS, THINGS, PLACES))
        sentences[Sentence(*words)] = None
    return list(sentences)
