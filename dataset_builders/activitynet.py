"""ActivityNet Captions: long videos whose events are described, as paragraphs or as moments."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .annotation_files import AnnotationError, read_json
from .benchmark_builder import AnnotatedVideo, AnnotationLayout, BenchmarkBuilder, protocol_configs
from .protocols import PROTOCOLS
from .video_files import video_stem

# The official test set has no captions; retrieval is tested on val_1.
IDS_FILES = {"train": "train_ids.json", "test": "val_ids.json"}
DATA_FILES = {"train": "train.json", "test": "val_1.json"}


@dataclass(frozen=True)
class Event:
    """A sentence about a part of a video.

    Attributes:
        sentence: The sentence.
        start: Beginning in seconds.
        end: End in seconds.
    """

    sentence: str
    start: float
    end: float


def read_events(file: Path) -> dict[str, list[Event]]:
    """Reads `train.json` or `val_1.json`: video id to `{duration, timestamps, sentences}`.

    Raises:
        AnnotationError: Another form.
    """
    events = {}
    shape = "an object of video ids and their timestamps and sentences"
    for video_id, item in read_json(file, dict, shape).items():
        sentences = item.get("sentences") if isinstance(item, dict) else None
        times = item.get("timestamps") if isinstance(item, dict) else None
        if not isinstance(sentences, list) or not sentences or not all(isinstance(s, str) for s in sentences):
            raise AnnotationError(file, f"{video_id!r}: expected a list of texts under sentences")
        if not isinstance(times, list) or len(times) != len(sentences) or not all(is_window(pair) for pair in times):
            raise AnnotationError(file, f"{video_id!r}: expected a [start, end] under timestamps for each sentence")
        events[video_id] = [
            Event(sentence.strip(), float(min(pair)), float(max(pair)))
            for sentence, pair in zip(sentences, times, strict=True)
        ]
    return events


def is_window(value: object) -> bool:
    """Whether a JSON value is a pair of times."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(time) in (int, float) and math.isfinite(time) and time >= 0 for time in value)
    )


def file_stems(video_id: str) -> tuple[str, ...]:
    """Names of a video's file: ids begin with `v_`, files mostly do not."""
    return (video_id.removeprefix("v_"), video_id) if video_id.startswith("v_") else (video_id,)


def join_sentences(events: dict[str, list[Event]]) -> list[AnnotatedVideo]:
    """Joins the sentences of each video."""
    return [
        AnnotatedVideo(video_id, [" ".join(event.sentence for event in found)], file_stems=file_stems(video_id))
        for video_id, found in events.items()
    ]


def separate_moments(events: dict[str, list[Event]]) -> list[AnnotatedVideo]:
    """Makes a row of each different part of a video."""
    rows: dict[tuple[str, float, float], AnnotatedVideo] = {}
    for video_id, found in events.items():
        for event in found:
            row = AnnotatedVideo(
                f"{video_id}#t={event.start},{event.end}", [], event.start, event.end, file_stems(video_id)
            )
            rows.setdefault((video_id, event.start, event.end), row).captions.append(event.sentence)
    return list(rows.values())


def read_official(files: Sequence[Path], protocol: str) -> list[AnnotatedVideo]:
    """Reads the events, of the videos in the list of ids if it is among the files."""
    data_file, *ids_files = files
    events = read_events(data_file)
    if ids_files:
        ids = read_json(ids_files[0], list, "a list of video ids")
        for number, video_id in enumerate(ids, start=1):
            if not isinstance(video_id, str) or video_stem(video_id) not in events:
                raise AnnotationError(ids_files[0], f"id {number}, {video_id!r}, is not in {data_file}")
        events = {video_stem(video_id): events[video_stem(video_id)] for video_id in ids}
    return separate_moments(events) if protocol == "moments" else join_sentences(events)


class ActivityNet(BenchmarkBuilder):
    """ActivityNet Captions; the configurations are "paragraph", the default, and "moments"."""

    BENCHMARK = "activitynet"
    BUILDER_CONFIGS = protocol_configs(PROTOCOLS["activitynet"])
    DEFAULT_CONFIG_NAME = "paragraph"

    def annotation_layouts(self, protocol: str, split: str) -> Sequence[AnnotationLayout]:
        """The official files with the list of ids or without it; the Hub mirror keeps the same in `raw_data`."""

        def read(files: Sequence[Path]) -> list[AnnotatedVideo]:
            return read_official(files, protocol)

        return [
            AnnotationLayout((DATA_FILES[split], IDS_FILES[split]), read),
            AnnotationLayout((DATA_FILES[split],), read),
        ]
