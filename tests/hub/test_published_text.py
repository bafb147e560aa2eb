"""Whatever text a checkpoint's files hold, a card shows it as text; Markdown is judged by markdown-it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.hub.evaluations import evaluation_items
from video_colbert.hub import build_model_card
from video_colbert.hub.published_text import as_code, escaped, hub_id, without_local_folders

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](https://evil.example)",
    "![pixel](https://evil.example/p.png)",
    "**bold** _and_ *this* ~~gone~~",
    "`code` ``more``",
    "a | b | c",
    "line\n\n# A heading\n\n- a list",
    "&lt;b&gt; &amp; \\ $x$",
    "[ref]: https://evil.example",
]


def tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    found = list(tokens(f"Chosen: {escaped(text)}."))
    assert {token.type for token in found} <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}
    shown = "".join(token.content for token in found if token.type in ("text", "text_special"))
    assert shown == f"Chosen: {' '.join(text.split())}."


@pytest.mark.parametrize("text", HOSTILE)
def test_code_in_a_table_cell_is_one_cell_of_code(text: str) -> None:
    row = f"| a | b |\n| --- | --- |\n| x | {as_code(text)} |".replace(
        as_code(text), as_code(text).replace("|", "\\|")
    )
    found = list(tokens(row))
    assert sum(token.type == "td_open" for token in found) == 2
    [code] = [token.content for token in found if token.type == "code_inline"]
    assert code == " ".join(text.split())


def test_addresses_make_no_links_and_invisible_characters_show() -> None:
    assert escaped("see https://a.example or www.a.example") == r"see https\://a.example or www\.a.example"
    assert escaped("a\u202eb\x1b[31m\u200b") == "a\ufffdb\ufffd\\[31m\ufffd"
    assert escaped("moving_shapes 1k-A (seed 0), R@1") == "moving_shapes 1k-A (seed 0), R@1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai/clip-vit-base-patch32", "openai/clip-vit-base-patch32"),
        ("/home/me/clip", None),
        ("clip", None),
        ("runs/a/best", None),
        ("../clip/x", None),
        ("a/b c", None),
        ("a/b](https://evil.example)", None),
        (None, None),
        (["a/b"], None),
    ],
)
def test_only_a_hub_id_is_taken_for_one(name: object, expected: str | None) -> None:
    assert hub_id(name) == expected


def test_folder_that_looks_like_a_hub_id_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models/clip").mkdir(parents=True)
    assert hub_id("models/clip") == "models/clip"
    monkeypatch.chdir(tmp_path)
    assert hub_id("models/clip") is None


def test_paths_of_this_machine_are_their_last_part() -> None:
    value = {"a": "/home/me/clip", "b": ["~/x/y", "C:\\Users\\me\\z", "org/name", 3], "c": {"d": "file:///srv/data"}}
    assert without_local_folders(value) == {"a": "clip", "b": ["y", "z", "org/name", 3], "c": {"d": "data"}}


def test_card_shows_what_its_files_say_as_text(tmp_path: Path, checkpoint_folder: Path) -> None:
    folder = Path(shutil.copytree(checkpoint_folder, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "backbone": "/home/me/secret/clip"}))
    text = "<img src=x>[a](https://evil.example)`|`\n# no heading"
    items: list[dict[str, Any]] = evaluation_items(dataset=text, protocol=text, split=text, selection=text)
    for item in items:
        item["metrics"][text] = 1.0
    (folder / "evaluation.json").write_text(json.dumps(items))
    arguments = {"note": text, text: 1, "model": "/home/me/other", "config_overrides": {"file": "/home/me/x.json"}}
    (folder / "training_arguments.json").write_text(json.dumps(arguments))
    card = build_model_card(folder)
    found = list(tokens(card.text))
    html = [token.content for token in found if token.type.startswith("html")]
    assert [content for content in html if "This card is written by video-colbert" not in content] == []
    links = {token.attrGet("href") for token in found if token.type == "link_open"}
    assert links == {"https://arxiv.org/abs/2503.19009"}
    headings = [found[place + 1].content for place, token in enumerate(found) if token.type == "heading_open"]
    assert headings[0] == "model"
    assert [heading for heading in headings if heading.startswith("no heading")] == []
    assert "/home/me" not in str(card)
    assert card.data.base_model is None
    assert ModelCard(str(card)).data.eval_results is None


def test_requirements_of_a_card_are_those_of_this_release(checkpoint_folder: Path) -> None:
    text = build_model_card(checkpoint_folder).text
    [line] = [line for line in text.splitlines() if line.startswith("With transformers alone")]
    declared = Path(__file__).parents[2].joinpath("pyproject.toml").read_text()
    [transformers] = [part for part in declared.split('"') if part.startswith("transformers>=")]
    floor = transformers.split(",")[0]
    assert floor.removeprefix("transformers") in line
