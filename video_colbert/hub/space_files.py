"""The files of a Space beside the index: the app, what it needs, the card, and this package's own code.

The code travels with the Space, so that the page there is the one that was tried here, and no release of the package
need be found: `requirements.txt` names what the package itself needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from huggingface_hub import SpaceCard, SpaceCardData
from packaging.requirements import Requirement

import video_colbert
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import HubError, MissingExtraError

PACKAGE = "video_colbert"
"""Name of the folder of the code in the Space."""

MARKER = "# This app is written by `video-colbert publish-space`."
"""First line of the app, by which another publication knows that it may replace it."""

_APP = """{marker}
import os
from pathlib import Path

# The index names its videos by their paths from here.
os.chdir(Path(__file__).resolve().parent)

from video_colbert.app.space.serve_space import run_space

run_space("index")
"""
# Torch's own index, since the build on PyPI brings gigabytes for a GPU that a Space has none of.
_REQUIREMENTS_HEAD = "--extra-index-url https://download.pytorch.org/whl/cpu"
_CODE = (".py", ".css", ".js", ".svg", ".html", ".typed")


def app_file() -> bytes:
    """`app.py`, which a Space runs."""
    return _APP.format(marker=MARKER).encode()


def requirements_file(extras: Iterable[str]) -> bytes:
    """`requirements.txt`: what this package needs, with some of its extras.

    Args:
        extras: such as "app".

    Raises:
        HubError: the package is not installed, or was before it had the extra, so that what it needs is not known.
    """
    try:
        needed = requires("video-colbert") or []
    except PackageNotFoundError as error:
        raise HubError("video-colbert is not installed, so what it needs is not known: pip install -e .") from error
    environments = [{"extra": extra} for extra in ("", *extras)]
    lines: dict[str, None] = {}
    for line in needed:
        requirement = Requirement(line)
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            requirement.marker = None
            lines[str(requirement)] = None
    if not any(line.startswith("gradio") for line in lines):
        raise HubError(
            "video-colbert was installed before it had the extra app: install it again, pip install -e '.[app]'"
        )
    return "\n".join([_REQUIREMENTS_HEAD, *lines, ""]).encode()


def card_file(title: str, model: ModelReference, num_videos: int) -> bytes:
    """`README.md` with the metadata by which the Hub builds and shows the Space.

    Args:
        title: heading of the Space.
        model: a model of the Hub.
        num_videos: how many videos can be searched.

    Raises:
        MissingExtraError: the extra `app` is not installed, by whose version of Gradio the Space is built.
    """
    try:
        gradio = version("gradio")
    except PackageNotFoundError as error:
        raise MissingExtraError("a Space needs the extra app: pip install 'video-colbert[app]'") from error
    data = SpaceCardData(
        title=title,
        sdk="gradio",
        sdk_version=gradio,
        python_version="3.12",
        app_file="app.py",
        models=[model.name],
        tags=["text-to-video-retrieval", "late-interaction", "video-search"],
        emoji="🎬",
        colorFrom="indigo",
        colorTo="purple",
        short_description="Search videos by words, pictures and clips",
    )
    text = (
        f"# {title}\n\nSearches {num_videos:,} videos by words, pictures and clips with "
        f"[{model.name}](https://huggingface.co/{model.name}), and plays them from the moment that matches. "
        "Made by `video-colbert publish-space`.\n"
    )
    return str(SpaceCard(f"---\n{data.to_yaml()}\n---\n\n{text}")).encode()


def package_files() -> dict[str, Path]:
    """The files of this package by their paths in the Space; its linked folders are among them as folders."""
    [root] = video_colbert.__path__
    found = {}
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if name.endswith(_CODE):
                path = Path(folder, name)
                found[f"{PACKAGE}/{path.relative_to(root).as_posix()}"] = path
    return found
