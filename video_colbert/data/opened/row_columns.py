"""Which columns of any data set hold videos and captions, and a row of it as our rows are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from video_colbert.errors import DatasetError

if TYPE_CHECKING:
    from datasets import Features

CAPTION_COLUMNS = ("captions", "caption", "text")
"""Columns that are taken for the captions, the first that is there."""


@dataclass(frozen=True)
class RowColumns:
    """The columns of a data set that make a row of ours.

    Attributes:
        video: Holds the video: of the feature `Video`, or path and bytes.
        captions: Holds its caption or captions; None where there are none.
        has_ids: Whether `video_id` names the video, so that each row is a video of its own. Otherwise rows of one
            video are one row with several captions.
    """

    video: str
    captions: str | None
    has_ids: bool

    def texts(self, values: Mapping[str, Any]) -> list[str]:
        """The captions of a row; what is no text, or only white space, is none.

        Args:
            values: By column of the data set.
        """
        said = None if self.captions is None else values[self.captions]
        texts = [said] if isinstance(said, str) else said or []
        return [text.strip() for text in texts if isinstance(text, str) and text.strip()]

    def row(self, values: Mapping[str, Any], video: Mapping[str, Any] | None, video_id: str) -> dict[str, Any]:
        """A row as every data set here has them, with the further columns as they are.

        Args:
            values: By column of the data set.
            video: Where the video is, `{"path", "bytes"}`; None where it is missing.
            video_id: Its id.
        """
        further = {name: value for name, value in values.items() if name not in (self.video, self.captions)}
        return {
            "start": None,
            "end": None,
            **further,
            "video_id": video_id,
            "video": None if video is None else dict(video),
            "captions": self.texts(values),
        }


def find_columns(name: str, features: Features, caption_column: str | None = None) -> RowColumns:
    """Says which columns of a data set hold what.

    Args:
        name: Of the data set, for errors.
        features: Its columns.
        caption_column: Column of the captions, where it is none of `CAPTION_COLUMNS`.

    Raises:
        DatasetError: No column, or more than one, holds videos, or the captions are no texts.
    """
    from datasets import Video

    held = ", ".join(features)
    videos = [column for column, feature in features.items() if isinstance(feature, Video)]
    if "video" in features and (len(videos) > 1 or (not videos and _is_file(features["video"]))):
        videos = ["video"]
    if len(videos) != 1:
        found = "none of them holds videos" if not videos else f"{' and '.join(videos)} hold videos"
        raise DatasetError(f"the data set {name} has the columns {held}, and {found}; one must, named video")
    if caption_column is not None and caption_column not in features:
        raise DatasetError(f"the data set {name} has no column {caption_column!r} for captions; it has {held}")
    captions = caption_column or next((column for column in CAPTION_COLUMNS if column in features), None)
    if captions is not None and not _is_text(features[captions]):
        raise DatasetError(f"the column {captions!r} of the data set {name} holds no texts; say which does")
    return RowColumns(videos[0], captions, has_ids="video_id" in features and _is_text(features["video_id"]))


def _is_file(feature: Any) -> bool:
    """Whether a feature is a path, or a file's path and bytes."""
    return set(feature) == {"path", "bytes"} if isinstance(feature, dict) else _is_text(feature)


def _is_text(feature: Any) -> bool:
    """Whether a feature is a text or a list of texts."""
    if isinstance(feature, list):
        return len(feature) == 1 and _is_text(feature[0])
    inner = getattr(feature, "feature", None)
    return _is_text(inner) if inner is not None else getattr(feature, "dtype", None) in ("string", "large_string")


__all__ = ["CAPTION_COLUMNS", "RowColumns", "find_columns"]
