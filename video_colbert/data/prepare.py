"""Checks a folder of videos in parallel, re-encodes it if asked, and goes on where an earlier run stopped."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import statistics
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing.context import BaseContext
from pathlib import Path

from tqdm import tqdm

from video_colbert.console import printable
from video_colbert.dataset_builders.video_files import find_videos

from .video_check import Reencoding, VideoRecord, examine_video

logger = logging.getLogger(__name__)

STATE_FILE = ".video_colbert_prepare.jsonl"
MANIFEST_FILE = "video_manifest.jsonl"


@dataclass(frozen=True)
class Preparation:
    """What came of preparing a folder.

    Attributes:
        folder: The folder.
        records: A record for each video, by path.
        examined: How many of them this run examined; the others were known from an earlier one.
        manifest: File with the records, one JSON object a line.
    """

    folder: Path
    records: tuple[VideoRecord, ...]
    examined: int
    manifest: Path

    @property
    def good(self) -> tuple[VideoRecord, ...]:
        """The videos that decode from end to end."""
        return tuple(record for record in self.records if record.error is None)

    @property
    def bad(self) -> tuple[VideoRecord, ...]:
        """The videos that do not."""
        return tuple(record for record in self.records if record.error is not None)

    def table(self) -> str:
        """A summary in lines of text, the bad videos with their reasons at the end."""
        rows = [
            ("videos", str(len(self.records))),
            ("examined now", str(self.examined)),
            ("good", str(len(self.good))),
            ("bad", str(len(self.bad))),
            ("gigabytes", f"{sum(record.size for record in self.records) / 1e9:.3f}"),
            ("hours", f"{sum(record.duration or 0 for record in self.good) / 3600:.3f}"),
        ]
        for name, unit in (("duration", "s"), ("fps", ""), ("width", "px"), ("height", "px")):
            values = [float(v) for record in self.good if (v := getattr(record, name)) is not None]
            if values:
                spread = f"{min(values):g} to {max(values):g}, median {statistics.median(values):g} {unit}"
                rows.append((name, spread.strip()))
        lines = [f"{name:<14}{value}" for name, value in rows]
        return "\n".join(
            lines + [f"bad: {printable(record.path)}: {printable(str(record.error))}" for record in self.bad]
        )


def prepare_videos(
    folder: str | Path,
    *,
    output_dir: str | Path | None = None,
    reencoding: Reencoding | None = None,
    num_proc: int | None = None,
) -> Preparation:
    """Decodes every video of a folder from end to end and writes a manifest.

    What is found out is kept at once in a state file in the folder; a second run, or one after an interruption, looks
    only at videos that are new or changed.

    Args:
        folder: The folder; videos are found at any depth.
        output_dir: Where re-encoded copies go, under the same names with the extension `.mp4`. It must not lie
            within `folder`.
        reencoding: How to re-encode; with `output_dir` only.
        num_proc: Number of processes, by default one for each core. A script that has more than one calls this under
            `if __name__ == "__main__":`, for they import it.

    Returns:
        The records of all videos, good and bad.

    Raises:
        NotADirectoryError: There is no such folder.
        ValueError: The folder holds no video, or `output_dir` and `reencoding` do not go together.
    """
    root = Path(folder).expanduser().absolute()
    output = Path(output_dir).expanduser().absolute() if output_dir is not None else None
    if (output is None) != (reencoding is None):
        raise ValueError("output_dir and reencoding belong together: give both or neither")
    if output is not None and output.is_relative_to(root):
        raise ValueError(f"output_dir {output} lies within {root}, where its videos would count as further videos")
    videos = find_videos(root)
    if not videos:
        raise ValueError(f"no video file under {root}")
    state_file = root / STATE_FILE
    known = _read_state(state_file)
    records: dict[str, VideoRecord] = {}
    pending: dict[Path, Path | None] = {}
    for path in videos:
        target = output / path.relative_to(root).with_suffix(".mp4") if output is not None else None
        if target in pending.values() and target is not None:
            raise ValueError(f"two videos would be re-encoded to {target}: they differ in their extension alone")
        record = known.get(path.relative_to(root).as_posix())
        if record is not None and _is_current(record, path, target, reencoding):
            records[record.path] = record
        else:
            pending[path] = target
    total, examined = len(videos), len(pending)
    # The line that an interruption cut short is not continued.
    _write_lines(state_file, list(records.values()))
    with (
        state_file.open("a", encoding="utf-8") as state,
        tqdm(total=total, initial=total - examined, desc="videos", unit="video", disable=None) as progress,
    ):
        for record in _examine_all(root, pending, reencoding, num_proc or os.cpu_count() or 1):
            records[record.path] = record
            state.write(_as_line(record))
            state.flush()
            progress.update()
    ordered = tuple(records[path] for path in sorted(records))
    _write_lines(root / MANIFEST_FILE, list(ordered))
    return Preparation(root, ordered, examined, root / MANIFEST_FILE)


def _is_current(record: VideoRecord, path: Path, target: Path | None, reencoding: Reencoding | None) -> bool:
    state = path.stat()
    if (record.size, record.modified_ns) != (state.st_size, state.st_mtime_ns):
        return False
    if record.error is not None or reencoding is None:
        return True
    return record.reencoding == reencoding and target is not None and target.is_file()


def _examine_all(
    root: Path, targets: dict[Path, Path | None], reencoding: Reencoding | None, num_proc: int
) -> Iterator[VideoRecord]:
    """Yields the record of each video as it is done.

    A video that brings its process down, for decoders have faults, becomes a record with that error.
    """
    pending = dict(targets)
    if num_proc == 1 or len(pending) == 1:
        for path, target in pending.items():
            yield examine_video(path, root, target, reencoding)
        return
    alone = False
    while pending:
        workers = 1 if alone else min(num_proc, len(pending))
        pool = ProcessPoolExecutor(workers, mp_context=_context(), initializer=_end_with_parent)
        try:
            futures = {
                pool.submit(examine_video, path, root, target, reencoding): path for path, target in pending.items()
            }
            try:
                for future in as_completed(futures):
                    record = future.result()
                    del pending[futures[future]]
                    yield record
            except BrokenProcessPool:
                for future, path in futures.items():
                    if path in pending and future.done() and future.exception() is None:
                        del pending[path]
                        yield future.result()
                if alone:
                    # The only worker had the first of those that are left.
                    path = next(iter(pending))
                    del pending[path]
                    state = path.stat()
                    name = path.relative_to(root).as_posix()
                    yield VideoRecord(name, state.st_size, state.st_mtime_ns, error="its decoder crashed")
                alone = not alone
        finally:
            pool.shutdown(cancel_futures=True)


def _context() -> BaseContext:
    """How workers start: not by a fork of this process, which torch's threads can make hang."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # The slow imports happen once, not in every worker.
    context.set_forkserver_preload([examine_video.__module__])
    return context


def _end_with_parent() -> None:
    """Lets a worker end when the process that started it is gone; otherwise it would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()


def _as_line(record: VideoRecord) -> str:
    return json.dumps(asdict(record), ensure_ascii=False) + "\n"


def _read_state(file: Path) -> dict[str, VideoRecord]:
    """The records of an earlier run; a line that is cut short or of another version is passed over."""
    if not file.exists():
        return {}
    records = {}
    for number, line in enumerate(file.read_text("utf-8", errors="replace").splitlines(), start=1):
        try:
            record = VideoRecord(**json.loads(line))
            if isinstance(record.reencoding, dict):
                record = replace(record, reencoding=Reencoding(**record.reencoding))
        except (TypeError, ValueError):
            logger.info("%s, line %d: not a record; its video is examined again", file, number)
            continue
        records[record.path] = record
    return records


def _write_lines(file: Path, records: list[VideoRecord]) -> None:
    unfinished = file.with_name(f"{file.name}.part")
    unfinished.write_text("".join(_as_line(record) for record in records), "utf-8")
    unfinished.replace(file)
