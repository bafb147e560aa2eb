"""Writes a benchmark as a data-only repository that `datasets.load_dataset` opens, and uploads it to the Hub."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import DatasetCard, DatasetCardData, HfApi
from tqdm import tqdm

from video_colbert.dataset_builders.benchmarks import load_benchmark
from video_colbert.dataset_builders.protocols import Protocol, Verification, default_protocol, get_protocol, verify
from video_colbert.dataset_builders.video_files import video_text_features

logger = logging.getLogger(__name__)

VIDEO_FOLDER = "videos"
LICENCE_NOTE = (
    "The annotations belong to the authors of the data set and the videos to those who made them. "
    "This repository states no licence of its own; see the source for the terms."
)


def write_dataset_repository(
    folder: str | Path,
    name: str,
    data_dir: str | Path,
    *,
    protocol: str | None = None,
    splits: Sequence[str] | None = None,
    video_dir: str | Path | None = None,
    include_videos: bool = False,
    allow_missing: bool = False,
    title: str | None = None,
) -> tuple[Verification, ...]:
    """Writes a benchmark's rows as Parquet files with a data set card.

    A row's `video` is `{"path": "videos/<file name>", "bytes": null}`, relative to the repository, whether the files
    are in it or not.

    Args:
        folder: Folder to write to; made if it does not exist.
        name: Name of the benchmark.
        data_dir: Folder with its annotation files and videos.
        protocol: Name of the protocol, by default the benchmark's first.
        splits: The splits; by default all whose annotations are there.
        video_dir: Folder of the videos, where it is another one.
        include_videos: Whether to copy the video files too. Most of them are not free to be passed on.
        allow_missing: Whether rows whose video is missing stay, with a null `video`.
        title: Heading of the card, by default the benchmark and protocol.

    Returns:
        How each split compares with the protocol.

    Raises:
        ValueError: An unknown name, or two videos of the same file name.
        OSError: What `load_benchmark` raises.
    """
    protocol = protocol or default_protocol(name)
    arguments: dict[str, Any] = {
        "protocol": protocol,
        "data_dir": data_dir,
        "video_dir": video_dir,
        "allow_missing": allow_missing,
        "streaming": True,
    }
    if splits is None:
        streams = load_benchmark(name, **arguments)
    else:
        streams = {split: load_benchmark(name, split=split, **arguments) for split in splits}
    root = Path(folder)
    (root / "data").mkdir(parents=True, exist_ok=True)
    # The schema carries the features, which is how `load_dataset` knows that `video` is one and stays undecoded.
    schema = video_text_features().arrow_schema
    files: dict[str, Path] = {}
    reports = []
    for split, stream in streams.items():
        rows = [_published_row(row, files) for row in stream]
        reports.append(verify(rows, name, protocol, split))
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), root / "data" / f"{split}-00000-of-00001.parquet")
    if include_videos:
        (root / VIDEO_FOLDER).mkdir(exist_ok=True)
        for file_name, path in tqdm(files.items(), desc="copying videos", unit="video", disable=None):
            shutil.copyfile(path, root / VIDEO_FOLDER / file_name)
    card = dataset_card(
        name, protocol, reports, title or f"{name}, protocol {protocol}", include_videos=include_videos
    )
    card.save(root / "README.md")
    return tuple(reports)


def publish_dataset(
    repo_id: str,
    name: str,
    data_dir: str | Path,
    *,
    protocol: str | None = None,
    splits: Sequence[str] | None = None,
    video_dir: str | Path | None = None,
    include_videos: bool = False,
    allow_missing: bool = False,
    private: bool | None = None,
    token: str | None = None,
) -> tuple[str, tuple[Verification, ...]]:
    """Publishes a benchmark as a data set repository on the Hub, in one commit.

    Args:
        repo_id: The repository, such as "me/msrvtt-1k-A"; made if it does not exist.
        name: Name of the benchmark.
        data_dir: Folder with its annotation files and videos.
        protocol: Name of the protocol, by default the benchmark's first.
        splits: The splits; by default all whose annotations are there.
        video_dir: Folder of the videos, where it is another one.
        include_videos: Whether to upload the video files too. Most of them are not free to be passed on, and a
            public repository passes them on to everyone.
        allow_missing: Whether rows whose video is missing stay, with a null `video`.
        private: Whether a new repository is private; by default as the account has it.
        token: Access token of the Hub.

    Returns:
        Address of the commit, and how each split compares with the protocol.

    Raises:
        ValueError: An unknown name, or two videos of the same file name.
        OSError: What `load_benchmark` raises.
    """
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder:
        reports = write_dataset_repository(
            folder,
            name,
            data_dir,
            protocol=protocol,
            splits=splits,
            video_dir=video_dir,
            include_videos=include_videos,
            allow_missing=allow_missing,
            title=repo_id.split("/")[-1],
        )
        api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            commit_message=f"{name}, protocol {protocol or default_protocol(name)}",
            # Files of an earlier version that this one does not write would be loaded with it.
            delete_patterns=["data/*.parquet"],
        )
    return str(commit), reports


def dataset_card(
    name: str, protocol: str, reports: Sequence[Verification], title: str, *, include_videos: bool
) -> DatasetCard:
    """Writes the card: what `load_dataset` reads (configuration, splits) and what people must know.

    Args:
        name: Name of the benchmark.
        protocol: Name of the protocol.
        reports: How each split compares with it.
        title: Heading.
        include_videos: Whether the repository holds the video files.

    Returns:
        The card.
    """
    facts = get_protocol(name, protocol)
    data_files = [{"split": report.split, "path": f"data/{report.split}-00000-of-00001.parquet"} for report in reports]
    data = DatasetCardData(
        language=["en"],
        license="other",
        license_name="see-source",
        task_categories=["text-to-video", "video-text-to-text"],
        tags=["text-to-video-retrieval", name],
        pretty_name=title,
        configs=[{"config_name": protocol, "data_files": data_files, "default": True}],
    )
    return DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{_card_text(facts, protocol, reports, title, include_videos)}")


def _card_text(
    facts: Protocol, protocol: str, reports: Sequence[Verification], title: str, include_videos: bool
) -> str:
    lines = [
        f"# {title}",
        "",
        f"Protocol {protocol}: {facts.query_rule}; {facts.video_to_text_rule}.",
        f"Source: {facts.source}.",
        *([facts.note] if facts.note else []),
        "",
        "| split | rows | queries | videos present | differs from the protocol in |",
        "|---|---|---|---|---|",
    ]
    for report in reports:
        differences = "; ".join(report.differences) or "nothing that was compared"
        lines.append(f"| {report.split} | {report.rows} | {report.queries} | {report.coverage} | {differences} |")
    held = (
        f"The video files are in `{VIDEO_FOLDER}/`."
        if include_videos
        else f"The video files are not in this repository: `path` names where they belong, `{VIDEO_FOLDER}/`."
    )
    lines += [
        "",
        "Columns: `video_id`; `video` (`path` relative to the repository, `bytes` null); `captions`; `start` and "
        "`end`, in seconds, of the part that the captions are about, null for all of it.",
        "",
        held,
        "",
        "## Licence",
        "",
        LICENCE_NOTE,
        "",
    ]
    return "\n".join(lines)


def _published_row(row: Mapping[str, Any], files: dict[str, Path]) -> dict[str, Any]:
    """A row with a relative video path; notes in `files` which file it is."""
    if row["video"] is None:
        return dict(row)
    path = Path(row["video"]["path"])
    if files.setdefault(path.name, path) != path:
        raise ValueError(f"two videos have the file name {path.name}: {files[path.name]} and {path}")
    return {**row, "video": {"path": f"{VIDEO_FOLDER}/{path.name}", "bytes": None}}
