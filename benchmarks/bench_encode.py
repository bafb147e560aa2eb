"""Encoding on the processor: the format that `--dtype auto` picks, and OpenVINO, against float32 of torch.

    python benchmarks/bench_encode.py

A model of the size of ViT-B/32 with random weights encodes a clip of 12 frames of 224 pixels in each way in turn; the
fastest of its rounds counts. What `auto` picks then encodes the clips of the demo's trained model, whose ten best of
200 captions are compared with those of float32. Targets, float32 of torch being 1:
- `auto` at least 2.5, the fastest of OpenVINO at least 3.5, cosines to float32 at least .999;
- a video's vectors within 1e-5 of those it has alone, beside other videos in a batch;
- 0.99 of the 2,000 best the same;
- `index_videos` of 300 clips at least 2.
The check that `auto` makes is run anew and takes at most a second.
"""

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from bench_input import write_clip
from benchmark_report import Target, run_benchmark
from sized_checkpoint import save_sized_checkpoint
from torch.nn import functional as F
from trained_tokens import trained_tokens

from video_colbert.encoding.clip_decoding import DecodedClip
from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.passes.choose_format import choose_format
from video_colbert.errors import MissingExtraError
from video_colbert.index import LanceIndex, index_videos
from video_colbert.index.search.scoring import score_bags
from video_colbert.processes.worker_server import start_worker_server

CLIPS, ROUNDS, TOP = 300, 3, 10


def load_encoders(checkpoint: Path) -> dict[str, VideoColBERTEncoder]:
    """The encoders to compare, by name; OpenVINO where it is installed."""
    load = VideoColBERTEncoder.from_pretrained
    encoders = {
        "float32": load(checkpoint, device="cpu", dtype="float32"),
        "auto": load(checkpoint, device="cpu", dtype="auto"),
    }
    try:
        encoders["openvino float32"] = load(checkpoint, dtype="float32", backend="openvino")
        encoders["openvino auto"] = load(checkpoint, dtype="auto", backend="openvino")
    except MissingExtraError as error:
        print(error, file=sys.stderr)
    return encoders


def vectors(encoder: VideoColBERTEncoder, batch: list[DecodedClip]) -> torch.Tensor:
    """All vectors of the first clip of a batch: [N, D]."""
    first = encoder.encode_decoded(batch)[0]
    if not isinstance(first, EncodedVideo):
        raise TypeError(f"the clip could not be encoded: {first.reason}")
    return torch.cat(list(first.embeds.values()))


def seconds_in_turn(encoders: Mapping[str, VideoColBERTEncoder], clip: DecodedClip) -> dict[str, float]:
    """Seconds of a clip by encoder, at their least."""
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    for number in range(1 + ROUNDS):
        for name, encoder in encoders.items():
            start = time.perf_counter()
            encoder.encode_decoded([clip])
            if number:
                seconds[name].append(time.perf_counter() - start)
    return {name: min(of_name) for name, of_name in seconds.items()}


def seconds_of_index(encoder: VideoColBERTEncoder, files: list[Path], place: Path) -> float:
    """Seconds of indexing files into a new index."""
    index = LanceIndex.create(place, model=encoder.reference, num_frames=encoder.num_frames)
    start = time.perf_counter()
    index_videos(index, encoder, files)
    seconds = time.perf_counter() - start
    if len(index) != len(files):
        raise RuntimeError(f"the index holds {len(index)} of {len(files)} clips")
    return seconds


def equal_hits(encoder: VideoColBERTEncoder) -> float:
    """Share of the ten best of 200 captions that an encoder's format shares with float32, on a trained model."""
    best = []
    for number_format in ("float32", encoder.format_choice.number_format):
        bags, queries = trained_tokens(number_format)
        best.append(score_bags(queries, bags).scores.topk(TOP, dim=1).indices.tolist())
    same = [len(set(exact) & set(other)) for exact, other in zip(*best, strict=True)]
    return sum(same) / (TOP * len(same))


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Measures all of it on this machine."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["VIDEO_COLBERT_CACHE"] = str(folder / "cache")
        encoders = load_encoders(save_sized_checkpoint(folder / "checkpoint"))
        exact, auto = encoders["float32"], encoders["auto"]
        write_clip(folder / "clip.mp4")
        content = (folder / "clip.mp4").read_bytes()
        files = [folder / f"{number:03d}.mp4" for number in range(CLIPS)]
        for number, path in enumerate(files):
            # A box that decoders pass over makes each clip a content of its own.
            path.write_bytes(content + (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big"))
        clip = exact.clip_decoder().decode(VideoClip(str(files[0])))
        if not isinstance(clip, DecodedClip):
            raise TypeError(clip.reason)
        other = DecodedClip(**{**vars(clip), "pixels": 255 - clip.pixels})
        seconds = seconds_in_turn(encoders, clip)
        expected = vectors(exact, [clip])
        cosines = {
            name: float(F.cosine_similarity(vectors(each, [clip]), expected).min()) for name, each in encoders.items()
        }
        moved = {
            name: float((vectors(each, [clip, other]) - vectors(each, [clip])).abs().max())
            for name, each in encoders.items()
        }
        start = time.perf_counter()
        choose_format(exact.model)
        seconds_of_choice = time.perf_counter() - start
        start_worker_server("video_colbert.encoding.decoding_process")
        indexing = {
            name: seconds_of_index(encoders[name], files, folder / f"index {name}") for name in ("auto", "float32")
        }
        figures: dict[str, Any] = {
            "auto is": auto.format_choice.in_words(),
            "seconds of the choice": seconds_of_choice,
        }
        for each in encoders:
            figures[f"{each}: speed"] = seconds["float32"] / seconds[each]
            figures[f"{each}: least cosine"] = cosines[each]
            figures[f"{each}: moved by the batch"] = moved[each]
        figures["float32: ms a clip"] = 1000 * seconds["float32"]
        targets = [
            Target("auto, times float32", seconds["float32"] / seconds["auto"], 2.5, at_least=True),
            Target("least cosine", min(cosines.values()), 0.999, at_least=True),
            Target("moved by the batch", max(moved.values()), 1e-5, at_least=False),
            Target("equal among the ten best", equal_hits(auto), 0.99, at_least=True),
            Target(f"index of {len(files)} clips", indexing["float32"] / indexing["auto"], 2.0, at_least=True),
            Target("seconds of the choice", seconds_of_choice, 1.0, at_least=False),
        ]
        if len(encoders) > 2:
            fastest = min(seconds["openvino float32"], seconds["openvino auto"])
            targets.insert(1, Target("OpenVINO, times float32", seconds["float32"] / fastest, 3.5, at_least=True))
        return figures, targets


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__, measure))
