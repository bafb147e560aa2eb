"""A spoken clip and a slide among fifty videos, read, encoded and found by real models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.index.made_videos import MODEL, make_video
from tests.text.made_media import RATE, write_media
from tests.text.real_models import minilm_folder, speak, whisper_folder
from tests.text.test_screen_text import slide, write_slides
from video_colbert.encoding.hits import SearchHit
from video_colbert.index import Index, LanceIndex
from video_colbert.index.passages.encode_passages import encode_passages
from video_colbert.index.passages.reading_store import Reading
from video_colbert.text.passages import Passage, PassageReader
from video_colbert.text.screen_text import ScreenTextReader
from video_colbert.text.speech import SpeechReader
from video_colbert.text.text_model import TextModel

SPOKEN = "Photosynthesis turns sunlight into sugar inside green plants."
SPOKEN_AT, SHOWN_AT = 5.0, 3.0
# What is said in the other videos, five of them of energy or plants.
OTHERS = [
    "The power station burns coal to heat water.",
    "Wind turbines spin faster near the coast.",
    "Solar panels on the roof charge the battery.",
    "Roses need pruning before the spring comes.",
    "A cactus stores water for the dry season.",
    "The committee postponed the vote until Thursday.",
    "Our train departs from platform nine.",
    "She tuned the violin before the concert.",
    "The goalkeeper saved two penalties.",
    "Whisk the eggs and fold in the flour.",
    "Interest rates rose for the third month.",
    "The surgeon washed her hands carefully.",
    "Penguins huddle together against the cold.",
    "He painted the fence white last summer.",
    "The museum opens at ten on Sundays.",
    "Volcanoes form where plates collide.",
    "Please fasten your seat belts for landing.",
    "The novel ends with a surprising letter.",
    "Their daughter learned to ride a bicycle.",
    "A glacier carved this valley long ago.",
    "The bakery sells rye bread on Fridays.",
    "Astronauts repaired the telescope in orbit.",
    "The judge dismissed the case yesterday.",
    "Children built castles on the beach.",
    "The new bridge carries two lanes of traffic.",
    "Honey bees dance to show direction.",
    "The printer is out of paper again.",
    "Sailors once steered by the stars.",
    "The orchestra rehearses in the old hall.",
    "A carpenter measures twice and cuts once.",
    "The river flooded the lower town.",
    "Chess clubs meet on Wednesday evenings.",
    "The vaccine protects against measles.",
    "Archaeologists found a bronze helmet.",
    "He forgot his umbrella on the bus.",
    "The airline lost two suitcases.",
    "Tea was traded along mountain roads.",
    "The comedian made the audience laugh.",
    "An elevator stopped between two floors.",
    "Farmers sell cheese at the market.",
    "The library lends films and games.",
    "A detective questioned the gardener.",
    "The marathon route crosses the harbour.",
    "Engineers tested the brakes in snow.",
    "The poet read from her first book.",
    "Lightning struck the church tower.",
    "The landlord raised the rent in May.",
    "Divers explored a sunken ship.",
    "The recipe calls for fresh basil.",
]


def read(reader: PassageReader, film: Path, digest: str) -> Reading:
    found = reader.read(str(film))
    assert found.problem is None
    return Reading(digest, reader.source, reader.settings_of(str(film)), tuple(found.passages))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("index")
    silence = np.zeros(int(SPOKEN_AT * RATE), np.float32)
    film = write_media(folder / "spoken.mp4", seconds=1.0, sound=np.concatenate([silence, speak(SPOKEN, folder)]))
    slides = write_slides(folder / "slide.mp4", [slide(), slide("Invoice of Zanzibar", "4711")], seconds=3)
    said = [Reading(f"other {n}", "speech", "", (Passage("speech", text, 1.0, 4.0),)) for n, text in enumerate(OTHERS)]
    stored = LanceIndex.create(folder / "index", model=MODEL, num_frames=3)
    stored.add([make_video(f"{name}.mp4", digest=name) for name in ("spoken", "slide", *(r.digest for r in said[1:]))])
    speech = SpeechReader(whisper_folder(), language="en")
    stored.readings.keep([*said[1:], read(speech, film, "spoken"), read(ScreenTextReader(), slides, "slide")])
    encode_passages(stored.passages, stored.readings, TextModel.from_pretrained(minilm_folder(), device="cpu"))
    return Index(stored)


def best(index: Index, query: str) -> SearchHit:
    sources = ["speech", "screen_text", "keywords"]
    return index.search(query, sources=sources)[0]


@pytest.mark.models
def test_what_was_said_is_found_by_a_sentence_that_shares_no_word_with_it(index: Index) -> None:
    assert len(index) == 50
    hit = best(index, "how leaves make energy")
    assert Path(hit.video).name == "spoken.mp4"
    [source] = [source for source in hit.sources if source.source == "speech"]
    assert "sunlight" in (source.text or "")
    assert source.start == pytest.approx(SPOKEN_AT, abs=1.0)
    assert "*sunlight*" in source.quoted()


@pytest.mark.models
@pytest.mark.parametrize("query", ["Zanzibar", "4711"])
def test_a_slide_is_found_by_a_name_and_a_number(index: Index, query: str) -> None:
    hit = best(index, query)
    assert Path(hit.video).name == "slide.mp4"
    written = next(source for source in hit.sources if source.source == "keywords")
    assert (written.kind, f"*{query}*" in written.quoted()) == ("screen_text", True)
    assert written.start == pytest.approx(SHOWN_AT, abs=1.0)
