"""`index_videos` into a real index against decoding alone and encoding alone.

300 clips of 48 frames of 320 x 240 pixels, 12 frames of each at 224 pixels; three rounds. Decoding alone is
the same decoding processes without an encoder; encoding alone is the same encoder on clips that are decoded already.
All of it runs after the decoding processes' server is up; how long that takes is a figure of its own, and the command
starts it before it loads the model. Targets:
- an encoder stand-in that sleeps as long as decoding took in this round: at least 0.85 of the slower of decoding and
  sleeping, in the best round;
- an encoder that computes on the processor: at least 0.9 of 1 / (1 / decoding + 1 / encoding), each at its best.
Threads that decode, which a crash or a hanging file would take down with them, are measured for comparison.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from bench_input import write_clip
from benchmark_report import Target, run_benchmark

from video_colbert.encoding.bulk_encoder import BulkEncoder
from video_colbert.encoding.clip_decoding import DecodedClip
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.pretrained import load_pretrained
from video_colbert.index import LanceIndex, index_videos
from video_colbert.index.ingest.events import Encoded
from video_colbert.index.ingest.plan import IngestPlan
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processes.worker_server import default_workers
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.tiny_backbones import save_tiny_clip_backbone, train_clip_tokenizer

CLIPS, FRAMES, IMAGE_SIZE, BATCH = 300, 12, 224, 8
ROUNDS = 3


class StandInEncoder(VideoColBERTEncoder):
    """Gives each clip the same vectors after a time in which the processor is free, as an accelerator leaves it."""

    seconds_per_clip = 0.0

    def encode_decoded(self, batch: Sequence[DecodedClip]) -> list[EncodedVideo | BadVideo]:
        """Sleeps instead of encoding."""
        time.sleep(self.seconds_per_clip * len(batch))
        vectors = torch.nn.functional.normalize(torch.ones(FRAMES, 16), dim=1)
        return [
            EncodedVideo(clip.clip, clip.duration, clip.timestamps, {"frame": vectors, "video": vectors})
            for clip in batch
        ]


class Ingestion:
    """Clips, a model and index folders.

    Args:
        folder: where all of them go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        (folder / "clips").mkdir()
        write_clip(folder / "clip.mp4")
        content = (folder / "clip.mp4").read_bytes()
        self.files = [folder / "clips" / f"{number:03d}.mp4" for number in range(CLIPS)]
        for number, path in enumerate(self.files):
            # A box that decoders pass over makes each clip a content of its own.
            path.write_bytes(content + (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big"))
        tokenizer = train_clip_tokenizer(["noise that moves"])
        backbone = save_tiny_clip_backbone(folder / "backbone", tokenizer, image_size=IMAGE_SIZE)
        checkpoint = folder / "checkpoint"
        VideoColBERTModel.from_backbone(backbone, query_length=8, max_frames=FRAMES).save_pretrained(checkpoint)
        processor = VideoColBERTProcessor.from_backbone(backbone, query_length=8, num_frames=FRAMES)
        processor.save_pretrained(checkpoint)
        self.encoder = VideoColBERTEncoder.from_pretrained(checkpoint, device="cpu")
        self.stand_in = StandInEncoder(load_pretrained(checkpoint, device="cpu"))
        self.idle = StandInEncoder(load_pretrained(checkpoint, device="cpu"))

    def index(self, encoder: VideoColBERTEncoder) -> float:
        """Indexes all clips into a new index; returns clips a second."""
        self.number += 1
        index = LanceIndex.create(self.folder / f"index{self.number}", model=encoder.reference, num_frames=FRAMES)
        seconds = timed(lambda: index_videos(index, encoder, self.files, batch_size=BATCH))
        if len(index) != CLIPS:
            raise RuntimeError(f"the index holds {len(index)} of {CLIPS} clips")
        return CLIPS / seconds

    def decode(self) -> float:
        """Reads and decodes all clips with nothing after it; returns clips a second."""

        def run() -> None:
            with BulkEncoder([self.idle], batch_size=BATCH, num_frames=FRAMES) as bulk:
                plan = IngestPlan([str(path) for path in self.files], {}, None)
                if sum(isinstance(event, Encoded) for event in bulk.run(plan)) != CLIPS:
                    raise RuntimeError("some clips were not decoded")

        return CLIPS / timed(run)

    def decode_in_threads(self) -> float:
        """Decodes all clips in as many threads; returns clips a second."""
        decoder = self.encoder.clip_decoder(FRAMES)
        torch.set_num_threads(1)

        def run() -> None:
            with ThreadPoolExecutor(default_workers()) as executor:
                for _ in executor.map(lambda path: decoder.decode(VideoClip(path)), self.files):
                    pass

        try:
            return CLIPS / timed(run)
        finally:
            torch.set_num_threads(default_workers())

    def encode(self) -> float:
        """Encodes as many decoded clips in full batches; returns clips a second."""
        clip = self.encoder.clip_decoder(FRAMES).decode(VideoClip(self.files[0]))
        if not isinstance(clip, DecodedClip):
            raise TypeError(clip.reason)

        def run() -> None:
            for start in range(0, CLIPS, BATCH):
                self.encoder.encode_decoded([clip] * min(BATCH, CLIPS - start))

        return CLIPS / timed(run)


def timed(run: Callable[[], object]) -> float:
    """Runs something once; returns the seconds it took."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure_round(ingestion: Ingestion) -> dict[str, float]:
    """Measures each throughput once, in clips a second."""
    decode = ingestion.decode()
    ingestion.stand_in.seconds_per_clip = 1 / decode
    return {
        "decode_only": decode,
        "index_sleeping_encoder": ingestion.index(ingestion.stand_in),
        "decode_only_in_threads": ingestion.decode_in_threads(),
        "encode_only": ingestion.encode(),
        "index_computing_encoder": ingestion.index(ingestion.encoder),
    }


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Runs the rounds; sleeping is compared within a round, computing by the best throughputs."""
    with tempfile.TemporaryDirectory() as folder:
        ingestion = Ingestion(Path(folder))
        first = timed(ingestion.decode)
        rounds = [measure_round(ingestion) for _ in range(ROUNDS)]
    best = {name: max(each[name] for each in rounds) for name in rounds[0]}
    figures: dict[str, Any] = {
        f"{name}_clips_per_second": [round(each[name], 1) for each in rounds] for name in rounds[0]
    }
    figures["decoding_processes"] = default_workers()
    figures["start_up_seconds"] = first - CLIPS / best["decode_only"]
    return figures, [
        Target(
            # Decoding took as long as the sleep, so either of them is the slower.
            "indexing over the slower of decoding and sleeping, best round",
            max(each["index_sleeping_encoder"] / each["decode_only"] for each in rounds),
            0.85,
            at_least=True,
        ),
        Target(
            "indexing over decoding and computing in turn",
            best["index_computing_encoder"] * (1 / best["decode_only"] + 1 / best["encode_only"]),
            0.9,
            at_least=True,
        ),
    ]


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", measure))
