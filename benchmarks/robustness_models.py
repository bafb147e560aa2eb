"""The models of the robustness figures: for each seed a victim, its backbone with another head, and a hardened one."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from demo import DATA, FRAMES, REPOSITORY, read_captions

from video_colbert.dataset_builders import MovingShapesConfig, write_moving_shapes
from video_colbert.dataset_builders.shapes.moving_shapes_clips import ClipPlan, write_clips
from video_colbert.dataset_builders.shapes.moving_shapes_scenes import Partition, Relation, Scene, partition_scenes
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.tiny_backbones import save_tiny_clip_backbone, train_clip_tokenizer

RECIPES = REPOSITORY / "recipes"
EPOCHS = 16
"""Of a victim: half of the demo's."""

HEAD_EPOCHS = 3
HARDENING_EPOCHS = 4
# A sample of a large index: clips of scenes drawn anew, of all that there can be.
SAMPLE = MovingShapesConfig(seed=1000, num_train=2000, num_validation=0, num_test=0, num_twin_pairs=0)

CASTS = 5
"""Topics of a seed, each of two actors that all of its captions name."""

CLIPS_OF_CAST = 16


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


def make_cast_clips(output: Path, seed: int) -> list[tuple[str, str]]:
    """Writes clips of a few casts, of scenes that no model was trained on, beside the demo's test clips.

    A cast is two actors, each a shape in a colour; its clips differ in who moves how, at once or one after the other.

    Args:
        output: folder of the clips.
        seed: of the casts, and of the lanes, sizes and speeds.

    Returns:
        The actors of each cast, such as "red circle".
    """
    folder = output / f"seed_{seed}" / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    shown = {Path(row["video"]).name: row["caption"] for row in read_captions(output / "clips" / "test")}
    for name in shown:
        if not (folder / name).exists():
            (folder / name).write_bytes((output / "clips" / "test" / name).read_bytes())
    rng = np.random.default_rng(seed)
    casts, plans = [], []
    of_cast = _unseen_scenes(set(shown.values()))
    for number in rng.permutation(len(of_cast)):
        actors, scenes = sorted(of_cast.items())[number]
        if len(scenes) < CLIPS_OF_CAST:
            continue
        for place in rng.permutation(len(scenes))[:CLIPS_OF_CAST]:
            name = f"cast_{len(casts)}_{place:03d}"
            drawn = (DATA.seed, seed, len(casts), int(place))
            plans.append(ClipPlan(name, scenes[place], drawn, DATA.num_frames, DATA.image_size, DATA.fps))
        casts.append(actors)
        if len(casts) == CASTS:
            break
    write_clips(folder, plans)
    captions = shown | {f"{plan.video_id}.mp4": plan.scene.caption for plan in plans}
    lines = [json.dumps({"video": name, "caption": caption}) + "\n" for name, caption in captions.items()]
    (folder / "captions.jsonl").write_text("".join(lines), encoding="utf-8")
    return casts


def _unseen_scenes(shown: set[str]) -> dict[tuple[str, str], list[Scene]]:
    """By their two actors, the scenes that training left out, of different meaning, without those that are shown."""
    partitions = partition_scenes(DATA.actors, DATA.seed, DATA.held_out_share)
    found: dict[tuple[str, str], dict[Scene, Scene]] = {}
    held_out: tuple[Partition, ...] = ("test", "validation")
    pairs: tuple[Relation, ...] = ("and", "then")
    for partition in held_out:
        for relation in pairs:
            for scene in partitions[partition][relation]:
                if scene.caption not in shown:
                    one, other = sorted(f"{action.colour} {action.shape}" for action in scene.actions)
                    found.setdefault((one, other), {}).setdefault(scene.identity, scene)
    return {actors: list(scenes.values()) for actors, scenes in found.items()}


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
    backbone = folder / "backbone"
    if not (backbone / "config.json").exists():
        captions = [row["caption"] for row in read_captions(output / "clips" / "train")]
        save_tiny_clip_backbone(backbone, train_clip_tokenizer(captions), seed=seed)
    demo = RECIPES / "demo.yaml"
    victim = _trained(output, folder / "victim", [demo], seed, EPOCHS, backbone=backbone)
    start = folder / "new_head"
    if not (start / "config.json").exists():
        save_with_new_head(victim, start, seed + 100)
    other = _trained(output, folder / "other_head", [demo], seed + 100, HEAD_EPOCHS, model=start, freeze="image text")
    recipes = [demo, RECIPES / "robustness" / "adversarial.yaml"]
    hardened = _trained(output, folder / "hardened", recipes, seed + 200, HARDENING_EPOCHS, model=victim)
    return SeedModels(victim, other, hardened)


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


def _trained(output: Path, run: Path, recipes: list[Path], seed: int, epochs: int, **arguments: object) -> Path:
    """Trains a model in a process of its own, or goes on with it; returns its last checkpoint."""
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
