"""What the benchmark builders have in common: annotations and video files become rows."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import datasets

from .annotation_files import AnnotationError, read_json
from .protocols import get_protocol
from .video_files import (
    MissingVideosError,
    composed_name,
    files_fingerprint,
    find_videos,
    user_path,
    video_stem,
    video_text_features,
)

logger = logging.getLogger(__name__)

# Below the data folder, where people and mirrors keep annotation files.
ANNOTATION_FOLDERS = (".", "annotations", "raw_data", "vatex_data")
_ANNOTATION_SUFFIXES = (".csv", ".json", ".jsonl", ".pkl", ".qrels", ".txt")
ROWS_PER_SHARD = 256
# Of the rows that the builders make: a cache of another version is not used.
VERSION = datasets.Version("1.0.0")

Row = dict[str, Any]


@dataclass(frozen=True)
class AnnotatedVideo:
    """A video, or a part of one, and what the annotations say of it.

    Attributes:
        video_id: Id of the row.
        captions: Its captions.
        start: Beginning of the part in seconds, None for that of the file.
        end: End of the part in seconds, None for that of the file.
        file_stems: Names under which the video file may go, without extension, the likeliest first.
        extra: What else the row holds, by column of `BenchmarkBuilder.EXTRA_FEATURES`.
    """

    video_id: str
    captions: list[str]
    start: float | None = None
    end: float | None = None
    file_stems: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AnnotationLayout:
    """One of the forms in which a split's annotations go around.

    Attributes:
        files: Names of the files that make it up, relative to the data folder or one of `ANNOTATION_FOLDERS`.
        read: Given the files in that order, reads them.
    """

    files: tuple[str, ...]
    read: Callable[[Sequence[Path]], list[AnnotatedVideo]]


class MissingAnnotationsError(FileNotFoundError):
    """A folder that holds the annotations of a split in none of the known layouts."""


@dataclass
class BenchmarkConfig(datasets.BuilderConfig):
    """Which files to read; the configuration's name is the protocol.

    Attributes:
        data_dir: Folder with the annotation files and, at any depth, the videos.
        video_dir: Folder of the videos, where it is another one.
        split: The only split to build; by default all whose annotations are there.
        allow_missing: Whether rows whose video file is missing stay, with a null `video`; otherwise a
            missing file is an error.
    """

    video_dir: str | None = None
    split: str | None = None
    allow_missing: bool = False

    @property
    def annotation_root(self) -> Path:
        """The data folder.

        Raises:
            ValueError: `data_dir` was not given.
            NotADirectoryError: There is no such folder.
        """
        if not self.data_dir:
            raise ValueError("the benchmarks need data_dir, the folder with the annotation files and the videos")
        root = user_path(self.data_dir).absolute()
        if not root.is_dir():
            raise NotADirectoryError(f"no such data_dir: {self.data_dir}")
        return root

    @property
    def video_root(self) -> Path:
        """The folder of the videos."""
        return user_path(self.video_dir).absolute() if self.video_dir else self.annotation_root

    def create_config_id(self, config_kwargs: Row, custom_features: datasets.Features | None = None) -> str:
        """Names the cache after the files too, so that a changed folder is read again."""
        config_id = super().create_config_id(config_kwargs, custom_features)
        if not self.data_dir:
            return str(config_id)
        annotations = [
            path
            for folder in annotation_folders(self.annotation_root)
            for path in sorted(folder.iterdir())
            if path.is_file() and path.suffix.lower() in _ANNOTATION_SUFFIXES
        ]
        return f"{config_id}-{files_fingerprint(find_videos(self.video_root), annotations)}"


def annotation_folders(root: Path) -> list[Path]:
    """Those of `ANNOTATION_FOLDERS` that are there."""
    return [folder for name in ANNOTATION_FOLDERS if (folder := root / name).is_dir()]


def find_annotations(root: Path, files: Sequence[str]) -> list[Path] | None:
    """Finds each of the files below a data folder; None if one of them is nowhere."""
    found = []
    for name in files:
        paths = [path for folder in annotation_folders(root) if (path := folder / name).is_file()]
        if not paths:
            return None
        found.append(paths[0])
    return found


def read_mirror(files: Sequence[Path]) -> list[AnnotatedVideo]:
    """Reads the JSON files of the `friedrichor` mirrors: a list of objects with `video` and `caption`.

    Args:
        files: The one file. `caption` is a text or a list of texts; the id is `video_id` or, without it, the stem of
            `video`. Several objects of a video are joined.

    Returns:
        The videos in the order of the file.

    Raises:
        AnnotationError: Another form.
    """
    (file,) = files
    captions: dict[str, list[str]] = {}
    for number, item in enumerate(read_json(file, list, "a list of videos"), start=1):
        names = [item.get(key) for key in ("video_id", "video")] if isinstance(item, dict) else []
        name = next((name for name in names if isinstance(name, str) and name), None)
        texts = item.get("caption") if isinstance(item, dict) else None
        texts = [texts] if isinstance(texts, str) else texts
        if name is None or not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise AnnotationError(
                file, f"item {number}: expected an object with video_id or video, and caption (text or texts)"
            )
        captions.setdefault(video_stem(Path(name).name), []).extend(text.strip() for text in texts)
    return [AnnotatedVideo(name, texts) for name, texts in captions.items()]


def select_captions(
    ids: Iterable[str], captions: dict[str, list[str]], list_file: Path, captions_file: Path
) -> list[AnnotatedVideo]:
    """Joins a list of videos with their captions.

    Raises:
        AnnotationError: A video of the list has no captions.
    """
    videos = []
    for line, video_id in enumerate(ids, start=1):
        if not captions.get(video_id):
            raise AnnotationError(list_file, f"{video_id!r} has no captions in {captions_file}", line)
        videos.append(AnnotatedVideo(video_id, captions[video_id]))
    return videos


def make_rows(videos: Sequence[AnnotatedVideo], config: BenchmarkConfig, files: dict[str, list[Path]]) -> list[Row]:
    """Joins annotations with video files.

    Args:
        videos: The annotations.
        config: Whether files may be missing.
        files: The video files by stem, in composed form.

    Returns:
        One row for each of `videos`, in their order.

    Raises:
        MissingVideosError: Files are missing and `allow_missing` is not set.
        ValueError: Two files go under the name of one video.
    """
    rows: list[Row] = []
    missing: dict[str, None] = {}
    names: set[str] = set()
    for video in videos:
        stems = video.file_stems or (video.video_id,)
        names.add(stems[0])
        found = next((files[stem] for stem in map(composed_name, stems) if stem in files), [])
        if len(found) > 1:
            raise ValueError(
                f"two files go under the name of one video: {found[0]} and {found[1]}; "
                "keep one of them, or say with video_dir which folder holds the videos"
            )
        if not found:
            missing[stems[0]] = None
        rows.append(
            {
                "video_id": video.video_id,
                "video": {"path": str(found[0]), "bytes": None} if found else None,
                "captions": video.captions,
                "start": video.start,
                "end": video.end,
                **video.extra,
            }
        )
    if missing and not config.allow_missing:
        raise MissingVideosError(list(missing), len(names), config.video_root)
    return rows


def protocol_configs(protocols: Iterable[str]) -> list[BenchmarkConfig]:
    """One builder configuration for each protocol."""
    return [BenchmarkConfig(name=name, version=VERSION) for name in protocols]


class BenchmarkBuilder(datasets.GeneratorBasedBuilder):
    """Base of the benchmark builders.

    A subclass names its benchmark in `BENCHMARK`, has one configuration a protocol and says with
    `annotation_layouts` what files the annotations come in. `EXTRA_FEATURES` are columns beside those that every
    benchmark has.
    """

    BENCHMARK: ClassVar[str]
    EXTRA_FEATURES: ClassVar[Mapping[str, Any]] = {}
    VERSION = VERSION
    BUILDER_CONFIG_CLASS = BenchmarkConfig

    def annotation_layouts(self, protocol: str, split: str) -> Sequence[AnnotationLayout]:
        """The layouts in which the annotations of a split may come, the preferred one first."""
        raise NotImplementedError

    @classmethod
    def row_features(cls) -> datasets.Features:
        """The columns of its rows."""
        return datasets.Features({**video_text_features(), **cls.EXTRA_FEATURES})

    def read_split(self, split: str) -> list[AnnotatedVideo]:
        """Reads the annotations of a split, from its own files alone.

        Raises:
            MissingAnnotationsError: They are there in no known layout; the message lists the layouts.
            AnnotationError: A file is not what its format says.
        """
        root = self.config.annotation_root
        layouts = self.annotation_layouts(self.config.name, split)
        for layout in layouts:
            paths = find_annotations(root, layout.files)
            if paths is not None:
                return layout.read(paths)
        choices = "; or ".join(", ".join(layout.files) for layout in layouts)
        raise MissingAnnotationsError(
            f"no annotations of {self.BENCHMARK} ({self.config.name}, {split}) in {root}: expected {choices}"
        )

    def _splits(self) -> list[str]:
        """The splits to build."""
        known = list(get_protocol(self.BENCHMARK, self.config.name).splits)
        if self.config.split is not None:
            if self.config.split not in known:
                raise ValueError(f"{self.BENCHMARK} ({self.config.name}) has the splits {', '.join(known)}")
            return [self.config.split]
        root = self.config.annotation_root
        present = [
            split for split in known if any(find_annotations(root, layout.files) for layout in self._layouts(split))
        ]
        for split in set(known) - set(present):
            logger.warning("%s: no annotations of the %s split in %s; it is left out", self.BENCHMARK, split, root)
        # With none at all, reading the first one says what was expected.
        return present or known[:1]

    def _layouts(self, split: str) -> Sequence[AnnotationLayout]:
        return self.annotation_layouts(self.config.name, split)

    def _info(self) -> datasets.DatasetInfo:
        protocol = get_protocol(self.BENCHMARK, self.config.name)
        return datasets.DatasetInfo(
            description=f"{self.BENCHMARK}, protocol {self.config.name}: {protocol.query_rule}.",
            features=self.row_features(),
            citation=protocol.source,
        )

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        annotated = {split: self.read_split(split) for split in self._splits()}
        files: dict[str, list[Path]] = {}
        for path in find_videos(self.config.video_root):
            files.setdefault(composed_name(video_stem(path.name)), []).append(path)
        generators = []
        for split, videos in annotated.items():
            rows = make_rows(videos, self.config, files)
            # A list of lists is what several processes share out.
            shards = [rows[i : i + ROWS_PER_SHARD] for i in range(0, len(rows), ROWS_PER_SHARD)]
            generators.append(datasets.SplitGenerator(name=split, gen_kwargs={"shards": shards}))
        return generators

    def _generate_examples(self, shards: list[list[Row]]) -> Iterator[tuple[str, Row]]:
        for shard in shards:
            for row in shard:
                yield row["video_id"], row
