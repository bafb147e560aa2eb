"""What the service answers to a search: hits with what a page, a program or an assistant wants to know of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from video_colbert.encoding.hits import SearchHit
from video_colbert.encoding.media_files import is_remote
from video_colbert.encoding.passes.phrases import is_function_word
from video_colbert.index.indexed_video import IndexedVideo, MetadataValue

_TIME_DECIMALS = 3
_SCORE_DECIMALS = 7
_RATE_DECIMALS = 4


@dataclass(frozen=True)
class FoundVideo:
    """A hit, and what the index knows of its video.

    Attributes:
        hit: what the search found.
        id: what the server calls the video by, the digest of its content; None of a text, which has no video.
        name: of the file, without its folder; the whole name of a text.
        folder: of the file; empty of a text.
        modified: when the file was changed last, in seconds since 1970 (UTC); None where it is not known.
        duration: of the whole video in seconds; None of a text.
        playable: whether a browser plays the file as it is; else it takes an excerpt.
        relevance: how well it fits, from 0 for a video picked at random to 1 for the first hit (`relevance.py`).
        metadata: further values by column name.
        windows: the other windows of the same video that were found, best first.
    """

    hit: SearchHit
    id: str | None
    name: str
    folder: str
    modified: float | None
    duration: float | None
    playable: bool
    relevance: float
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    windows: tuple[SearchHit, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The hit as `search --json` writes it, with what is known of the video; programs rely on these names.

        Each moment says whether its word is `muted`, one that only holds a sentence together such as "a" and "of".
        Each source has its passage in `parts`, of which those that matched are marked.
        """
        return {
            **hit_json(self.hit),
            "id": self.id,
            "name": self.name,
            "folder": self.folder,
            "modified": self.modified,
            "duration": None if self.duration is None else round(self.duration, _TIME_DECIMALS),
            "playable": self.playable,
            "relevance": round(self.relevance, _SCORE_DECIMALS),
            "metadata": dict(self.metadata),
            "windows": [hit_json(window) for window in self.windows],
        }


@dataclass(frozen=True)
class SearchAnswer:
    """What a search found in one index.

    Attributes:
        query: the text that was searched for; of a picture or clip, words for what it is.
        index: the name of the index.
        model: the model that made it.
        hits: best first.
        truncated: whether the text was longer than the model takes, so that its end did not count.
        zero_shot: whether the model was never trained on clips, so that words are not told apart.
        seconds: how long the search took, without its wait.
        false_positive_rate: as of `SearchHits`; None where the index did not learn it.
    """

    query: str
    index: str
    model: str
    hits: tuple[FoundVideo, ...]
    truncated: bool = False
    zero_shot: bool = False
    seconds: float = 0.0
    false_positive_rate: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The answer ready for JSON; the false-positive rate is there where it is known."""
        rate = self.false_positive_rate
        return {
            "query": self.query,
            "index": self.index,
            "model": self.model,
            "truncated": self.truncated,
            "zero_shot": self.zero_shot,
            "seconds": round(self.seconds, _TIME_DECIMALS),
            **({} if rate is None else {"false_positive_rate": round(rate, _RATE_DECIMALS)}),
            "hits": [hit.as_json() for hit in self.hits],
        }


def describe_hits(
    hits: Sequence[SearchHit],
    videos: Mapping[str, IndexedVideo],
    windows: Mapping[str, Sequence[SearchHit]],
    playable: Mapping[str, bool],
    relevances: Sequence[float],
) -> tuple[FoundVideo, ...]:
    """Hits with what is known of their videos.

    Args:
        hits: best first.
        videos: what the index knows, by path; what is not there is a text, or is gone from the index by now.
        windows: other windows that were found, by path.
        playable: whether a browser plays the file, by path.
        relevances: of each hit.
    """
    found = []
    for hit, relevance in zip(hits, relevances, strict=True):
        video = videos.get(hit.video)
        folder, name = ("", hit.video) if video is None else folder_and_name(hit.video)
        found.append(
            FoundVideo(
                hit=hit,
                id=None if video is None else video.digest,
                name=name,
                folder=folder,
                modified=None if video is None else video.facts.modified,
                duration=None if video is None else video.duration,
                playable=playable.get(hit.video, False),
                relevance=relevance,
                metadata={} if video is None else video.metadata,
                windows=tuple(windows.get(hit.video, ())),
            )
        )
    return tuple(found)


def hit_json(hit: SearchHit) -> dict[str, Any]:
    """A hit or window as `search --json` writes it, with which words are muted, and with passages in parts.

    Args:
        hit: what was found.
    """
    written = hit.as_dict()
    for moment in written["moments"]:
        moment["muted"] = is_function_word(moment["word"])
    for source, of_json in zip(hit.sources, written["sources"], strict=True):
        of_json["parts"] = [{"text": text, "matched": matched} for text, matched in source.parts()]
    return written


def folder_and_name(path: str) -> tuple[str, str]:
    """Where a video is and what it is called there.

    Args:
        path: of its file, or its URL.

    Example:
        >>> folder_and_name("https://example.org/clips/a.mp4")
        ('https://example.org/clips', 'a.mp4')
    """
    if is_remote(path):
        address = urlsplit(path)
        folder, _, name = address.path.rpartition("/")
        return f"{address.scheme}://{address.netloc}{folder}", name or path
    pure = PurePath(path)
    return str(pure.parent), pure.name
