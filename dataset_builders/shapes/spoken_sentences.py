"""Sentences that are spoken, written and told in spoken shapes, and the queries that ask for them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .moving_shapes_scenes import COLOURS

# Common words that sound unlike each other, so that small models of speech know them, and beside each what somebody
# may say instead, none of whose words that matter is in any sentence.
PEOPLE = {
    "baker": "maker of cakes",
    "teacher": "school instructor",
    "farmer": "owner of cows and fields",
    "doctor": "physician",
    "pilot": "aviator",
    "sailor": "seaman",
    "painter": "visual artist",
    "singer": "vocalist",
    "gardener": "grower of flowers",
    "soldier": "army trooper",
    "student": "pupil at college",
    "nurse": "hospital carer",
    "lawyer": "attorney",
    "dancer": "ballerina",
    "hunter": "man who shoots deer",
    "driver": "chauffeur",
    "poet": "author of verses",
    "queen": "female monarch",
    "captain": "commander of a ship",
    "carpenter": "woodworker",
    "fisherman": "angler",
    "writer": "novelist",
    "judge": "magistrate",
    "waiter": "restaurant server",
}
VERBS = {
    "sells": "offers for money",
    "buys": "purchases",
    "finds": "discovers",
    "loses": "misplaces",
    "carries": "transports",
    "repairs": "fixes",
    "hides": "conceals",
    "breaks": "smashes",
    "cleans": "scrubs",
    "steals": "robs",
    "studies": "examines",
    "brings": "delivers",
    "washes": "rinses",
    "borrows": "takes on loan",
}
THINGS = {
    "bread": "loaf",
    "piano": "keyboard instrument",
    "violin": "fiddle",
    "bicycle": "bike",
    "lamp": "source of light",
    "mirror": "looking glass",
    "carpet": "rug",
    "ladder": "climbing frame",
    "basket": "wicker hamper",
    "clock": "timepiece",
    "blanket": "bed cover",
    "camera": "device for photographs",
    "guitar": "instrument of six strings",
    "hammer": "tool for nails",
    "candle": "stick of wax",
    "kettle": "vessel for boiling water",
    "pillow": "cushion",
    "statue": "sculpture",
    "umbrella": "parasol",
    "wallet": "purse",
    "helmet": "hard hat",
    "telescope": "instrument for watching stars",
    "drum": "percussion instrument",
    "letter": "piece of mail",
}
PLACES = {
    "London": "the British capital",
    "Paris": "the French capital",
    "Berlin": "the German capital",
    "Madrid": "the Spanish capital",
    "Vienna": "the Austrian capital",
    "Moscow": "the Russian capital",
    "Cairo": "the Egyptian capital",
    "Tokyo": "the Japanese capital",
    "Boston": "the largest city of Massachusetts",
    "Chicago": "the largest city of Illinois",
    "Mexico": "the land of the Aztecs",
    "Sydney": "the largest Australian city",
    "Athens": "the Greek capital",
    "Dublin": "the Irish capital",
    "Warsaw": "the Polish capital",
    "Rome": "the Italian capital",
    "Venice": "the city of gondolas",
    "Prague": "the Czech capital",
    "Brazil": "the land of the Amazon",
    "Canada": "the land of the maple leaf",
    "Norway": "the land of the fjords",
    "Iceland": "the island of geysers",
    "Kenya": "the land around Nairobi",
    "India": "the land around Delhi",
}
# fmt: off
FIRST_NAMES = (
    "Oliver", "Emma", "Thomas", "Sarah", "David", "Laura", "Peter", "Anna", "Robert", "Julia", "Michael", "Hannah",
    "George", "Alice", "Henry", "Martha", "Daniel", "Rachel", "Victor", "Nancy", "Edward", "Sophie", "Martin",
    "Rebecca", "Charles", "Barbara", "Samuel", "Linda", "Patrick", "Susan", "William", "Helen", "Joseph", "Diana",
    "Albert", "Monica", "Simon", "Olivia", "Frank", "Teresa",
)
SURNAMES = (
    "Johnson", "Miller", "Wilson", "Anderson", "Morgan", "Jackson", "Harris", "Robinson", "Walker", "Campbell",
    "Mitchell", "Sullivan", "Phillips", "Evans", "Turner", "Parker", "Collins", "Thompson", "Stewart", "Morris",
    "Murphy", "Cooper", "Richardson", "Bennett", "Hamilton", "Kennedy", "Gibson", "Marshall", "Henderson", "Reynolds",
    "Crawford", "Ferguson", "Douglas", "Fletcher", "Spencer", "Webster", "Newton", "Lambert", "Bradley", "Wallace",
)
# fmt: on
MOST_NAMES = len(FIRST_NAMES) * len(SURNAMES)


@dataclass(frozen=True)
class Sentence:
    """Who does what to which thing, and where.

    Attributes:
        person: One of `PEOPLE`, or a first name and a surname.
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
    def has_name(self) -> bool:
        """Whether it is of somebody with a name."""
        return self.person not in PEOPLE

    @property
    def text(self) -> str:
        """The sentence as it is spoken, written or told."""
        subject = self.person if self.has_name else f"The {self.person}"
        return f"{subject} {self.verb} the {self.colour} {self.thing} in {self.place}."

    @property
    def query(self) -> str:
        """The sentence as somebody asks for it: the exact name if it has one, otherwise other words.

        Of the sentence's words the latter has the colour alone, which pictures have too.
        """
        if self.has_name:
            return self.person
        person, verb = PEOPLE[self.person], VERBS[self.verb]
        article = "an" if person[0] in "aeiou" else "a"
        return f"in {PLACES[self.place]}, {article} {person} {verb} a {self.colour} {THINGS[self.thing]}"


def draw_sentences(rng: np.random.Generator) -> Iterator[Sentence]:
    """Draws different sentences of people without names, without an end.

    Args:
        rng: Source of everything.
    """
    seen: set[Sentence] = set()
    while True:
        sentence = _draw(str(rng.choice(list(PEOPLE))), rng)
        if sentence not in seen:
            seen.add(sentence)
            yield sentence


def draw_named_sentences(rng: np.random.Generator) -> Iterator[Sentence]:
    """Draws `MOST_NAMES` sentences of people with names, no two of whom have the same one.

    Args:
        rng: Source of everything.
    """
    for number in rng.permutation(MOST_NAMES):
        first, last = divmod(int(number), len(SURNAMES))
        yield _draw(f"{FIRST_NAMES[first]} {SURNAMES[last]}", rng)


def _draw(person: str, rng: np.random.Generator) -> Sentence:
    verb, colour, thing, place = (str(rng.choice(list(words))) for words in (VERBS, COLOURS, THINGS, PLACES))
    return Sentence(person, verb, colour, thing, place)
