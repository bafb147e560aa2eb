from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from video_colbert.index import Moment, SearchHit
from video_colbert.index.results_page import write_search_page
from video_colbert.index.search_results import SearchResult, format_seconds, format_table


class Page(HTMLParser):
    """Collects what the tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def attributes(self, tag: str, name: str) -> list[str | None]:
        return [attributes[name] for found, attributes in self.tags if found == tag and name in attributes]


def result(video: Path, *, query: str = "a dog", word: str = "dog") -> SearchResult:
    hit = SearchHit(
        video=str(video),
        start=0.0,
        end=75.0,
        score=0.7,
        frame_score=0.3,
        video_score=0.4,
        moments=(Moment(word, 62.5, 0.25),),
    )
    return SearchResult(query, "some/model", [hit])


def test_videos_are_linked_relative_to_the_page_with_odd_names_quoted(tmp_path: Path) -> None:
    video = tmp_path / "videos" / 'a dog & 100% "fun" #1?.mp4'
    video.parent.mkdir()
    video.write_bytes(b"")
    path = tmp_path / "out" / "page.html"
    write_search_page(path, [result(video)])
    [link] = Page(path.read_text()).attributes("video", "src")
    assert link is not None
    assert (path.parent / unquote(link)).resolve() == video.resolve()
    assert not set(link) & set(' "#?')


def test_moments_are_buttons_that_seek(tmp_path: Path) -> None:
    write_search_page(tmp_path / "page.html", [result(tmp_path / "a.mp4")])
    text = (tmp_path / "page.html").read_text()
    page = Page(text)
    assert page.attributes("button", "data-time") == ["62.500"]
    assert "dog 1:02.5" in page.texts
    assert "video.currentTime = Number(button.dataset.time)" in text


def test_text_of_users_is_escaped(tmp_path: Path) -> None:
    attack = "<script>alert('x')</script>\"&"
    results = [result(tmp_path / "<img onerror=x>.mp4", query=attack, word=attack)]
    write_search_page(tmp_path / "page.html", results, title=attack)
    page = Page((tmp_path / "page.html").read_text())
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "img" not in [tag for tag, _ in page.tags]
    assert page.texts.count(attack) >= 2


def test_page_needs_nothing_from_the_network(tmp_path: Path) -> None:
    write_search_page(tmp_path / "page.html", [result(tmp_path / "a.mp4"), SearchResult("nothing", "m", [])])
    text = (tmp_path / "page.html").read_text()
    assert "http" not in text
    assert "No hits." in text


def test_table_of_no_hits_says_so() -> None:
    assert format_table(SearchResult("x", "m", [])) == "No hits."


def test_seconds_carry_into_minutes() -> None:
    assert [format_seconds(value) for value in (0, 9.96, 59.96, 61.24, 3600)] == [
        "0:00.0",
        "0:10.0",
        "1:00.0",
        "1:01.2",
        "60:00.0",
    ]
