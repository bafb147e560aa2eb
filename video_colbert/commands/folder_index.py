"""The index of `search --in`: made of folders in the user's cache folder, and brought up to date with each search."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.flag_names import name_flags
from video_colbert.commands.arguments.model_arguments import DEFAULT_MODEL, load_encoder, with_model_of
from video_colbert.commands.arguments.visual_arguments import asks_by_picture
from video_colbert.commands.user_cache import CachedIndex, FileState, file_states
from video_colbert.console import write_notice
from video_colbert.errors import FolderLostError
from video_colbert.processes.worker_server import start_worker_server

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import BadVideo
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.index import FoundFiles, Index, IndexingReport

# Bad files that are named before the rest is only counted.
_NAMED = 10


@dataclass(frozen=True)
class FolderIndex:
    """An index of folders that is up to date.

    Attributes:
        index: the index.
        encoder: of the model that made it.
        bad: files that are new or changed and could not be read.
    """

    index: Index
    encoder: VideoColBERTEncoder
    bad: Sequence[BadVideo]


@dataclass(frozen=True)
class OutdatedIndex:
    """An index of folders that may lack what is new in them.

    Attributes:
        index: the index.
        encoder: of the model that made it.
        cached: where it is kept.
        found: the files of the folders.
        states: the state of each.
        arguments: of the command.
    """

    index: Index
    encoder: VideoColBERTEncoder
    cached: CachedIndex
    found: FoundFiles
    states: dict[str, FileState]
    arguments: argparse.Namespace

    def bring_up_to_date(self) -> IndexingReport:
        """Adds what is new or changed, removes what is gone, and says so in a line.

        Raises:
            VideoColBERTError: the index cannot be written, or no decoding process can be started.
        """
        with _locked(self.cached):
            return _bring_up_to_date(self.index, self.encoder, self.cached, self.found, self.states, self.arguments)


def open_folder_index(arguments: argparse.Namespace) -> FolderIndex:
    """Opens the index of the folders of --in, or makes it, and brings it up to date; says in a line what changed.

    Args:
        arguments: of `add_model_arguments` and `add_visual_arguments`, with the folders as `folders` and `prune_all`.

    Raises:
        FileNotFoundError: a folder is not there, or there is no video in any.
        VideoColBERTError: the model or the index cannot be used.
    """
    opened = open_outdated_index(arguments, for_videos=asks_by_picture(arguments))
    return FolderIndex(opened.index, opened.encoder, opened.bring_up_to_date().bad)


def open_outdated_index(arguments: argparse.Namespace, *, for_videos: bool = False) -> OutdatedIndex:
    """Opens the index of some folders as it was left, or makes an empty one.

    Args:
        arguments: as of `open_folder_index`.
        for_videos: whether the encoder is to encode videos even where none of the folders' files is new.

    Raises:
        FileNotFoundError: as `open_folder_index`.
        VideoColBERTError: likewise.
    """
    from video_colbert.index import find_video_files, index_exists, open_index

    folders = _folders(arguments.folders)
    found = find_video_files(folders, may_be_empty=True)
    states = file_states(found.files)
    encoder = None
    if arguments.revision is not None or (arguments.model is not None and Path(arguments.model).is_dir()):
        arguments = with_model_of(arguments, None)
        encoder = load_encoder(arguments)
        cached = CachedIndex.of(folders, encoder.reference.revision)
    else:
        # A model by its name alone is the commit that the index was made with: what is new on the Hub makes no other.
        cached = CachedIndex.of(folders, f"{arguments.model or DEFAULT_MODEL} {arguments.tone_map}")
    is_new = not index_exists(cached.location)
    if is_new and not found.files:
        # Raises, and says where.
        find_video_files(folders)
    known = {} if is_new else cached.read_files()
    is_changed = any(known.get(path) != state for path, state in states.items())
    if is_changed:
        # It imports what decoding needs while this process loads the model.
        start_worker_server("video_colbert.encoding.decoding_process")
    if encoder is None:
        stored = None if is_new else open_index(cached.location).stored
        if stored is not None:
            arguments = argparse.Namespace(**{**vars(arguments), "model": None})
        encoder = load_encoder(with_model_of(arguments, stored), for_videos=is_changed or for_videos)
    with _locked(cached):
        # Another process may have made it meanwhile.
        if not index_exists(cached.location):
            write_notice(f"Making an index of {_names(folders)} in {cached.location}.")
        index = open_index(cached.location, encoder)
    return OutdatedIndex(index, encoder, cached, found, states, arguments)


def _folders(names: Sequence[str]) -> list[Path]:
    """The folders of --in, each once, without links.

    Raises:
        FileNotFoundError: one is not there, or no folder.
    """
    for name in names:
        if not Path(name).is_dir():
            what = "is a file" if Path(name).exists() else "is not there"
            raise FileNotFoundError(
                f"--in takes folders, and {name} {what}; words to look for stand before --in, and what is to be "
                "searched besides folders goes into an index of its own (`video-colbert index`)"
            )
    return sorted({Path(name).resolve() for name in names})


@contextmanager
def _locked(cached: CachedIndex) -> Iterator[None]:
    """One process at a time brings an index up to date."""
    from filelock import FileLock, Timeout

    lock = FileLock(cached.lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        write_notice("Another search is bringing this index up to date; waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _bring_up_to_date(
    index: Index,
    encoder: VideoColBERTEncoder,
    cached: CachedIndex,
    found: FoundFiles,
    states: dict[str, FileState],
    arguments: argparse.Namespace,
) -> IndexingReport:
    """Adds what is new or changed, removes what is gone, and says so in a line."""
    from video_colbert.index import IndexingReport, index_videos, prune_videos

    # Read again: another process may just have brought it up to date.
    known = cached.read_files() if len(index) else {}
    unread = [path for path, state in states.items() if known.get(path) != state]
    report = IndexingReport()
    if unread:
        report = index_videos(index.stored, encoder, unread, batch_size=arguments.batch_size, folders=cached.folders)
        # Pruned below.
        report.gone = []
    report.bad += found.bad_folders()
    removed = _remove_replaced(index)
    try:
        removed += prune_videos(index.stored, cached.folders, prune_all=arguments.prune_all)
    except FolderLostError as error:
        write_notice(f"{name_flags(str(error), vars(arguments))}; until then their videos are searched too.")
    if index.stored.needs_calibration:
        index.stored.calibrate()
    bad = {video.source for video in report.bad}
    cached.write_files({path: state for path, state in states.items() if path not in bad})
    write_notice(_changes(report, len(removed), index.info().counted()))
    for line in report.bad_lines()[:_NAMED]:
        write_notice(line)
    if len(report.bad) > _NAMED:
        write_notice(f"  and {len(report.bad) - _NAMED} more bad files")
    return report


def _remove_replaced(index: Index) -> list[str]:
    """Removes what is stored of files that hold another content by now, which cannot be used; returns their paths.

    An index of one's own keeps it, since the file may be whole again tomorrow; here hits are of files as they are.
    """
    unusable = {file.path: file.digest for file in index.stored.notes.bad_files if not file.windows}
    replaced = [video for video in index.videos if unusable.get(video.path, video.digest) != video.digest]
    index.stored.remove([video.id for video in replaced])
    return sorted({video.path for video in replaced})


def _changes(report: IndexingReport, removed: int, total: str) -> str:
    """What changed, in a line such as "2 added, 1 moved, 1 removed; 14 videos"."""
    counts = {**report.counts(), "removed": removed}
    # Read again for their times, and found to be what they were.
    counts.pop("already there", None)
    changes = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    return f"{changes or 'nothing new'}; {total}"


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))
