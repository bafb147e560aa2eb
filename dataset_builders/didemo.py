"""DiDeMo: Flickr videos whose moments are described, as paragraphs about the first 30 seconds or as moments."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .annotation_files import AnnotationError, read_json, read_list
from .benchmark_builder import AnnotatedVideo, AnnotationLayout, BenchmarkBuilder, protocol_configs, read_mirror
from .protocols import PROTOCOLS, get_split
from .video_files import video_stem

logger = logging.getLogger(__name__)

FILE_SPLITS = {"train": "train", "validation": "val", "test": "test"}
# Annotators saw the first 30 seconds, in segments of 5.
ANNOTATED_SECONDS = 30.0
SEGMENT_SECONDS = 5.0


@dataclass(frozen=True)
class Moment:
    """A sentence about some segments of a video.

    Attributes:
        video: Stem of the video file.
        sentence: The sentence.
        first: First segment, from 0.
        last: Last segment, included.
    """

    video: str
    sentence: str
    first: int
    last: int


def read_moments(file: Path) -> list[Moment]:
    """Reads `*_data.json`: a list of `{video, description, times, ...}`.

    Annotators differ: a moment is the pair of segments that most of them chose, the first named of equals.

    Raises:
        AnnotationError: Another form.
    """
    moments = []
    for number, item in enumerate(read_json(file, list, "a list of moments"), start=1):
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("video", "description")):
            raise AnnotationError(file, f"moment {number}: expected texts under video and description")
        times = item.get("times")
        if (
            not isinstance(times, list)
            or not times
            or not all(isinstance(pair, list) and len(pair) == 2 for pair in times)
            or not all(type(index) is int and index >= 0 for pair in times for index in pair)
        ):
            raise AnnotationError(file, f"moment {number}: expected pairs of segment numbers under times")
        (first, last), _ = Counter((pair[0], pair[1]) for pair in times).most_common(1)[0]
        if last < first:
            raise AnnotationError(file, f"moment {number}: the last segment, {last}, lies before the first, {first}")
        moments.append(Moment(video_stem(item["video"]), item["description"].strip(), first, last))
    return moments


def join_sentences(moments: Sequence[Moment]) -> list[AnnotatedVideo]:
    """Joins the sentences of each video, in the order of the file, about its first 30 seconds."""
    sentences: dict[str, list[str]] = {}
    for moment in moments:
        sentences.setdefault(moment.video, []).append(moment.sentence)
    return [
        AnnotatedVideo(video, [" ".join(texts)], start=0.0, end=ANNOTATED_SECONDS)
        for video, texts in sentences.items()
    ]


def separate_moments(moments: Sequence[Moment]) -> list[AnnotatedVideo]:
    """Makes a row of each different moment of a video."""
    rows: dict[tuple[str, int, int], AnnotatedVideo] = {}
    for moment in moments:
        start, end = SEGMENT_SECONDS * moment.first, SEGMENT_SECONDS * (moment.last + 1)
        row = AnnotatedVideo(f"{moment.video}#t={start},{end}", [], start, end, file_stems=(moment.video,))
        rows.setdefault((moment.video, moment.first, moment.last), row).captions.append(moment.sentence)
    return list(rows.values())


def read_official(files: Sequence[Path], protocol: str, split: str) -> list[AnnotatedVideo]:
    """Reads `*_data.json`, and the list of the split if it is among the files.

    Videos are told apart by their stem: the JSON files name some of them under two extensions.
    """
    data_file, *list_files = files
    moments = read_moments(data_file)
    if list_files:
        listed = [video_stem(name) for name in read_list(list_files[0])]
        by_video: dict[str, list[Moment]] = {name: [] for name in listed}
        for moment in moments:
            if moment.video in by_video:
                by_video[moment.video].append(moment)
        for line, name in enumerate(listed, start=1):
            if not by_video[name]:
                raise AnnotationError(list_files[0], f"{name!r} has no moments in {data_file}", line)
        moments = [moment for found in by_video.values() for moment in found]
    else:
        number, expected = len({moment.video for moment in moments}), get_split("didemo", "paragraph", split).videos
        logger.log(
            logging.INFO if number == expected else logging.WARNING,
            "DiDeMo: no list of the %s split, so all %d videos of %s are taken; the protocol has %s",
            *(split, number, data_file, expected),
        )
    return separate_moments(moments) if protocol == "moments" else join_sentences(moments)


def read_mirrored_paragraphs(files: Sequence[Path]) -> list[AnnotatedVideo]:
    """Reads the paragraphs of the Hub mirror."""
    return [replace(video, start=0.0, end=ANNOTATED_SECONDS) for video in read_mirror(files)]


class DiDeMo(BenchmarkBuilder):
    """DiDeMo; the configurations are "paragraph", the default, and "moments"."""

    BENCHMARK = "didemo"
    BUILDER_CONFIGS = protocol_configs(PROTOCOLS["didemo"])
    DEFAULT_CONFIG_NAME = "paragraph"

    def annotation_layouts(self, protocol: str, split: str) -> Sequence[AnnotationLayout]:
        """The official files with the list or without it, then those of the Hub mirror."""
        name = FILE_SPLITS[split]

        def read(files: Sequence[Path]) -> list[AnnotatedVideo]:
            return read_official(files, protocol, split)

        layouts = [AnnotationLayout((f"{name}_data.json", f"{name}_list.txt"), read)]
        if protocol == "paragraph":
            layouts.append(AnnotationLayout((f"didemo_{name}.json",), read_mirrored_paragraphs))
        return [*layouts, AnnotationLayout((f"{name}_data.json",), read)]
