"""Search by picture: the middle frame of each of the demo's test clips, and cropped copies of each.

The demo's model and its 200 test clips (`make demo` makes both), which are asked for by their middle frame, of which
the index holds no token, and by copies that were cropped on every side and encoded again, worse, as clips. Each is
measured with an index of 4 frames a clip, as the demo's is, and of 8, and with captions beside it. What bringing words
and pictures to one scale is worth: the words are each clip's caption, the picture the middle frame of its copy.

    python benchmarks/bench_visual_queries.py [--demo FOLDER]

Targets, with 8 frames a clip: first by the middle frame in 95 %, and by a copy without a twentieth at each side, a
fifth of the picture, in 80 %. Without a tenth at each side fewer are found: the model tells these clips apart by where
shapes are and how large, and both change.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from benchmark_report import Target, add_json_argument, report_figures, script_parser
from demo_checkpoint import load_demo_encoder
from torch import Tensor

from video_colbert import EncodedVideo, VideoClip, VideoColBERTEncoder, VisualQuery, open_index
from video_colbert.encoding.level_scores import level_scores, pad_levels
from video_colbert.processing import decode_video

REPOSITORY = Path(__file__).parents[1]
FRAMES = (4, 8)
# Of the sides of a frame, what is cut off at each; the first is the target's.
CROPPED = (0.05, 0.1)
# x264's constant rate factor: visibly worse than its default, 23.
QUALITY = "28"
_INSTANT = 1e-4


def main() -> int:
    """Measures; returns 0 if the targets are met."""
    parser = add_json_argument(script_parser(__doc__))
    parser.add_argument("--demo", type=Path, default=REPOSITORY / "runs" / "demo", help="what `make demo` has made")
    arguments = parser.parse_args()
    if not (arguments.demo / "training" / "best").is_dir():
        parser.error(f"there is no trained model in {arguments.demo}; run `make demo` first")
    with tempfile.TemporaryDirectory() as folder:
        figures, targets = measure(arguments.demo.resolve(), Path(folder))
    return report_figures(figures, targets, arguments.json)


def measure(demo: Path, folder: Path) -> tuple[dict[str, Any], list[Target]]:
    """The figures and the targets."""
    encoder = load_demo_encoder(demo / "training" / "best")
    lines = (demo / "clips" / "test" / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    clips = [demo / "clips" / "test" / row["video"] for row in rows]
    copies = {margin: [cropped_copy(clip, margin, folder) for clip in clips] for margin in CROPPED}
    pictures = [VisualQuery(image=middle_frame(clip)) for clip in clips]
    of_copies = [VisualQuery(image=middle_frame(copy)) for copy in copies[CROPPED[0]]]
    figures: dict[str, Any] = {"clips": len(clips)}
    for number in FRAMES:
        # A clip that is asked by is sampled as those of the index are.
        encoder.processor.video_processor = encoder.processor.video_processor.with_settings(num_frames=number)
        videos = encoded(encoder, clips)
        words = level_scores(encoder.encode_queries([row["caption"] for row in rows]), pad_levels(videos))["sum"]
        shown = scores(encoder, of_copies, videos)
        ratios = words.std(dim=1, keepdim=True) / shown.std(dim=1, keepdim=True)
        of_frames = {"middle_frame": scores(encoder, pictures, videos), "caption": words}
        for margin, files in copies.items():
            queries = [VisualQuery(clip=VideoClip(str(file))) for file in files]
            of_frames[f"copy_cropped_by_{margin}"] = scores(encoder, queries, videos)
        of_frames |= {
            "middle_frame_of_copy": shown,
            "caption_and_that_frame_as_they_are": words + shown,
            "caption_and_that_frame_on_one_scale": words + ratios * shown,
        }
        figures |= {f"{name}_{number}_frames": share_first(ranks_of(each)) for name, each in of_frames.items()}
        figures[f"spread_of_words_over_pictures_{number}_frames"] = float(ratios.median())
    figures["first_by_index_search"] = first_in_an_index(encoder, clips, folder / "index")
    most = FRAMES[-1]
    by_copy = figures[f"copy_cropped_by_{CROPPED[0]}_{most}_frames"]
    return figures, [
        Target("clip first by its middle frame", figures[f"middle_frame_{most}_frames"], 0.95, at_least=True),
        Target("clip first by a cropped copy", by_copy, 0.80, at_least=True),
        Target("first by index.search", figures["first_by_index_search"], 0.95, at_least=True),
    ]


def first_in_an_index(encoder: VideoColBERTEncoder, clips: Sequence[Path], place: Path) -> float:
    """The share of clips that an index of them finds first by the middle frame."""
    index = open_index(place, encoder)
    index.add(clips)
    found = [index.search(middle_frame(clip), top_k=1)[0].video for clip in clips]
    return sum(video == str(clip) for video, clip in zip(found, clips, strict=True)) / len(clips)


def middle_frame(clip: Path) -> np.ndarray:
    """The frame that is on show in the middle, uint8 [H, W, 3]."""
    middle = decode_video(clip).duration / 2
    frame: np.ndarray = decode_video(clip, 1, start=middle, end=middle + _INSTANT).frames[0]
    return frame


def cropped_copy(clip: Path, margin: float, folder: Path) -> Path:
    """Writes a clip without some of each side, encoded again; returns the file."""
    copy = folder / f"{clip.stem}_{margin}.mp4"
    frames = decode_video(clip).frames
    height, width = frames.shape[1:3]
    top, left = round(height * margin), round(width * margin)
    inner = frames[:, top : height - top, left : width - left]
    inner = inner[:, : inner.shape[1] // 2 * 2, : inner.shape[2] // 2 * 2]
    with av.open(str(clip)) as original, av.open(str(copy), "w") as container:
        stream = container.add_stream("libx264", rate=original.streams.video[0].average_rate, options={"crf": QUALITY})
        stream.height, stream.width, stream.pix_fmt = inner.shape[1], inner.shape[2], "yuv420p"
        for frame in inner:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    return copy


def encoded(encoder: VideoColBERTEncoder, clips: Sequence[Path]) -> list[EncodedVideo]:
    """The clips as an index has them."""
    return [video for video in encoder.encode_videos(clips) if isinstance(video, EncodedVideo)]


def scores(encoder: VideoColBERTEncoder, queries: Sequence[VisualQuery], videos: Sequence[EncodedVideo]) -> Tensor:
    """Scores of visual queries with videos, [Nq, Nv]."""
    with torch.inference_mode():
        return level_scores(encoder.encode_visual_queries(queries), pad_levels(videos))["sum"]


def ranks_of(of_pairs: Tensor) -> Tensor:
    """The rank of the video of each query's own row, from 1."""
    return 1 + (of_pairs > of_pairs.diagonal()[:, None]).sum(dim=1)


def share_first(ranks: Tensor) -> float:
    """The share of queries whose video is first."""
    return float((ranks == 1).float().mean())


if __name__ == "__main__":
    sys.exit(main())
