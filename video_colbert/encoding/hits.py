"""What a search found in a video: scores, the best frame of each word of the query, and ranges of matching frames."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from video_colbert.console import printable
from video_colbert.encoding.display import format_seconds, short_name
from video_colbert.encoding.passes.phrases import is_function_word
from video_colbert.encoding.source_hits import SourceHit

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from video_colbert.encoding.encoded import EncodedQueries

# A frame belongs to a word's range while the similarity has fallen by no more than this share of the way from the
# word's largest similarity to its smallest.
_NEAR_MAXIMUM = 0.25
_TIME_DECIMALS = 3
_SCORE_DECIMALS = 7
_PROBABILITY_DECIMALS = 4


@dataclass(frozen=True)
class Moment:
    """Where in a video one word of the query matched best, or one phrase.

    Attributes:
        word: the word; a phrase of the query for a model that makes one pooled vector of a text; empty for what a
            query by picture or clip shows.
        time: when the frame appears, in seconds from the start of the video.
        similarity: similarity of the word to that frame, summed over the tokens of the word.
    """

    word: str
    time: float
    similarity: float


@dataclass(frozen=True)
class MomentRange:
    """A part of a video in which words of the query match nearly as well as anywhere in it.

    Attributes:
        start: start in seconds from the start of the video.
        end: end in seconds.
        words: the words that match best here, in the order of the query; none where only what a query by picture or
            clip shows does.
    """

    start: float
    end: float
    words: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class SearchHit:
    """One video, or window of a video, found by a query.

    Attributes:
        rank: where it stands among the query's hits, from 1.
        video: path of the file, or its URL.
        start: where the window starts, in seconds.
        end: where it ends, in seconds.
        score: weighted sum of the levels.
        level_scores: by level, MeanMaxSim over the video's tokens; a level on which it has none is left out.
        moments: for each word of the query, in its order, the frame it matched best; none for a model that makes
            one vector of all frames.
        ranges: the parts of the video in which words match best, merged, in order of time; none likewise.
        is_gone: whether the file was no longer there when the search ran; an index keeps it until it is pruned.
        sources: which sources found it, the one that brings most first, with the passages of those that are made of
            words; none where pictures alone were searched.
        probability: how likely it is right, from 0 to 1; None where the index did not learn it of such searches.

    Example:
        >>> moments = (Moment("dog", 1.2, 0.4), Moment("ball", 3.4, 0.3))
        >>> SearchHit(1, "a.mp4", 0.0, 9.5, 0.412, {"frame": 0.412}, moments)
        0.412 a.mp4 0:00.0-0:09.5 "dog" 0:01.2 "ball" 0:03.4
    """

    rank: int
    video: str
    start: float
    end: float
    score: float
    level_scores: Mapping[str, float] = field(hash=False)
    moments: tuple[Moment, ...]
    ranges: tuple[MomentRange, ...] = ()
    is_gone: bool = False
    sources: tuple[SourceHit, ...] = ()
    probability: float | None = None

    def __repr__(self) -> str:
        moments = "".join(
            f' "{printable(each.word)}" {format_seconds(each.time)}' if each.word else f" {format_seconds(each.time)}"
            for each in self.telling_moments
        )
        window = f"{format_seconds(self.start)}-{format_seconds(self.end)}"
        return f"{self.score:.3f} {short_name(self.video)} {window}{moments}"

    @property
    def telling_moments(self) -> tuple[Moment, ...]:
        """The moments that people are shown: without those of function words, such as "a" and "of"."""
        return tuple(moment for moment in self.moments if not is_function_word(moment.word))

    @property
    def matched_range(self) -> tuple[float, float]:
        """Start and end in seconds of what matched best.

        That of the passage that brings most, or of the range of frames that most telling words share, of several the
        likeliest; all of the hit where no part of it stands out.
        """
        if self.sources and self.sources[0].start is not None and self.sources[0].end is not None:
            return self.sources[0].start, self.sources[0].end
        telling = {moment.word: moment for moment in self.telling_moments}

        def weight(part: MomentRange) -> tuple[int, float]:
            inside = [telling[word] for word in part.words if word in telling]
            shows = telling.get("")
            if shows is not None and part.start <= shows.time <= part.end:
                inside.append(shows)
            return len(inside), sum(moment.similarity for moment in inside)

        long = [part for part in self.ranges if part.start < part.end]
        if not long:
            return self.start, self.end
        best = max(long, key=weight)
        return best.start, best.end

    @property
    def is_fused(self) -> bool:
        """Whether the score is made of those of its sources, rather than that of one."""
        return bool(self.sources) and all(source.score != self.score for source in self.sources)

    @property
    def is_text(self) -> bool:
        """Whether it is a text of a plain collection, and no video."""
        return any(source.kind == "document" for source in self.sources)

    def as_dict(self) -> dict[str, Any]:
        """What `search --json` writes of a hit; programs rely on these names.

        Times are given to the millisecond, scores to seven decimals.
        `sources` says which sources found it, where more than pictures were searched. `probability` is there where it
        is known.
        """
        known = {} if self.probability is None else {"probability": round(self.probability, _PROBABILITY_DECIMALS)}
        return {
            "rank": self.rank,
            "video": self.video,
            "start": round(self.start, _TIME_DECIMALS),
            "end": round(self.end, _TIME_DECIMALS),
            "score": round(self.score, _SCORE_DECIMALS),
            **known,
            "level_scores": {level: round(score, _SCORE_DECIMALS) for level, score in self.level_scores.items()},
            "ranges": [
                {
                    "start": round(part.start, _TIME_DECIMALS),
                    "end": round(part.end, _TIME_DECIMALS),
                    "words": list(part.words),
                }
                for part in self.ranges
            ],
            "moments": [
                {
                    "word": moment.word,
                    "time": round(moment.time, _TIME_DECIMALS),
                    "similarity": round(moment.similarity, _SCORE_DECIMALS),
                }
                for moment in self.moments
            ],
            "sources": [source.as_dict() for source in self.sources],
            "gone": self.is_gone,
        }


def find_moments(
    queries: EncodedQueries, query: int, frame_embeds: Tensor, timestamps: Sequence[float]
) -> tuple[Moment, ...]:
    """For each word of one query, the frame it matches best; the earliest of equals.

    A word's similarity to a frame is the sum over its tokens. Special and pad tokens belong to no word, and a
    word that was cut off has no tokens, hence no moment.

    Args:
        queries: encoded queries.
        query: which of them.
        frame_embeds: [T, D] frame tokens of a video.
        timestamps: times of the frames, in seconds.

    Returns:
        The moments; none for a model that makes one vector of all frames, whose score knows no time, nor for a video
        without frames, which another level found.
    """
    if not len(timestamps) or len(frame_embeds) != len(timestamps):
        return ()
    moments = []
    for word, similarities in _similarities_of_words(queries, query, frame_embeds):
        frame = int(similarities.argmax())
        moments.append(Moment(word, timestamps[frame], float(similarities[frame])))
    return tuple(moments)


def find_ranges(
    queries: EncodedQueries, query: int, frame_embeds: Tensor, timestamps: Sequence[float]
) -> tuple[MomentRange, ...]:
    """The parts of a video in which the words of one query match best, merged where they overlap or touch.

    A word's part is the frames around its best one whose similarity stays near that maximum: it has fallen by at
    most a quarter of the way to the word's smallest similarity. A frame stands for the time that is nearer to it
    than to other frames; the first and the last reach as far outwards as inwards, but not before 0.

    Args:
        queries: encoded queries.
        query: which of them.
        frame_embeds: [T, D] frame tokens of a video.
        timestamps: T times, in seconds, increasing.

    Returns:
        Ranges in order of time, the words of each in the order of the query; none where there are no moments.
    """
    if not len(timestamps) or len(frame_embeds) != len(timestamps):
        return ()
    frames_of_words = []
    for word, similarities in _similarities_of_words(queries, query, frame_embeds):
        best = int(similarities.argmax())
        highest, lowest = similarities[best], similarities.min()
        is_near = similarities >= highest - _NEAR_MAXIMUM * (highest - lowest)
        first = last = best
        while first > 0 and is_near[first - 1]:
            first -= 1
        while last + 1 < len(is_near) and is_near[last + 1]:
            last += 1
        frames_of_words.append((first, last, word))
    borders = _borders(timestamps)
    ranges: list[tuple[int, int, list[int]]] = []
    by_time = sorted(range(len(frames_of_words)), key=lambda place: frames_of_words[place][:2])
    for place in by_time:
        first, last, _ = frames_of_words[place]
        if ranges and first <= ranges[-1][1] + 1:
            earlier, end, places = ranges[-1]
            ranges[-1] = (earlier, max(end, last), [*places, place])
        else:
            ranges.append((first, last, [place]))
    return tuple(
        MomentRange(
            borders[first],
            borders[last + 1],
            tuple(word for place in sorted(places) if (word := frames_of_words[place][2])),
        )
        for first, last, places in ranges
    )


def finite_scores(scores: Mapping[str, Tensor]) -> dict[str, float]:
    """Scores by level as numbers, without the levels on which a video has no tokens, where they are infinite."""
    return {level: number for level, score in scores.items() if math.isfinite(number := float(score))}


def _similarities_of_words(
    queries: EncodedQueries, query: int, frame_embeds: Tensor
) -> list[tuple[str, npt.NDArray[np.float32]]]:
    if "frame" not in queries.encoder_of_level:
        return []
    bags = queries.bags_of("frame")
    of_words = bags.embeds if bags.phrase_embeds is None else bags.phrase_embeds
    similarities = (of_words[query].detach().cpu().float() @ frame_embeds.detach().float().T).numpy()
    return [
        (word.word, similarities[list(word.token_positions)].sum(axis=0))
        for word in bags.words[query]
        if word.token_positions
    ]


def _borders(timestamps: Sequence[float]) -> list[float]:
    """The T + 1 times between which each of T frames is the nearest."""
    times = [float(time) for time in timestamps]
    middles = [(earlier + later) / 2 for earlier, later in itertools.pairwise(times)]
    if not middles:
        return [times[0], times[0]]
    return [max(0.0, 2 * times[0] - middles[0]), *middles, 2 * times[-1] - middles[-1]]
