from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.workplace import Workplace, open_workplace


@pytest.fixture
def workplace(tmp_path: Path, clip_backbone_folder: Path, checkpoint_folder: Path) -> Iterator[Workplace]:
    """A folder with all that the pages name, where commands and code can be run."""
    with open_workplace(tmp_path, clip_backbone_folder, checkpoint_folder) as place:
        yield place
