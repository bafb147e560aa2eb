"""Spoken shapes: moving-shapes clips with a voice, text below the pictures and a title, made on the user's machine.

`shapes/spoken_shapes_folder.py` writes them; `shapes/spoken_shapes_plan.py` says what they are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import datasets

from .annotation_files import AnnotationError, read_jsonl
from .benchmark_builder import AnnotatedVideo, AnnotationLayout, BenchmarkBuilder, protocol_configs
from .protocols import PROTOCOLS
from .video_files import video_stem

CONTENTS = ("spoken", "written", "told", "visible")


def read_spoken_shapes(files: Sequence[Path]) -> list[AnnotatedVideo]:
    """Reads the file of queries of a split, one line a clip.

    Raises:
        AnnotationError: Another form.
    """
    (file,) = files
    columns = ("video", "query", "source", "partner", *CONTENTS)
    videos = []
    for line, row in read_jsonl(file, columns):
        if not all(isinstance(row[column], str) and row[column] for column in columns):
            raise AnnotationError(file, f"expected texts in {', '.join(columns)}", line)
        extra = {"sources": [row["source"]], "partner": video_stem(row["partner"])}
        contents = {content: row[content] for content in CONTENTS}
        videos.append(AnnotatedVideo(video_stem(row["video"]), [row["query"]], extra={**extra, **contents}))
    return videos


class SpokenShapes(BenchmarkBuilder):
    """Spoken shapes that `write_spoken_shapes` wrote into the data folder; the one configuration is "standard".

    Beside the columns of every benchmark, rows hold `sources` (for each caption, which source answers it: "speech" or
    "subtitles", "screen_text", "description" or "video"), `partner` (the id of the clip that shares all but what is
    asked for) and what is `spoken`, `written`, `told` and `visible`.
    """

    BENCHMARK = "spoken_shapes"
    BUILDER_CONFIGS = protocol_configs(PROTOCOLS["spoken_shapes"])
    DEFAULT_CONFIG_NAME = "standard"
    EXTRA_FEATURES: ClassVar[Mapping[str, Any]] = {
        "sources": [datasets.Value("string")],
        "partner": datasets.Value("string"),
        **{content: datasets.Value("string") for content in CONTENTS},
    }

    def annotation_layouts(self, protocol: str, split: str) -> Sequence[AnnotationLayout]:
        """The file that `write_spoken_shapes` writes."""
        return [AnnotationLayout((f"spoken_shapes_{split}.jsonl",), read_spoken_shapes)]
