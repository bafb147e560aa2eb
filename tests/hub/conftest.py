from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.clients import HubClient
from tests.hub.evaluations import evaluation_items
from tests.hub_stand_in import HubStandIn


@pytest.fixture(scope="session")
def client(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    """The owner's client."""
    settings = hub.settings(tmp_path_factory.mktemp("client"))
    client = HubClient({**settings, "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"})
    yield client
    client.close()


@pytest.fixture
def repo_id(hub: HubStandIn, request: pytest.FixtureRequest) -> str:
    """A repository of the owner that no other test uses."""
    return f"{hub.owner}/{request.node.name.removeprefix('test_')[:80]}"


@pytest.fixture
def evaluated_checkpoint(tmp_path: Path, checkpoint_folder: Path) -> Path:
    """A checkpoint with an evaluation, training arguments, and a training state that must stay here."""
    folder = Path(shutil.copytree(checkpoint_folder, tmp_path / "checkpoint"))
    (folder / "evaluation.json").write_text(json.dumps(evaluation_items()))
    (folder / "training_arguments.json").write_text(json.dumps({"dataset": "msrvtt", "seed": 7}))
    for name in (
        "optimizer.bin",
        "random_states_0.pkl",
        "scheduler.pt",
        "pytorch_model.bin",
        "notes.txt",
        "secret.py",
    ):
        (folder / name).write_bytes(b"stays here")
    return folder
