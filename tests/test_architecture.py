"""The page on the architecture names files that exist, and all folders of the package."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "video_colbert"
PAGE = (REPOSITORY / "docs/architecture.md").read_text()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+\.(?:py|md|toml))`", PAGE))))
def test_a_named_file_exists(name: str) -> None:
    places = [REPOSITORY / name, PACKAGE / name, *PACKAGE.rglob(name), *(REPOSITORY / "dataset_builders").rglob(name)]
    places += [REPOSITORY / folder / name for folder in ("processing", "modeling_video_colbert")]
    assert any(place.exists() for place in places), name


def test_every_folder_of_the_package_is_told_of() -> None:
    folders = [path for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()]
    assert folders
    for folder in folders:
        assert re.search(rf"\| .*`(?:video_colbert/)?{folder.name}/`", PAGE), folder.name
