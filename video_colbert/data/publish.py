"""Writes a benchmark as a data-only repository that `datasets.load_dataset` opens, and uploads it to the Hub."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import DatasetCard, DatasetCardData, HfApi

from video_colbert.dataset_builders.benchmarks import BENCHMARKS, load_benchmark
from video_colbert.dataset_builders.protocol_check import ProtocolCheck, check_protocol
from video_colbert.dataset_builders.protocols import Protocol, default_protocol, get_protocol
from video_colbert.progress import progress_bar

logger = logging.getLogger(__name__)

VIDEO_FOLDER = "videos"
# Of rows with their videos, how many bytes are written at once and how many go into a file.
_GROUP_BYTES = 100 * 2**20
_FILE_BYTES = 500 * 2**20
# What an Arrow column holds of one value.
_MAX_VIDEO_BYTES = 2**31 - 1
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
) -> tuple[ProtocolCheck, ...]:
    """Writes a benchmark's rows as Parquet files with a data set card.

    A row's `video` is `{"path": "videos/<file name>", "bytes": null}`, where the file belongs; with `include_videos`
    it is `{"path": "<file name>", "bytes": ...}` with the content of the file, which opens wherever the row is loaded.

    Args:
        folder: Folder to write to; made if it does not exist.
        name: Name of the benchmark.
        data_dir: Folder with its annotation files and videos.
        protocol: Name of the protocol, by default the benchmark's first.
        splits: The splits; by default all whose annotations are there.
        video_dir: Folder of the videos, where it is another one.
        include_videos: Whether rows hold the video files too. Most of them are not free to be passed on.
        allow_missing: Whether rows whose video is missing stay, with a null `video`.
        title: Heading of the card, by default the benchmark and protocol.

    Returns:
        How each split compares with the protocol.

    Raises:
        ValueError: An unknown name, two videos of the same file name, or a video of 2 GiB or more that is to be
            included.
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
    schema = BENCHMARKS[name].row_features().arrow_schema
    files: dict[str, Path] = {}
    reports = []
    for split, stream in streams.items():
        rows = [_published_row(row, files) for row in stream]
        reports.append(check_protocol(rows, name, protocol, split))
        if include_videos:
            _write_with_videos(rows, files, schema, root / "data", split)
        else:
            pq.write_table(
                pa.Table.from_pylist(rows, schema=schema), root / "data" / f"{split}-00000-of-00001.parquet"
            )
    card = dataset_card(
        name,
        protocol,
        reports,
        title or f"{name}, protocol {protocol}",
        files={
            split: [path.relative_to(root).as_posix() for path in sorted((root / "data").glob(f"{split}-*.parquet"))]
            for split in streams
        },
        include_videos=include_videos,
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
) -> tuple[str, tuple[ProtocolCheck, ...]]:
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
    name: str,
    protocol: str,
    reports: Sequence[ProtocolCheck],
    title: str,
    *,
    files: Mapping[str, Sequence[str]],
    include_videos: bool,
) -> DatasetCard:
    """Writes the card: what `load_dataset` reads (configuration, splits) and what people must know.

    Args:
        name: Name of the benchmark.
        protocol: Name of the protocol.
        reports: How each split compares with it.
        title: Heading.
        files: The paths of each split's files in the repository.
        include_videos: Whether the rows hold the video files.

    Returns:
        The card.
    """
    facts = get_protocol(name, protocol)
    data_files = [{"split": split, "path": list(paths)} for split, paths in files.items()]
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
    facts: Protocol, protocol: str, reports: Sequence[ProtocolCheck], title: str, include_videos: bool
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
        "The rows hold the video files."
        if include_videos
        else f"The video files are not in this repository: `path` names where they belong, `{VIDEO_FOLDER}/`."
    )
    video = (
        "`path`, the file's name, and `bytes`, its content" if include_videos else "`path` of the file, `bytes` null"
    )
    columns = dict.fromkeys(column for report in reports for column in BENCHMARKS[report.benchmark].EXTRA_FEATURES)
    further = "".join(f"; `{column}`" for column in columns)
    lines += [
        "",
        f"Columns: `video_id`; `video` ({video}); `captions`; `start` and "
        f"`end`, in seconds, of the part that the captions are about, null for all of it{further}.",
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


def _write_with_videos(
    rows: Sequence[Mapping[str, Any]], files: Mapping[str, Path], schema: pa.Schema, folder: Path, split: str
) -> None:
    """Writes rows with the content of their videos, in files of about 500 MiB; only a group of rows is in memory."""
    writers: list[tuple[Path, pq.ParquetWriter]] = []
    in_file = 0
    with ExitStack() as stack, progress_bar(total=len(rows), desc=f"writing {split}", unit="video") as progress:
        for group, size in _groups(rows, files):
            if not writers or in_file + size > _FILE_BYTES:
                stack.close()
                path = folder / f"{split}-{len(writers):05d}.unfinished"
                writers.append((path, stack.enter_context(pq.ParquetWriter(path, schema))))
                in_file = 0
            held = [_with_content(row, files) for row in group]
            writers[-1][1].write_table(pa.Table.from_pylist(held, schema=schema))
            in_file += size
            progress.update(len(group))
    for number, (path, _) in enumerate(writers):
        path.rename(folder / f"{split}-{number:05d}-of-{len(writers):05d}.parquet")


def _groups(
    rows: Sequence[Mapping[str, Any]], files: Mapping[str, Path]
) -> Iterator[tuple[list[Mapping[str, Any]], int]]:
    """Rows in groups whose videos are read at once, with the size of these.

    Raises:
        ValueError: A video is larger than a row can hold.
    """
    group: list[Mapping[str, Any]] = []
    total = 0
    for row in rows:
        file = None if row["video"] is None else files[Path(row["video"]["path"]).name]
        size = 0 if file is None else file.stat().st_size
        if size > _MAX_VIDEO_BYTES:
            raise ValueError(f"{file} has {size} bytes, and a row of a data set holds {_MAX_VIDEO_BYTES} at most")
        if group and total + size > _GROUP_BYTES:
            yield group, total
            group, total = [], 0
        group.append(row)
        total += size
    yield group, total


def _with_content(row: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    if row["video"] is None:
        return dict(row)
    name = Path(row["video"]["path"]).name
    return {**row, "video": {"path": name, "bytes": files[name].read_bytes()}}
