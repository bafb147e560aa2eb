"""Tokens of a model trained on moving shapes: its clips and the captions of clips it has not seen."""

import json
import subprocess
import sys
from pathlib import Path

import torch
from demo_checkpoint import load_demo_encoder
from safetensors import safe_open
from safetensors.torch import save_file

from video_colbert import VideoColBERTEncoder
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, VideoClip
from video_colbert.encoding.passes.number_formats import NumberFormat
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.token_bags import TokenBags

REPOSITORY = Path(__file__).parents[1]
DEMO = REPOSITORY / "runs" / "demo"
SPLITS = ("train", "validation", "test")


def trained_tokens(number_format: NumberFormat = "float32") -> tuple[LevelBags, EncodedQueries]:
    """Bags of 5,300 clips, and the captions of the 200 test clips among them.

    The model is that of `demo.py`, which is run if it was not before (some minutes); the bags are kept in `runs/`.

    Args:
        number_format: what its image tower computes in.
    """
    suffix = "" if number_format == "float32" else f"-{number_format}"
    cache = REPOSITORY / "runs" / f"trained_tokens{suffix}.safetensors"
    checkpoint = DEMO / "training" / "best"
    if not checkpoint.exists():
        subprocess.run([sys.executable, str(REPOSITORY / "benchmarks" / "demo.py")], check=True)
    stamp = str((checkpoint / "model.safetensors").stat().st_mtime_ns)
    encoder = load_demo_encoder(checkpoint, number_format)
    captions = [json.loads(line)["caption"] for line in (DEMO / "clips/test/captions.jsonl").read_text().splitlines()]
    queries = encoder.encode_queries(captions)
    if not cache.exists() or _stamp_of(cache) != stamp:
        encoded = _encode(encoder)
        frames = [video.embeds["frame"] for video in encoded]
        videos = [video.embeds["video"] for video in encoded]
        lengths = {"frame_lengths": [len(bag) for bag in frames], "video_lengths": [len(bag) for bag in videos]}
        tensors = {"frames": torch.cat(frames), "videos": torch.cat(videos)}
        save_file(tensors | {name: torch.tensor(of) for name, of in lengths.items()}, cache, {"stamp": stamp})
    with safe_open(cache, framework="pt") as file:
        levels = {
            level: TokenBags(file.get_tensor(f"{level}s"), _offsets(file.get_tensor(f"{level}_lengths")))
            for level in ("frame", "video")
        }
    return LevelBags(levels), queries


def _encode(encoder: VideoColBERTEncoder) -> list[EncodedVideo]:
    clips = [VideoClip(str(path)) for split in SPLITS for path in sorted((DEMO / "clips" / split).rglob("*.mp4"))]
    results = list(encoder.encode_videos(clips, batch_size=32))
    encoded = [result for result in results if isinstance(result, EncodedVideo)]
    if len(encoded) < len(clips):
        raise RuntimeError(f"{len(clips) - len(encoded)} of {len(clips)} clips of {DEMO} could not be encoded")
    return encoded


def _stamp_of(path: Path) -> str:
    with safe_open(path, framework="pt") as file:
        return str(file.metadata()["stamp"])


def _offsets(lengths: torch.Tensor) -> torch.Tensor:
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
