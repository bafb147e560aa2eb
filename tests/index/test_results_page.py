from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from video_colbert.encoding.hits import Moment, SearchHit
from video_colbert.encoding.search_hits import SearchHits
from video_colbert.index.results_page import write_search_page


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


def result(video: Path | str, *, query: str = "a dog", word: str = "dog") -> SearchHits:
    hit = SearchHit(
        rank=1,
        video=str(video),
        start=0.0,
        end=75.0,
        score=0.7,
        level_scores={"frame": 0.3, "video": 0.4},
        moments=(Moment(word, 62.5, 0.25),),
    )
    return SearchHits(query, "some/model", [hit])


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


def test_zero_shot_page_says_what_a_trained_model_adds_and_hides_function_words(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_search_page(path, [result(tmp_path / "a.mp4", word="the")])
    assert "trained on clips" not in path.read_text()
    assert "<button" not in path.read_text()
    write_search_page(path, [result(tmp_path / "a.mp4")], is_zero_shot=True)
    assert "A checkpoint trained on clips finds the moment of each word" in path.read_text()
    assert path.read_text().count("<button") == 1


def test_page_needs_nothing_from_the_network(tmp_path: Path) -> None:
    write_search_page(tmp_path / "page.html", [result(tmp_path / "a.mp4"), SearchHits("nothing", "m")])
    text = (tmp_path / "page.html").read_text()
    assert "http" not in text
    assert "No hits." in text


def test_a_video_at_a_url_is_linked_by_its_url(tmp_path: Path) -> None:
    url = "https://videos.example/a b.mp4?x=1&y=ü"
    write_search_page(tmp_path / "page.html", [result(url)])
    [link] = Page((tmp_path / "page.html").read_text()).attributes("video", "src")
    assert link == "https://videos.example/a%20b.mp4?x=1&y=%C3%BC"
