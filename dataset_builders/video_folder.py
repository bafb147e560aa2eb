"""Any folder of videos, with or without a CSV or JSONL file of captions, as a data set."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from .annotation_files import AnnotationError, read_jsonl
from .delimited_tables import read_csv
from .video_files import (
    MissingVideosError,
    composed_name,
    files_fingerprint,
    find_videos,
    is_unicode,
    user_path,
    video_text_features,
)

CAPTION_FILES = ("captions.jsonl", "captions.csv")
ROWS_PER_SHARD = 256

logger = logging.getLogger(__name__)

Row = dict[str, Any]
# A video's path below the folder, and the start and end of the part that captions are about.
CaptionedPart = tuple[str, float | None, float | None]


@dataclass
class VideoFolderConfig(datasets.BuilderConfig):
    """Which folder, and which captions.

    Attributes:
        data_dir: The folder; videos are found at any depth, hidden files are passed over.
        captions: CSV or JSONL file with the columns `video` (path below the folder), `caption` and, if
            wanted, `start` and `end` in seconds; several lines for a video are several captions. By default
            `captions.jsonl` or `captions.csv` in the folder, where there is one.
        split: Name of the one split.
        allow_missing: Whether to keep captions of files that are not there, with a null `video`.
    """

    captions: str | None = None
    split: str = "train"
    allow_missing: bool = False

    @property
    def folder(self) -> Path:
        """The folder.

        Raises:
            ValueError: `data_dir` was not given.
        """
        if not self.data_dir:
            raise ValueError("video_folder needs data_dir, the folder of videos")
        return user_path(self.data_dir).absolute()

    @property
    def captions_file(self) -> Path | None:
        """The file of captions, if any.

        Raises:
            ValueError: The folder holds more than one and `captions` does not say which.
        """
        if self.captions is not None:
            return self.folder / user_path(self.captions)
        found = [self.folder / name for name in CAPTION_FILES if (self.folder / name).is_file()]
        if len(found) > 1:
            raise ValueError(f"{self.folder} holds {' and '.join(CAPTION_FILES)}; say which with captions=")
        return found[0] if found else None

    def create_config_id(self, config_kwargs: Row, custom_features: datasets.Features | None = None) -> str:
        """Names the cache after the files too, so that a changed folder is read again."""
        config_id = super().create_config_id(config_kwargs, custom_features)
        if not self.data_dir:
            return str(config_id)
        captions = self.captions_file
        annotations = [captions] if captions is not None and captions.is_file() else []
        return f"{config_id}-{files_fingerprint(find_videos(self.folder), annotations)}"


def parse_time(value: object, column: str, file: Path, line: int) -> float | None:
    """Reads a time in seconds; an empty field, null and NaN are None.

    Raises:
        AnnotationError: It is no time from 0.
    """
    if value is None or value == "":
        return None
    try:
        seconds = float(value)  # type: ignore[arg-type] # what float refuses is reported below
    except (TypeError, ValueError, OverflowError):
        seconds = math.inf
    if math.isnan(seconds):
        return None
    if isinstance(value, bool) or not math.isfinite(seconds) or seconds < 0:
        raise AnnotationError(file, f"expected seconds from 0 in {column}, got {value!r}", line)
    return seconds


def read_captions(file: Path) -> dict[CaptionedPart, list[str]]:
    """Reads a CSV or JSONL file of captions.

    Args:
        file: The file; its extension says which format it has.

    Returns:
        The captions of every (video, start, end), in the order of the file.

    Raises:
        AnnotationError: With the line, whatever is wrong in the file.
    """
    if file.suffix.lower() not in (".csv", ".jsonl"):
        raise AnnotationError(file, "expected a .csv or .jsonl file of captions")
    read = read_csv if file.suffix.lower() == ".csv" else read_jsonl
    captions: dict[CaptionedPart, list[str]] = {}
    for line, row in read(file, ("video", "caption")):
        for column in ("video", "caption"):
            if not isinstance(row[column], str) or not row[column].strip():
                raise AnnotationError(file, f"expected text in {column}, got {row[column]!r}", line)
        name = Path(row["video"])
        if name.is_absolute() or ".." in name.parts:
            raise AnnotationError(file, f"expected a path below the folder, got {row['video']!r}", line)
        start, end = (parse_time(row.get(column), column, file, line) for column in ("start", "end"))
        if end is not None and end <= (start or 0.0):
            raise AnnotationError(file, f"expected end after start, got {start} to {end}", line)
        captions.setdefault((name.as_posix(), start, end), []).append(row["caption"].strip())
    return captions


def list_videos(folder: Path) -> dict[str, Path]:
    """The videos of a folder by their path below it; those whose names no data set can hold are named in the log."""
    videos = {path.relative_to(folder).as_posix(): path for path in find_videos(folder)}
    for name in [name for name in videos if not is_unicode(name)]:
        logger.warning(
            "%r is left out: its name is not UTF-8; rename it to have it in the data set", str(videos[name])
        )
        del videos[name]
    return videos


def spell_as_files(
    captions: dict[CaptionedPart, list[str]], videos: dict[str, Path], file: Path
) -> dict[CaptionedPart, list[str]]:
    """The captions under the names that the files have, where another system wrote the same letters otherwise.

    Raises:
        AnnotationError: A name means two files, neither of which is spelled so.
    """
    spellings: dict[str, list[str]] = {}
    for name in videos:
        spellings.setdefault(composed_name(name), []).append(name)
    spelled: dict[CaptionedPart, list[str]] = {}
    for (name, start, end), texts in captions.items():
        found = [name] if name in videos else spellings.get(composed_name(name), [name])
        if len(found) > 1:
            raise AnnotationError(file, f"{name!r} may mean {' or '.join(map(ascii, found))}; spell it as the file is")
        spelled.setdefault((found[0], start, end), []).extend(texts)
    return spelled


def folder_rows(config: VideoFolderConfig) -> list[Row]:
    """Makes the rows of a folder: those with captions in the order of their file, then the others by name.

    `video_id` is the path below the folder, followed by `#t=start,end` for a row about a part of a video.

    Raises:
        ValueError: No `data_dir`, or no video in it.
        AnnotationError: A faulty file of captions.
        MissingVideosError: Captions of files that are not there, without `allow_missing`.
    """
    videos = list_videos(config.folder)
    file = config.captions_file
    captions = spell_as_files(read_captions(file), videos, file) if file is not None else {}
    named = dict.fromkeys(name for name, _, _ in captions)
    missing = [name for name in named if name not in videos]
    if missing and not config.allow_missing:
        raise MissingVideosError(missing, len(named), config.folder)
    if not videos and not captions:
        raise ValueError(f"no video file under {config.folder}")
    rows: list[Row] = []
    for (name, start, end), texts in captions.items():
        window = "" if start is None and end is None else f"#t={start or 0.0}"
        if end is not None:
            window += f",{end}"
        video = {"path": str(videos[name]), "bytes": None} if name in videos else None
        rows.append({"video_id": name + window, "video": video, "captions": texts, "start": start, "end": end})
    rows += [
        {
            "video_id": name,
            "video": {"path": str(path), "bytes": None},
            "captions": [],
            "start": None,
            "end": None,
        }
        for name, path in videos.items()
        if name not in named
    ]
    return rows


class VideoFolder(datasets.GeneratorBasedBuilder):
    """A folder of videos as a data set; see `VideoFolderConfig` for what can be chosen."""

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = VideoFolderConfig

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description="A folder of videos and their captions.", features=video_text_features()
        )

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        rows = folder_rows(self.config)
        # A list of lists is what several processes share out.
        shards = [rows[i : i + ROWS_PER_SHARD] for i in range(0, len(rows), ROWS_PER_SHARD)]
        return [datasets.SplitGenerator(name=self.config.split, gen_kwargs={"shards": shards})]

    def _generate_examples(self, shards: list[list[Row]]) -> Iterator[tuple[str, Row]]:
        for shard in shards:
            for row in shard:
                yield row["video_id"], row
