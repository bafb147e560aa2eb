"""MSVD: 1,970 YouTube clips with some 40 captions each."""

from collections.abc import Sequence
from pathlib import Path

from .annotation_files import AnnotationError, read_json, read_list
from .benchmark_builder import (
    AnnotatedVideo,
    AnnotationLayout,
    BenchmarkBuilder,
    protocol_configs,
    read_mirror,
    select_captions,
)
from .plain_pickles import read_plain_pickle
from .protocols import PROTOCOLS
from .video_files import video_stem

# Characters of captions for each byte of a pickle, which may refer to a word or list again.
MAX_EXPANSION = 100
FILE_SPLITS = {"train": "train", "validation": "val", "test": "test"}


def read_pickled_captions(file: Path) -> dict[str, list[str]]:
    """Reads `raw-captions.pkl`: video id to lists of tokens.

    Raises:
        AnnotationError: Another form, a pickle that would call or import anything, or one that refers to the same text
            over and over.
    """
    captions = {}
    characters_left = MAX_EXPANSION * file.stat().st_size
    for video_id, token_lists in read_plain_pickle(file).items():
        if not isinstance(token_lists, list) or not all(
            isinstance(tokens, list) and all(isinstance(token, str) for token in tokens) for tokens in token_lists
        ):
            raise AnnotationError(file, f"{video_id!r}: expected a list of lists of tokens")
        characters_left -= sum(len(token) + 1 for tokens in token_lists for token in tokens)
        if characters_left < 0:
            raise AnnotationError(file, f"holds more text than its size allows, {MAX_EXPANSION} characters a byte")
        captions[video_id] = [" ".join(tokens) for tokens in token_lists]
    return captions


def read_json_captions(file: Path) -> dict[str, list[str]]:
    """Reads `captions_msvd.json`: video id to captions.

    Raises:
        AnnotationError: Another form.
    """
    captions = read_json(file, dict, "an object of video ids and their captions")
    for video_id, texts in captions.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise AnnotationError(file, f"{video_id!r}: expected a list of captions")
    return {video_id: [text.strip() for text in texts] for video_id, texts in captions.items()}


def read_listed(files: Sequence[Path]) -> list[AnnotatedVideo]:
    """Reads the list of a split and the captions of its videos."""
    list_file, captions_file = files
    read = read_pickled_captions if captions_file.suffix == ".pkl" else read_json_captions
    ids = [video_stem(name) for name in read_list(list_file)]
    return select_captions(ids, read(captions_file), list_file, captions_file)


class MSVD(BenchmarkBuilder):
    """MSVD; its one configuration is "standard"."""

    BENCHMARK = "msvd"
    BUILDER_CONFIGS = protocol_configs(PROTOCOLS["msvd"])
    DEFAULT_CONFIG_NAME = "standard"

    def annotation_layouts(self, protocol: str, split: str) -> Sequence[AnnotationLayout]:
        """The official lists with the captions as JSON or pickle, then the files of the Hub mirror."""
        split_list = f"{FILE_SPLITS[split]}_list.txt"
        return [
            AnnotationLayout((split_list, "captions_msvd.json"), read_listed),
            AnnotationLayout((split_list, "raw-captions.pkl"), read_listed),
            AnnotationLayout((f"msvd_{FILE_SPLITS[split]}.json",), read_mirror),
        ]
