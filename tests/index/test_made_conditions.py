"""Made conditions over what is known of files and over metadata, against the same conditions written in Python."""

from __future__ import annotations

import dataclasses
import datetime as dt
import operator
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from tests.index.made_videos import MODEL, make_queries, make_video
from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.index import IndexedVideo, VideoIndex, open_index
from video_colbert.index.index_notes import IndexNotes
from video_colbert.index.indexed_video import FileFacts, MetadataValue

CONDITIONS = 200
FOLDERS = ("/videos", "/films/100%")
GENRES = ("news", "it's live", "new_s", "50% off", "日本", "line\nbreak")
OPERATORS: dict[str, Callable[[object, object], object]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# Three values, as in SQL: None is "not known".
Truth = bool | None
Condition = tuple[str, Callable[[IndexedVideo], Truth]]
BEGINNING = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def make_library(generator: random.Random, working: Path) -> list[tuple[IndexedVideo, EncodedVideo]]:
    """24 videos below the two folders, below the working directory, elsewhere and at URLs; any fact may be missing."""
    library = []
    for number in range(24):
        kind = generator.choice(["holiday/2025", "holiday", "holidays", "work", "work/holiday", "wörk"])
        root = generator.choice([*FOLDERS, *FOLDERS, str(working), "/elsewhere", "https://host"])
        metadata: dict[str, MetadataValue] = {
            "year": generator.randint(2018, 2022),
            "rating": generator.choice([0.5, 1.0, 2.25]),
            "genre": generator.choice(GENRES),
            "live": generator.random() < 0.5,
        }
        facts = {
            "size": generator.choice([1000, 2**31, 5 * 10**9]),
            "modified": BEGINNING.timestamp() + generator.randint(0, 14 * 24) * 3600 + generator.choice([0, 0.25]),
            "width": generator.choice([320, 1280, 1920]),
            "height": generator.choice([240, 720, 1080]),
        }
        video, encoded = make_video(f"{number}.mp4", frames=generator.randint(1, 6), seed=number)
        described = dataclasses.replace(
            video,
            path=f"{root}/{kind}/{number}.mp4",
            metadata={name: value for name, value in metadata.items() if generator.random() < 0.8},
            facts=FileFacts(**{name: value for name, value in facts.items() if generator.random() < 0.8}),
        )
        library.append((described, encoded))
    return library


def value_of(video: IndexedVideo, column: str) -> MetadataValue | None:
    if column == "path":
        return "\t".join((video.path, *video.copies))
    if column == "duration":
        return video.duration
    if column in ("size", "modified", "width", "height"):
        return getattr(video.facts, column)  # type: ignore[no-any-return]
    return video.metadata.get(column)


def known(column: str, holds: Callable[[object], object]) -> Callable[[IndexedVideo], Truth]:
    """A condition on a value, not known where there is none."""

    def of(video: IndexedVideo) -> Truth:
        value = value_of(video, column)
        return None if value is None else bool(holds(value))

    return of


def any_word_case(generator: random.Random, word: str) -> str:
    return generator.choice([word, word.upper(), word.capitalize()])


def number_condition(generator: random.Random) -> Condition:
    column, values = generator.choice(
        [
            ("size", [999, 1000, 2**31, 5e9]),
            ("width", [320, 1279.5, 1920]),
            ("height", [720, 0]),
            ("duration", [0.5, 1, 1.75]),
            ("year", [2018, 2020, 2020.5]),
            ("rating", [0.5, 1, 2]),
        ]
    )
    if generator.random() < 0.3:
        chosen = generator.sample(values, 2)
        word = generator.choice(["in", "not in"])
        is_in = word == "in"
        return f"{column} {word} ({chosen[0]}, {chosen[1]})", known(column, lambda value: (value in chosen) == is_in)
    sign, number = generator.choice(list(OPERATORS)), generator.choice(values)
    return f"{column} {sign} {number}", known(column, lambda value: OPERATORS[sign](value, number))


def time_condition(generator: random.Random) -> Condition:
    """A time as a day, to the minute, and in another zone; the first two are of this machine's zone."""
    time = BEGINNING + dt.timedelta(hours=generator.randint(0, 14 * 24))
    style = generator.choice(["day", "minute", "utc", "zone", "second"])
    local = time.astimezone()
    if style == "day":
        text = local.strftime("%Y-%m-%d")
        time = local.replace(hour=0, minute=0, second=0, microsecond=0)
    elif style == "minute":
        text = local.strftime("%Y-%m-%dT%H:%M")
    elif style == "second":
        text = local.strftime("%Y-%m-%d %H:%M:%S")
    else:
        zone = dt.UTC if style == "utc" else dt.timezone(dt.timedelta(hours=-5, minutes=-30))
        text = time.astimezone(zone).isoformat().replace("+00:00", "Z")
    sign = generator.choice(list(OPERATORS))

    def holds(value: object) -> object:
        assert isinstance(value, float)
        return OPERATORS[sign](dt.datetime.fromtimestamp(value, dt.UTC), time)

    return f"modified {sign} {quoted(text)}", known("modified", holds)


def relative_paths(paths: object, working: Path) -> list[str]:
    """How the files of a video may be called: as a whole, and from each folder that they lie in."""
    ways = []
    for path in str(paths).split("\t"):
        pure = PurePosixPath(path)
        roots = [root for root in (*FOLDERS, str(working)) if pure.is_relative_to(root)]
        ways += [path, *(str(pure.relative_to(root)) for root in roots)]
    return ways


def path_condition(generator: random.Random, working: Path) -> Condition:
    word = generator.choice(["startswith", "not startswith", "like", "not like", "=", "!=", "in", "not in"])
    is_positive = word in ("startswith", "like", "=", "in")
    name = generator.choice(["holiday/", "holiday", "hol", "work/", "/videos/hol", "https://host/", "/films/100%/"])
    number = generator.randrange(24)
    if "startswith" in word:
        return f"path {word} {quoted(name)}", known(
            "path",
            lambda path: any(way.startswith(name) for way in relative_paths(path, working)) == is_positive,
        )
    if "like" in word:
        pattern = generator.choice(["%/holiday/%", "holiday/_.mp4", "h%/%5%", "/videos/%", "%.mp4", "off_ce/%"])
        return f"path {word} {quoted(pattern)}", known(
            "path",
            lambda path: any(is_like(way, pattern) for way in relative_paths(path, working)) == is_positive,
        )
    names = [f"{generator.choice(['holiday', 'office', '/videos/office'])}/{number}.mp4", "./office/1.mp4"]
    meant = [name.removeprefix("./") for name in names]
    if "in" in word:
        return f"path {word} ({', '.join(map(quoted, names))})", known(
            "path", lambda path: any(way in meant for way in relative_paths(path, working)) == is_positive
        )
    return f"path {word} {quoted(names[0])}", known(
        "path", lambda path: (meant[0] in relative_paths(path, working)) == is_positive
    )


def is_like(text: str, pattern: str) -> bool:
    expression = "".join({"%": ".*", "_": "."}.get(character) or re.escape(character) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def text_condition(generator: random.Random) -> Condition:
    if generator.random() < 0.5:
        text = generator.choice(GENRES)
        sign = generator.choice(list(OPERATORS))
        return f"genre {sign} {quoted(text)}", known("genre", lambda value: OPERATORS[sign](value, text))
    word = generator.choice(["like", "not like", "startswith", "not startswith"])
    text = generator.choice(["n%", "new_s", "%日%", "%", "", "line_break", "50% %", "it's", "_____%", "N%"])
    is_positive = not word.startswith("not")

    def holds(value: object) -> bool:
        found = is_like(str(value), text) if "like" in word else str(value).startswith(text)
        return found == is_positive

    return f"genre {any_word_case(generator, word)} {quoted(text)}", known("genre", holds)


def null_condition(generator: random.Random) -> Condition:
    column = generator.choice(["size", "modified", "width", "year", "rating", "genre", "live", "path", "duration"])
    if generator.random() < 0.5:
        return f"{column} is null", lambda video: value_of(video, column) is None
    return f"{column} is not null", lambda video: value_of(video, column) is not None


def truth_condition(generator: random.Random) -> Condition:
    wanted = generator.random() < 0.5
    return f"live = {str(wanted).lower()}", known("live", lambda value: value is wanted)


def make_condition(generator: random.Random, working: Path, depth: int = 3) -> Condition:
    if depth and generator.random() < 0.6:
        if generator.random() < 0.25:
            text, holds = make_condition(generator, working, depth - 1)
            return f"{any_word_case(generator, 'not')} ({text})", lambda video: opposite(holds(video))
        parts = [make_condition(generator, working, depth - 1) for _ in range(generator.randint(2, 3))]
        word = generator.choice(["and", "or"])
        text = f" {any_word_case(generator, word)} ".join(f"({part})" for part, _ in parts)
        of_parts = [part for _, part in parts]
        joined = all_of if word == "and" else any_of
        return text, lambda video: joined([part(video) for part in of_parts])
    kinds = [number_condition, number_condition, time_condition, text_condition, null_condition, truth_condition]
    if generator.random() < 0.25:
        return path_condition(generator, working)
    return generator.choice(kinds)(generator)


def opposite(value: Truth) -> Truth:
    return None if value is None else not value


def all_of(values: list[Truth]) -> Truth:
    return False if False in values else None if None in values else True


def any_of(values: list[Truth]) -> Truth:
    return True if True in values else None if None in values else False


@pytest.fixture(params=["lance", "qdrant"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VideoIndex]:
    if request.param == "lance":
        from video_colbert.index import LanceIndex

        yield LanceIndex.create(tmp_path / "index", model=MODEL, num_frames=3)
        return
    pytest.importorskip("qdrant_client")
    from video_colbert.index.qdrant.qdrant_index import QdrantIndex

    stored = QdrantIndex.create(f"qdrant+local://{tmp_path}/index", model=MODEL, num_frames=3)
    yield stored
    stored.close()


def test_conditions_leave_the_videos_of_which_they_hold(
    index: VideoIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = random.Random(5)
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    library = make_library(generator, working)
    index.add(library)
    index.set_notes(IndexNotes(FOLDERS))
    # Some files have copies, in the same folders and in others.
    copies = {
        video.id: tuple(
            f"{root}/office/{generator.randrange(24)}.mp4" for root in generator.sample(FOLDERS, number % 3)
        )
        for number, (video, _) in enumerate(library)
    }
    index.set_copies({video_id: paths for video_id, paths in copies.items() if paths})
    library = [(dataclasses.replace(video, copies=copies[video.id]), encoded) for video, encoded in library]
    assert {video.path: video.facts for video in index.videos} == {video.path: video.facts for video, _ in library}
    queries = make_queries(1)
    numbers = []
    for _ in range(CONDITIONS):
        where, holds = make_condition(generator, working)
        expected = {video.path for video, _ in library if holds(video) is True}
        [hits] = index.search(queries, top_k=len(library), where=where)
        assert {hit.video for hit in hits} == expected, where
        numbers.append(len(expected))
    # Most conditions tell some videos from others.
    assert sum(0 < number < len(library) for number in numbers) > CONDITIONS // 2


def test_folders_and_facts_are_read_back_by_who_opens_the_index(index: VideoIndex, tmp_path: Path) -> None:
    library = make_library(random.Random(1), tmp_path)
    index.add(library)
    facts = {video.id: FileFacts(7, 8.5, 9, 10) for video, _ in library[:3]}
    index.set_facts({**facts, "not stored": FileFacts(1)})
    index.set_notes(IndexNotes(FOLDERS))
    if type(index).__name__ == "QdrantIndex":
        opened: VideoIndex = index
    else:
        opened = open_index(index.location).stored
    assert opened.notes == IndexNotes(FOLDERS)
    assert {video.id: video.facts for video in opened.videos if video.id in facts} == facts
    assert len(opened) == len(library)
