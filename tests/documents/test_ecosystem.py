"""What docs/ecosystem.md shows: recipes, run as they stand over a small set of the Hub, and commands."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi
from safetensors.torch import load_file

from tests.data.opened.video_layouts import write_videofolder
from tests.documents.blocks import REPOSITORY, blocks, commands
from tests.hub.clients import HubClient
from tests.hub_stand_in import HubStandIn
from tests.video_files import write_clip
from video_colbert.cli import build_parser
from video_colbert.training.arguments import parse_arguments

PAGE = (REPOSITORY / "docs/ecosystem.md").read_text()
CLIP = "openai/clip-vit-base-patch32"
SIGLIP = "google/siglip-base-patch16-224"


@pytest.fixture(scope="module")
def client(
    hub: HubStandIn,
    clip_backbone_folder: Path,
    siglip_backbone_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[HubClient]:
    """A process that sees a Hub with two tiny backbones and a data set."""
    root = write_videofolder(tmp_path_factory.mktemp("set"), clips=4)
    write_videofolder(root, split="validation", clips=2)
    api = HfApi(endpoint=hub.endpoint, token=hub.owner_token)
    hub.host(CLIP, clip_backbone_folder)
    hub.host(SIGLIP, siglip_backbone_folder)
    client = HubClient({**hub.settings(tmp_path_factory.mktemp("home")), "OMP_NUM_THREADS": "1"})
    client(api.create_repo, f"{hub.owner}/for-recipes", repo_type="dataset")
    client(api.upload_folder, repo_id=f"{hub.owner}/for-recipes", repo_type="dataset", folder_path=root)
    yield client
    client.close()


def recipe(heading: str, names: dict[str, str]) -> str:
    """The one block of Python under a heading, with what stands here for what it names."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    [code] = [block.text for block in blocks(section) if block.language == "python"]
    for name, stand_in in names.items():
        assert name in code
        code = code.replace(name, stand_in)
    return code


def run_recipe(code: str) -> None:
    torch.set_num_threads(1)
    exec(compile(code, "ecosystem.md", "exec"), {"__name__": "recipe"})  # noqa: S102 # our own file


def adapter_and_merged(backbone: str, clip: Path) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The tokens that an adapter over its backbone gives, and those of the checkpoint that it was merged into."""
    from peft import PeftModel

    from video_colbert.modeling_video_colbert import VideoColBERTModel
    from video_colbert.processing import VideoColBERTProcessor

    processor = VideoColBERTProcessor.from_pretrained("my-model")
    inputs = processor(text=["a red circle grows"], videos=[clip])
    tokens = []
    for model in (
        PeftModel.from_pretrained(VideoColBERTModel.from_backbone(backbone), "my-adapter"),
        VideoColBERTModel.from_pretrained("my-model"),
    ):
        with torch.no_grad():
            output = model.eval()(**inputs)
        tokens.append([output.query.query_embeds, output.video.frame_embeds, output.video.video_embeds])
    return tokens[0], tokens[1]


@pytest.mark.parametrize(
    ("heading", "backbone"),
    [("transformers.Trainer", CLIP), ("LoRA", CLIP), ("LoRA", SIGLIP)],
    ids=["trainer", "lora-clip", "lora-siglip"],
)
def test_recipe_trains_resumes_publishes_and_verifies(
    heading: str, backbone: str, hub: HubStandIn, client: HubClient, tmp_path: Path
) -> None:
    client(os.chdir, tmp_path)
    repo_id = f"{hub.owner}/of-recipe-{heading.split('.')[-1]}-{backbone.split('/')[-1]}"
    names = {"me/set": f"{hub.owner}/for-recipes", "me/my-model": repo_id, "num_train_epochs=5": "num_train_epochs=2"}
    code = recipe(heading, {**names, CLIP: backbone})
    client(run_recipe, code)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoint-1", "checkpoint-2"]
    [trained] = (tmp_path / "run/checkpoint-2").glob("*model.safetensors")
    expected, before = load_file(trained), load_file(tmp_path / "run/checkpoint-1" / trained.name)
    assert any(not torch.equal(before[name], expected[name]) for name in expected)
    shutil.rmtree(trained.parent)
    client(run_recipe, code.replace("trainer.train()", "trainer.train(resume_from_checkpoint=True)"))
    resumed = load_file(trained)
    assert resumed.keys() == expected.keys()
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)
    status, out, err = client.command_line("verify", repo_id)
    assert status == 0, out + err
    if heading == "LoRA":
        assert any(".lora_" in name for name in expected)
        assert not any(".k_proj" in name and "temporal" not in name for name in expected)
        for own, merged in zip(*client(adapter_and_merged, backbone, write_clip(tmp_path / "a.mp4", 1)), strict=True):
            torch.testing.assert_close(own, merged, atol=1e-5, rtol=0)


def test_commands_are_understood() -> None:
    shown = [words for block in blocks(PAGE) if block.language == "bash" for words in commands(block)]
    ours = [words for words in shown if words[0] == "video-colbert"]
    assert len(ours) >= 4
    for _, name, *arguments in ours:
        if name == "train":
            assert parse_arguments(arguments).dataset == "me/set"
        else:
            build_parser().parse_args([name, *arguments])
