"""MSR-VTT: 10,000 web clips with 20 captions each, as the 1k-A protocols and the full split."""

from collections.abc import Sequence
from pathlib import Path

from .annotation_files import AnnotationError, read_json
from .benchmark_builder import AnnotatedVideo, AnnotationLayout, BenchmarkBuilder, protocol_configs, read_mirror
from .delimited_tables import read_csv
from .protocols import PROTOCOLS
from .video_files import video_stem

DATA_FILE = "MSRVTT_data.json"
TEST_LIST = "MSRVTT_JSFUSION_test.csv"
TRAIN_LISTS = {"1k-A": "MSRVTT_train.9k.csv", "1k-A-7k": "MSRVTT_train.7k.csv"}
MIRROR_TRAIN = {"1k-A": "msrvtt_train_9k.json", "1k-A-7k": "msrvtt_train_7k.json"}
# How the official file names the splits.
OFFICIAL_SPLITS = {"train": "train", "validation": "validate", "test": "test"}


def read_captions(file: Path) -> dict[str, list[str]]:
    """Reads the captions of `MSRVTT_data.json`, by video.

    Raises:
        AnnotationError: There is no list `sentences` of objects with `caption` and `video_id`.
    """
    shape = "an object with the lists videos and sentences"
    captions: dict[str, list[str]] = {}
    sentences = read_json(file, dict, shape).get("sentences")
    if not isinstance(sentences, list):
        raise AnnotationError(file, f"expected {shape}; sentences is missing")
    for number, item in enumerate(sentences, start=1):
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("caption", "video_id")):
            raise AnnotationError(file, f"sentence {number}: expected texts under caption and video_id")
        captions.setdefault(item["video_id"], []).append(item["caption"].strip())
    return captions


def read_official_split(file: Path, split: str) -> list[AnnotatedVideo]:
    """Reads a split of the full protocol out of `MSRVTT_data.json`.

    Raises:
        AnnotationError: There is no list `videos` of objects with `video_id` and `split`, or a video has no caption.
    """
    captions = read_captions(file)
    shape = "an object with the lists videos and sentences"
    items = read_json(file, dict, shape).get("videos")
    if not isinstance(items, list):
        raise AnnotationError(file, f"expected {shape}; videos is missing")
    videos = []
    for number, item in enumerate(items, start=1):
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("video_id", "split")):
            raise AnnotationError(file, f"video {number}: expected texts under video_id and split")
        if item["split"] == OFFICIAL_SPLITS[split]:
            if item["video_id"] not in captions:
                raise AnnotationError(file, f"video {number}: {item['video_id']} has no sentence")
            videos.append(AnnotatedVideo(item["video_id"], captions[item["video_id"]]))
    return videos


def read_test_list(files: Sequence[Path]) -> list[AnnotatedVideo]:
    """Reads the 1k-A test list: one sentence a video."""
    (file,) = files
    captions: dict[str, list[str]] = {}
    for line, row in read_csv(file, ("video_id", "sentence")):
        if not row["video_id"] or not row["sentence"].strip():
            raise AnnotationError(file, "expected a video_id and a sentence", line)
        captions.setdefault(video_stem(row["video_id"]), []).append(row["sentence"].strip())
    return [AnnotatedVideo(video_id, texts) for video_id, texts in captions.items()]


def read_train_list(files: Sequence[Path]) -> list[AnnotatedVideo]:
    """Reads a training list and the captions of its videos."""
    list_file, data_file = files
    captions = read_captions(data_file)
    videos: dict[str, AnnotatedVideo] = {}
    for line, row in read_csv(list_file, ("video_id",)):
        video_id = row["video_id"]
        if video_id in videos:
            raise AnnotationError(list_file, f"{video_id!r} was already given", line)
        if video_id not in captions:
            raise AnnotationError(list_file, f"{video_id!r} has no captions in {data_file}", line)
        videos[video_id] = AnnotatedVideo(video_id, captions[video_id])
    return list(videos.values())


class MSRVTT(BenchmarkBuilder):
    """MSR-VTT; the configurations are its protocols, "1k-A" by default."""

    BENCHMARK = "msrvtt"
    BUILDER_CONFIGS = protocol_configs(PROTOCOLS["msrvtt"])
    DEFAULT_CONFIG_NAME = "1k-A"

    def annotation_layouts(self, protocol: str, split: str) -> Sequence[AnnotationLayout]:
        """The official files, then those of the Hub mirror."""
        if protocol == "full":
            return [AnnotationLayout((DATA_FILE,), lambda files: read_official_split(files[0], split))]
        if split == "test":
            return [
                AnnotationLayout((TEST_LIST,), read_test_list),
                AnnotationLayout(("msrvtt_test_1k.json",), read_mirror),
            ]
        return [
            AnnotationLayout((TRAIN_LISTS[protocol], DATA_FILE), read_train_list),
            AnnotationLayout((MIRROR_TRAIN[protocol],), read_mirror),
        ]
