"""The models of the robustness figures: for each seed a victim, its backbone with another head, and a hardened one."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from demo import DATA, FRAMES, REPOSITORY, read_captions
from robustness_fingerprint import clips_settings, fingerprint, recipe_settings, weights_digest

from video_colbert.dataset_builders import MovingShapesConfig, write_moving_shapes
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.tiny_backbones import save_tiny_clip_backbone, train_clip_tokenizer

RECIPES = REPOSITORY / "recipes"
VICTIM_RECIPES = (RECIPES / "demo.yaml",)
HARDENED_RECIPES = (RECIPES / "robustness" / "adversarial.yaml",)
"""Beside the victim's."""

DEMO_SEED = 0
"""The seed whose victim is the demo's own model, of 32 epochs."""

EPOCHS = 16
"""Of the other seeds' victims."""

HEAD_EPOCHS = 2
HARDENING_EPOCHS = 3
# A sample of a large index: clips of scenes drawn anew, of all that there can be.
SAMPLE = MovingShapesConfig(seed=1000, num_train=2000, num_validation=0, num_test=0, num_twin_pairs=0)


@dataclass(frozen=True)
class SeedModels:
    """Checkpoints of one seed.

    Attributes:
        victim: the model that is attacked.
        other_head: its towers, with a temporal transformer trained anew from other weights: the grey box.
        hardened: the victim after adversarial training.
    """

    victim: Path
    other_head: Path
    hardened: Path


def make_clips(output: Path) -> Path:
    """Writes the clips of the demo, and a sample of a large index; returns the folder of the former."""
    clips = output / "clips"
    for split in ("train", "validation", "test"):
        write_moving_shapes(clips, DATA, split)
    write_moving_shapes(output / "sample", SAMPLE, "train")
    return clips


def sample_files(output: Path) -> list[Path]:
    """The clips that stand for a large index."""
    return sorted((output / "sample" / "train").glob("*.mp4"))


def train_models(output: Path, seed: int) -> SeedModels:
    """Trains the models of a seed, each unless it is there.

    Args:
        output: folder of clips and models.
        seed: of the backbone's weights, the new weights and the order of the clips.
    """
    folder = output / f"seed_{seed}"
    demo = recipe_without_model(folder / "recipe.yaml")
    victim = train_victim(output, seed)
    start = folder / "new_head"
    save_with_new_head(victim, start, seed + 100)
    other = _trained(output, folder / "other_head", [demo], seed + 100, HEAD_EPOCHS, model=start, freeze="image text")
    recipes = [demo, *HARDENED_RECIPES]
    hardened = _trained(output, folder / "hardened", recipes, seed + 200, HARDENING_EPOCHS, model=victim)
    return SeedModels(victim, other, hardened)


def train_victim(output: Path, seed: int) -> Path:
    """Trains the model of a seed that is attacked, unless it is there; that of seed 0 is the demo's.

    Args:
        output: folder of clips and models.
        seed: of the backbone's weights, the new weights and the order of the clips.
    """
    if seed == DEMO_SEED:
        trained = REPOSITORY / "runs" / "demo" / "training" / "best"
        if not trained.is_dir():
            subprocess.run([sys.executable, str(REPOSITORY / "benchmarks" / "demo.py"), "--no-serve"], check=True)
        return trained
    backbone = output / f"seed_{seed}" / "backbone"
    if not (backbone / "config.json").exists():
        captions = [row["caption"] for row in read_captions(output / "clips" / "train")]
        save_tiny_clip_backbone(backbone, train_clip_tokenizer(captions), seed=seed)
    victim = output / f"seed_{seed}" / "victim"
    return _trained(output, victim, [*VICTIM_RECIPES], seed, EPOCHS, backbone=backbone)


def recipe_without_model(file: Path) -> Path:
    """Writes the demo's recipe without what describes its model, for runs that go on from one; returns the file."""
    recipe = yaml.safe_load(VICTIM_RECIPES[0].read_text(encoding="utf-8"))
    del recipe["config_overrides"]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return file


def save_with_new_head(checkpoint: Path, folder: Path, seed: int) -> None:
    """Saves a checkpoint whose temporal transformer is initialised again.

    Args:
        checkpoint: with the towers to keep.
        folder: where to.
        seed: of the new weights.
    """
    model = VideoColBERTModel.from_pretrained(checkpoint, dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = VideoColBERTModel(model.config)
    model.temporal_transformer.load_state_dict(fresh.temporal_transformer.state_dict())
    VideoColBERTProcessor.from_pretrained(checkpoint).save_pretrained(folder)
    model.save_pretrained(folder)


def model_settings(model: str, seed: int) -> dict[str, Any]:
    """What a model of a seed is trained with.

    Args:
        model: "victim", "other_head", "other_seed" or "hardened".
        seed: of the victim.
    """
    settings: dict[str, Any] = {
        "clips": clips_settings(DATA),
        "frames": FRAMES,
        "recipes": recipe_settings(VICTIM_RECIPES),
    }
    if model == "other_seed":
        return settings | {"epochs": EPOCHS}
    # The demo trains for as long as its recipe says.
    settings |= {"seed": seed, "epochs": None if seed == DEMO_SEED else EPOCHS}
    if model == "other_head":
        settings["head_epochs"] = HEAD_EPOCHS
    if model == "hardened":
        settings |= {"hardening_epochs": HARDENING_EPOCHS, "hardening_recipes": recipe_settings(HARDENED_RECIPES)}
    return settings


def keep_only_if_made_with(run: Path, settings: dict[str, Any]) -> None:
    """Notes in a run's folder what it is made with; what was made there with other settings is deleted.

    Args:
        run: folder of a training run, finished, begun or not there.
        settings: what it is, or will be, made with.
    """
    note, wanted = run / "made_with.json", {"fingerprint": fingerprint(settings)}
    if run.exists() and (not note.exists() or json.loads(note.read_text(encoding="utf-8")) != wanted):
        print(f"{run} was made with other settings, and is made anew", flush=True)
        shutil.rmtree(run)
    run.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(wanted) + "\n", encoding="utf-8")


def _trained(output: Path, run: Path, recipes: list[Path], seed: int, epochs: int, **arguments: object) -> Path:
    """Trains a model in a process of its own, or goes on with it; returns its last checkpoint."""
    made_with = {
        "clips": clips_settings(DATA),
        "frames": FRAMES,
        "recipes": recipe_settings(recipes),
        "seed": seed,
        "epochs": epochs,
        # Weights that training starts from, by content; all else as it is.
        "arguments": {name: weights_digest(v) if isinstance(v, Path) else v for name, v in arguments.items()},
    }
    keep_only_if_made_with(run, made_with)
    done = run / "finished.json"
    if not done.exists():
        own = {
            "data_dir": output / "clips" / "train",
            "validation_data_dir": output / "clips" / "validation",
            "frame_cache": output / "frames",
            "output_dir": run,
            "num_frames": FRAMES,
            "num_train_epochs": epochs,
            "eval_epochs": epochs,
            "seed": seed,
            "logging_steps": 100,
        }
        command = [sys.executable, str(REPOSITORY / "train.py"), "--recipe", *map(str, recipes)]
        for name, value in (own | arguments).items():
            command += [f"--{name}", *str(value).split()]
        if any((run / "checkpoints").glob("*")):
            command += ["--resume_from_checkpoint", "latest"]
        subprocess.run(command, check=True)
        done.write_text(json.dumps({"seed": seed, "epochs": epochs}) + "\n", encoding="utf-8")
    return run / "last"
