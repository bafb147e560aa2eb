"""Evaluation of a model on a data set, from its name to metrics."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.dataset_rows import DatasetRows, load_rows
from video_colbert.evaluation.embedding_cache import EmbeddingCache
from video_colbert.evaluation.encoded_split import encode_rows, encode_split
from video_colbert.evaluation.labels.labelled_results import with_labelled_figures
from video_colbert.evaluation.labels.query_labels import query_labels
from video_colbert.evaluation.metrics import Ties
from video_colbert.evaluation.reports.failures import worst_failures
from video_colbert.evaluation.reports.report import EvaluationReport
from video_colbert.evaluation.retrieval import evaluate_split, rank_split
from video_colbert.evaluation.streamed_rows import encode_stream


def evaluate(
    encoder: VideoColBERTEncoder,
    dataset: str | DatasetRows,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    video_dir: str | os.PathLike[str] | None = None,
    protocol: str | None = None,
    split: str = "test",
    allow_missing: bool = False,
    caption_column: str | None = None,
    streaming: bool = False,
    batch_size: int = 32,
    threads: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    ties: Ties = "expected",
    dual_softmax: bool = False,
    level_weights: Mapping[str, float] | None = None,
    num_failures: int | None = None,
) -> EvaluationReport:
    """Evaluates a model: recall and ranks of each level, in both directions, with what was left out.

    A data set with graded judgements, such as "multivent2", is measured by nDCG@10 too, over the videos that are
    there; one that says which source answers a query, such as "spoken_shapes", by source too.

    Args:
        encoder: the model.
        dataset: "msrvtt", "msvd", "vatex", "didemo", "activitynet" or "multivent2" from their official files;
            "spoken_shapes" from those of `write_spoken_shapes`; "video_folder" for any folder of videos with a
            captions.jsonl or captions.csv; "moving_shapes", which is made on the spot; "me/set" of the Hub,
            "videofolder", or a folder that `datasets.load_dataset` opens.
            Or what `load_rows` returned; the arguments up to `streaming` are then not looked at.
        data_dir: folder with the annotation files, unchanged, and the videos at any depth.
        video_dir: folder of a benchmark's videos, where it is another one.
        protocol: protocol of a benchmark, by default its first; or the configuration of a data set of the Hub.
        split: name of the split.
        allow_missing: go on without the videos whose files are missing; the report says how many are there.
        caption_column: column of a Hub data set's captions, by default "captions", "caption" or "text".
        streaming: whether a data set of the Hub is read as it is encoded, for one larger than the disk.
        batch_size: videos, or captions, that go through the model together.
        threads: decoding threads; by default one for each processor core, at most 8.
        cache_dir: folder that keeps embeddings, so that a second evaluation only scores.
        ties: how tied scores are ranked; "expected" is over random tie-breaking, with bootstrap intervals.
        dual_softmax: re-weight the scores by dual softmax, which sees all queries; the results say so.
        level_weights: how much each level counts in the sum; by default what it counts in the model. The results say
            so.
        num_failures: queries with the lowest ranked videos to show with pictures, for `write_report`, which then
            has histograms of the scores too; None for neither.

    Raises:
        DatasetError: a data set of the Hub cannot be opened, or its columns are not understood.
        ValueError: there is no such data set, protocol or split, the arguments do not go together, a weight is of a
            level that the model does not score by, or there is nothing to evaluate.
        OSError: a file of the data set, or a video under `data_dir` without `allow_missing`, is missing or cannot
            be read; or the cache cannot be written.
        ModuleNotFoundError: the `train` extra is not installed.

    Example:
        >>> report = evaluate(encoder, "msrvtt", data_dir="MSRVTT")
        >>> report.results[0].level, sorted(report.results[0].metrics)[:3]
        ('frame', ['MRR', 'MdR', 'MnR'])
    """
    if isinstance(dataset, DatasetRows):
        found = dataset
    else:
        found = load_rows(
            dataset,
            data_dir=data_dir,
            video_dir=video_dir,
            protocol=protocol,
            split=split,
            allow_missing=allow_missing,
            caption_column=caption_column,
            streaming=streaming,
        )
    cache = None if cache_dir is None else EmbeddingCache(cache_dir, encoder)
    encoding: dict[str, Any] = {"batch_size": batch_size, "threads": threads, "cache": cache}
    if found.stream is not None:
        rows, videos = encode_stream(encoder, found.stream, **encoding)
        found = replace(found, rows=rows)
    else:
        videos = encode_rows(encoder, found.rows, progress=True, **encoding)
    encoded = encode_split(encoder, found.rows, videos=videos, batch_size=batch_size, cache=cache)
    encoded = replace(encoded, queries=encoded.queries.with_level_weights(level_weights or {}))
    ranks = rank_split(encoded, dual_softmax=dual_softmax, with_distribution=num_failures is not None, progress=True)
    results = evaluate_split(
        encoded,
        dataset=found.dataset,
        protocol=found.protocol,
        split_name=found.split,
        ties=ties,
        dual_softmax=dual_softmax,
        ranks=ranks,
        confidence_intervals=ties == "expected",
    )
    good = [row for row, video in zip(found.rows, videos, strict=True) if isinstance(video, EncodedVideo)]
    labels = query_labels(good)
    results = with_labelled_figures(results, encoded, ranks, labels, ties=ties, dual_softmax=dual_softmax)
    gallery = [video for video in videos if isinstance(video, EncodedVideo)]
    failures = (
        worst_failures(encoder, encoded, gallery, ranks["sum"].text_to_video, number=num_failures)
        if num_failures is not None
        else []
    )
    return EvaluationReport(
        model=str(encoder.reference),
        is_zero_shot=encoder.is_zero_shot,
        results=results,
        split=encoded,
        ranks=ranks,
        failures=failures,
        differences=found.differences,
        num_cached=0 if cache is None else cache.hits,
    )
