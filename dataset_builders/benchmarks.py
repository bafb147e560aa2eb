"""Loads a benchmark by name."""

from pathlib import Path

import datasets

from .activitynet import ActivityNet
from .benchmark_builder import BenchmarkBuilder
from .didemo import DiDeMo
from .msrvtt import MSRVTT
from .msvd import MSVD
from .multivent2 import MultiVENT2
from .protocols import default_protocol, get_protocol, get_split
from .spoken_shapes import SpokenShapes
from .vatex import VATEX

BENCHMARKS: dict[str, type[BenchmarkBuilder]] = {
    builder.BENCHMARK: builder for builder in (MSRVTT, MSVD, VATEX, DiDeMo, ActivityNet, MultiVENT2, SpokenShapes)
}


def load_benchmark(
    name: str,
    *,
    data_dir: str | Path,
    protocol: str | None = None,
    split: str | None = None,
    video_dir: str | Path | None = None,
    allow_missing: bool = False,
    streaming: bool = False,
    num_proc: int | None = None,
    cache_dir: str | Path | None = None,
) -> datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | datasets.IterableDatasetDict:
    """Loads a benchmark from its official annotation files.

    Args:
        name: "msrvtt", "msvd", "vatex", "didemo", "activitynet", "multivent2" or "spoken_shapes".
        data_dir: Folder with the annotation files and, at any depth, the videos.
        protocol: One of the benchmark's protocols, see `protocols.PROTOCOLS`; by default its first.
        split: "train", "validation" or "test", as far as the protocol has them. Only its own annotation files
            are needed.
        video_dir: Folder of the videos, where it is another one.
        allow_missing: Whether to keep the rows whose video file is missing, with a null `video`.
        streaming: Whether to return an iterable that reads as it goes, without a cache.
        num_proc: Number of processes that build the cache.
        cache_dir: Where the cache goes; by default where `datasets` has it.

    Returns:
        The split or, without `split`, all splits whose annotations are there, by name. The columns are those of
        `video_files.video_text_features`, and the builder's `EXTRA_FEATURES`.

    Raises:
        ValueError: An unknown benchmark, protocol or split.
        MissingAnnotationsError: Annotation files are missing; the message lists the expected ones.
        AnnotationError: An annotation file is malformed; the message names file and line.
        MissingVideosError: Video files are missing and `allow_missing` is not set; the message names them.
    """
    protocol = protocol or default_protocol(name)
    get_protocol(name, protocol)
    if split is not None:
        get_split(name, protocol, split)
    builder = BENCHMARKS[name](
        config_name=protocol,
        cache_dir=str(cache_dir) if cache_dir is not None else None,
        data_dir=str(data_dir),
        video_dir=str(video_dir) if video_dir is not None else None,
        split=split,
        allow_missing=allow_missing,
    )
    if streaming:
        return builder.as_streaming_dataset(split=split)
    builder.download_and_prepare(num_proc=num_proc)
    return builder.as_dataset(split=split)
