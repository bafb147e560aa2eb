"""VATEX with English captions, ten a video, as the split whose test set has 1,500 videos."""

from collections.abc import Sequence
from pathlib import Path

from .annotation_files import AnnotationError, read_json, read_list
from .benchmark_builder import (
    AnnotatedVideo,
    AnnotationLayout,
    BenchmarkBuilder,
    protocol_configs,
    select_captions,
)
from .protocols import PROTOCOLS
from .video_files import video_stem

FILE_SPLITS = {"train": "train", "validation": "val", "test": "test"}


def read_captions(file: Path) -> dict[str, list[str]]:
    """Reads `vatex_data.json` (video id to `{"enCap": [...]}`) or `ref_captions.json` (video id to captions).

    Raises:
        AnnotationError: Another form.
    """
    captions = {}
    for video_id, item in read_json(file, dict, "an object of video ids and their captions").items():
        texts = item.get("enCap") if isinstance(item, dict) else item
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise AnnotationError(file, f"{video_id!r}: expected a list of captions, or an object with it under enCap")
        captions[video_id] = [text.strip() for text in texts]
    return captions


def read_listed(files: Sequence[Path]) -> list[AnnotatedVideo]:
    """Reads the list of a split and the captions of its videos."""
    list_file, captions_file = files
    ids = [video_stem(name) for name in read_list(list_file)]
    return select_captions(ids, read_captions(captions_file), list_file, captions_file)


class VATEX(BenchmarkBuilder):
    """VATEX; its one configuration is "1500"."""

    BENCHMARK = "vatex"
    BUILDER_CONFIGS = protocol_configs(PROTOCOLS["vatex"])
    DEFAULT_CONFIG_NAME = "1500"

    def annotation_layouts(self, protocol: str, split: str) -> Sequence[AnnotationLayout]:
        """The lists with `vatex_data.json` or `ref_captions.json`."""
        split_list = f"{FILE_SPLITS[split]}_list.txt"
        return [
            AnnotationLayout((split_list, captions), read_listed)
            for captions in ("vatex_data.json", "ref_captions.json")
        ]
