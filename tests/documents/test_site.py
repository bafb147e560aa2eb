"""What the site is made of beside its pages: links between them, its navigation, its notebook, its reference."""

import importlib
import importlib.util
import json
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tests.documents.blocks import REPOSITORY

DOCS = REPOSITORY / "docs"
PACKAGES = [
    "video_colbert",
    *(f"video_colbert.{name}" for name in ("data", "dataset_builders", "evaluation", "excerpts", "hub", "index")),
    *(f"video_colbert.{name}" for name in ("modeling_video_colbert", "processing", "training")),
]


def hook(name: str) -> ModuleType:
    """A file of `docs/site/`, which MkDocs loads by its path too."""
    spec = importlib.util.spec_from_file_location(f"site_{name}", DOCS / "site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("index.md", "docs/images/page.png", "images/page.png"),
        ("index.md", "docs/scale.md", "scale.md"),
        ("changelog.md", "docs/page.md", "page.md"),
        ("scale.md", "page.md", "page.md"),
        ("study.md", "../README.md", "index.md"),
        ("guides/search_my_videos.md", "../../README.md", "../index.md"),
        ("guides/search_my_videos.md", "../page.md", "../page.md"),
        ("guides/search_my_videos.md", "train_on_my_data.md", "train_on_my_data.md"),
        # Left for MkDocs to name: there is no such page.
        ("index.md", "docs/none.md", "docs/none.md"),
        ("index.md", "recipes/demo.yaml", "recipes/demo.yaml"),
        ("index.md", "https://arxiv.org/abs/2503.19009", "https://arxiv.org/abs/2503.19009"),
    ],
)
@pytest.mark.parametrize("anchor", ["", "#a-heading"])
def test_links_of_the_repository_become_links_of_the_site(page: str, link: str, expected: str, anchor: str) -> None:
    rewritten = hook("repository_pages").site_links(f"See [it]({link}{anchor}), ![a picture]({link}).", page)
    assert rewritten == f"See [it]({expected}{anchor}), ![a picture]({expected})."


def test_dead_links_are_found_in_what_was_built(tmp_path: Path) -> None:
    (tmp_path / "guides").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">A</h1><a href="guides/b.html#there">b</a><a href="#top">up</a><a href="https://a.example/x">x</a>'
        '<a href="guides/b.html#nowhere">b</a><img src="none.png"><a href="guides">no index</a>'
    )
    (tmp_path / "guides/b.html").write_text(
        '<h2 id="there">B</h2><a href="../index.html#top">a</a><a href="#no">c</a>'
    )
    (tmp_path / "404.html").write_text('<a href="/anything.html">served anywhere</a>')
    assert hook("dead_links").dead_links(tmp_path) == [
        "guides/b.html: no anchor for the link '#no'",
        "index.html: no file for the link 'guides'",
        "index.html: no anchor for the link 'guides/b.html#nowhere'",
        "index.html: no file for the link 'none.png'",
    ]


def test_what_a_page_loads_from_another_host_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<script src="https://cdn.example/x.js"></script><link rel="stylesheet" href="//fonts.example/a.css">'
        '<link rel="canonical" href="https://own.example/"><a href="https://b.example/">b</a><img src="own.png">'
        '<script>import m from "https://cdn.example/m.mjs"; const text = "https://only.said/";</script>'
        '<p>from "https://not.a/script"</p>'
    )
    assert hook("dead_links").asked_hosts(tmp_path) == [
        "a.html: loads '//fonts.example/a.css'",
        "a.html: loads 'https://cdn.example/m.mjs'",
        "a.html: loads 'https://cdn.example/x.js'",
    ]


def test_scripts_of_other_hosts_are_taken_out_of_a_notebook() -> None:
    html = '<script src="https://cdn.example/x.js"> </script><p>https://a.example</p><script>let own = 1</script>'
    expected = "<p>https://a.example</p><script>let own = 1</script>"
    assert hook("repository_pages").without_other_hosts(html) == expected


def test_every_diagram_has_a_picture_of_its_source_and_no_picture_is_left_over() -> None:
    diagrams = hook("diagrams")
    shown = [diagrams.with_pictures(page.read_text(), str(page.relative_to(DOCS))) for page in DOCS.rglob("*.md")]
    named = {
        name for text in shown for name in re.findall(r"!\[Diagram\]\((?:\.\./)*diagrams/([0-9a-f]{12}\.svg)\)", text)
    }
    assert named
    assert named == {path.name for path in (DOCS / "diagrams").iterdir()}
    assert not [text for text in shown if "```mermaid" in text]
    for name in named:
        picture = (DOCS / "diagrams" / name).read_text()
        assert "<script" not in picture
        assert "foreignObject" not in picture
        assert not re.search(r"(?:href|src)=.https?://|url\(.?https?://", picture)


def test_every_page_is_in_the_navigation() -> None:
    navigation = (REPOSITORY / "mkdocs.yml").read_text().split("\nnav:\n")[1].split("\nvalidation:")[0]
    named = set(re.findall(r"[\w/]+\.(?:md|ipynb)", navigation))
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*") if path.suffix in (".md", ".ipynb")}
    assert named == pages | {"index.md", "changelog.md"}


def test_every_public_name_is_described_once_in_the_reference() -> None:
    pages = [page.read_text() for page in (DOCS / "reference").glob("*.md")]
    named = [name for page in pages for name in re.findall(r"^::: ([\w.]+)$", page, re.M)]
    described = []
    for name in named:
        module, _, attribute = name.rpartition(".")
        described.append(id(getattr(importlib.import_module(module), attribute)))
    assert len(described) == len(set(described))
    for package in PACKAGES:
        module = importlib.import_module(package)
        missing = [name for name in module.__all__ if id(getattr(module, name)) not in described]
        assert [name for name in missing if name != "__version__"] == [], package


@pytest.mark.parametrize("notebook", sorted((DOCS / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_what_it_printed(notebook: Path) -> None:
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_what_is_said_of_python_versions_agrees() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    classifiers = [text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)]
    run = re.findall(r"^\| (3\.\d+) \|", (DOCS / "platforms.md").read_text(), re.M)
    assert classifiers == run
    assert project["requires-python"] == f">={run[0]}"
    assert f"Python {run[0]}+ and make" in (REPOSITORY / "README.md").read_text()
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in run


def test_the_site_names_no_package_index() -> None:
    texts = [(REPOSITORY / "mkdocs.yml").read_text(), *(page.read_text() for page in DOCS.rglob("*.md"))]
    assert not [text for text in texts if re.search(r"index-url|/simple\b|file://", text)]
