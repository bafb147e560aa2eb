"""What docs/ecosystem.md shows: recipes, run as they stand over a small set of the Hub, and commands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import torch
from huggingface_hub import HfApi
from safetensors.torch import load_file

from tests.data.opened.video_layouts import write_videofolder
from tests.hub.clients import HubClient
from tests.hub_stand_in import HubStandIn
from video_colbert.cli import build_parser
from video_colbert.training.arguments import parse_arguments

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "docs/ecosystem.md").read_text()


def recipe(heading: str) -> str:
    """The one block of Python under a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"^```python\n(.*?)^```$", section, re.M | re.S)
    return str(block)


def run_recipe(code: str) -> None:
    torch.set_num_threads(1)
    exec(compile(code, "ecosystem.md", "exec"), {"__name__": "recipe"})  # noqa: S102 # our own file


def test_trainer_recipe_trains_resumes_publishes_and_verifies(
    hub: HubStandIn, clip_backbone_folder: Path, tmp_path: Path
) -> None:
    root = write_videofolder(tmp_path / "set", clips=4)
    write_videofolder(root, split="validation", clips=2)
    client = HubClient({**hub.settings(tmp_path / "home"), "OMP_NUM_THREADS": "1"})
    try:
        client(os.chdir, tmp_path)
        api = HfApi(endpoint=hub.endpoint, token=hub.owner_token)
        client(api.create_repo, f"{hub.owner}/for-trainer", repo_type="dataset")
        client(api.upload_folder, repo_id=f"{hub.owner}/for-trainer", repo_type="dataset", folder_path=root)
        hub.host("openai/clip-vit-base-patch32", clip_backbone_folder)
        code = recipe("transformers.Trainer").replace("me/set", f"{hub.owner}/for-trainer")
        code = code.replace("me/my-model", f"{hub.owner}/of-trainer").replace(
            "num_train_epochs=5", "num_train_epochs=2"
        )
        client(run_recipe, code)
        expected = load_file(tmp_path / "my-model/model.safetensors")
        checkpoints = sorted(path.name for path in (tmp_path / "run").iterdir())
        assert checkpoints == ["checkpoint-1", "checkpoint-2"]
        shutil.rmtree(tmp_path / "run/checkpoint-2")
        client(run_recipe, code.replace("trainer.train()", "trainer.train(resume_from_checkpoint=True)"))
        resumed = load_file(tmp_path / "my-model/model.safetensors")
        assert all(torch.equal(resumed[name], expected[name]) for name in expected)
        code_of_verify, out, err = client.command_line("verify", f"{hub.owner}/of-trainer")
        assert code_of_verify == 0, out + err
    finally:
        client.close()


def test_commands_are_understood() -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)
    commands = [
        shlex.split(line) for block in blocks for line in block.splitlines() if line.startswith("video-colbert")
    ]
    assert len(commands) >= 4
    for _, name, *arguments in commands:
        if name == "train":
            assert parse_arguments(arguments).dataset == "me/set"
        else:
            build_parser().parse_args([name, *arguments])
