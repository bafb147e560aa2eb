"""The examples in docstrings, which are run as they stand; what stands for a Hub model is made here."""

import ast
import dataclasses
import doctest
import importlib
import inspect
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import video_colbert
from tests.dataset_builders.small_benchmarks import write_msrvtt
from tests.video_files import write_clip
from video_colbert import VideoColBERTEncoder, VideoColBERTProcessor

PACKAGE = Path(video_colbert.__file__).parent
HUB_MODEL = "openai/clip-vit-base-patch32"


def examples() -> Iterator[tuple[str, str]]:
    """Every docstring of the package that has an example, by its module and name."""
    for folder, _, names in sorted(os.walk(PACKAGE, followlinks=True)):
        for name in sorted(names):
            if not name.endswith(".py"):
                continue
            file = Path(folder, name)
            module = ".".join(("video_colbert", *file.relative_to(PACKAGE).with_suffix("").parts))
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    docstring = ast.get_docstring(node) or ""
                    if "Example:" in docstring.splitlines():
                        yield f"{module}:{getattr(node, 'name', '')}", docstring


EXAMPLES = dict(examples())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that examples name."""
    for number, name in enumerate(("a.mp4", "b.mp4", "my_videos/c.mp4", "my_videos/d.mp4")):
        write_clip(tmp_path / name, number)
    write_msrvtt(tmp_path / "MSRVTT")
    for number, video in enumerate(sorted((tmp_path / "MSRVTT/videos").iterdir())):
        write_clip(video, number)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def at_hand(clip_backbone_folder: Path, checkpoint_folder: Path) -> dict[str, object]:
    """What examples need not make: an encoder, and the processor of a checkpoint."""
    return {
        "encoder": VideoColBERTEncoder.from_pretrained(clip_backbone_folder, device="cpu"),
        "processor": VideoColBERTProcessor.from_pretrained(checkpoint_folder),
    }


@pytest.mark.parametrize("place", EXAMPLES)
def test_an_example_gives_what_it_says(
    place: str, folder: Path, clip_backbone_folder: Path, at_hand: dict[str, object]
) -> None:
    module = importlib.import_module(place.split(":")[0])
    text = EXAMPLES[place].replace(HUB_MODEL, str(clip_backbone_folder))
    example = doctest.DocTestParser().get_doctest(text, {**vars(module), **at_hand}, place, place, 0)
    assert example.examples, "an example is written with >>>"
    printed: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert runner.run(example, out=printed.append).failed == 0, "".join(printed)


def test_every_public_class_and_function_has_an_example() -> None:
    without = []
    for name in video_colbert.__all__:
        public = getattr(video_colbert, name)
        # What is only handed out is seen in the examples of what hands it out.
        is_record = dataclasses.is_dataclass(public) or (inspect.isclass(public) and issubclass(public, Exception))
        if callable(public) and not is_record and "Example:" not in (inspect.getdoc(public) or "").splitlines():
            without.append(name)
    assert not without
