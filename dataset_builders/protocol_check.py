"""Checks of data sets against the protocols of the benchmarks."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .protocols import default_protocol, get_split, list_digest


@dataclass(frozen=True)
class ProtocolCheck:
    """How a data set compares with a protocol.

    Attributes:
        benchmark: Name of the benchmark.
        protocol: Name of the protocol.
        split: Name of the split.
        differences: What differs, a sentence each; empty if nothing does.
        unchecked: Facts that no source states, so that they were not compared.
        missing: Ids of the rows whose video file is missing.
        rows: Number of rows.
        queries: Number of captions over all rows.
    """

    benchmark: str
    protocol: str
    split: str
    differences: tuple[str, ...]
    unchecked: tuple[str, ...]
    missing: tuple[str, ...]
    rows: int
    queries: int

    @property
    def ok(self) -> bool:
        """Whether the data set is the protocol's and every video file is there."""
        return not self.differences and not self.missing

    @property
    def coverage(self) -> str:
        """How many videos are there, as reports state it: "997 of 1000"."""
        return f"{self.rows - len(self.missing)} of {self.rows}"

    def __str__(self) -> str:
        name = f"{self.benchmark}, protocol {self.protocol}, {self.split}"
        lines = [f"{name}: {self.coverage} videos; {'as expected' if self.ok else 'differs from the protocol'}"]
        lines += [f"- {difference}" for difference in self.differences]
        if self.missing:
            lines.append(f"- missing videos: {shortened(self.missing)}")
        lines += [f"- not checked: {fact}" for fact in self.unchecked]
        return "\n".join(lines)


def check_protocol(
    dataset: Iterable[Mapping[str, Any]],
    benchmark: str | None = None,
    protocol: str | None = None,
    split: str | None = None,
) -> ProtocolCheck:
    """Checks a data set against the protocol that it claims to follow.

    Args:
        dataset: Rows with `video_id`, `captions` and `video`: a data set of this package, streamed or not, or any
            other.
        benchmark: Name of the benchmark; by default what the data set says of itself.
        protocol: Name of the protocol, likewise.
        split: Name of the split, likewise.

    Returns:
        What differs.

    Raises:
        ValueError: A name is unknown, or is not given and the data set does not say.
    """
    info = getattr(dataset, "info", None)
    benchmark = benchmark or getattr(info, "builder_name", None) or ""
    default = default_protocol(benchmark)
    protocol = protocol or getattr(info, "config_name", None) or default
    split = split or str(getattr(dataset, "split", None) or "")
    expected = get_split(benchmark, protocol, split)
    ids: list[str] = []
    pairs: list[tuple[str, str]] = []
    captions_per_video: dict[str, int] = {}
    missing: list[str] = []
    for row in dataset:
        video_id = row["video_id"]
        ids.append(video_id)
        pairs += [(video_id, caption) for caption in row["captions"]]
        captions_per_video[video_id] = len(row["captions"])
        if row.get("video") is None:
            missing.append(video_id)
    differences: list[str] = []
    unchecked: list[str] = []

    def compare(fact: str, wanted: object, found: object) -> None:
        if wanted is None:
            unchecked.append(fact)
        elif wanted != found:
            differences.append(f"{fact}: expected {wanted}, found {found}")

    compare("number of videos", expected.videos, len(ids))
    compare("number of queries", expected.queries, len(pairs))
    if expected.distinct_queries is not None:
        distinct = len({caption for _, caption in pairs})
        compare("number of distinct queries", expected.distinct_queries, distinct)
    repeated = [video_id for video_id, count in Counter(ids).items() if count > 1]
    if repeated:
        differences.append(f"video ids that occur more than once: {shortened(repeated)}")
    if expected.captions_per_video is not None:
        odd = [f"{name} has {n}" for name, n in captions_per_video.items() if n != expected.captions_per_video]
        if odd:
            differences.append(f"videos without exactly {expected.captions_per_video} captions: {shortened(odd)}")
    compare("digest of the list of videos", expected.videos_digest, list_digest(ids))
    compare("digest of the queries", expected.queries_digest, list_digest("\t".join(pair) for pair in pairs))
    return ProtocolCheck(
        benchmark,
        protocol,
        split,
        tuple(differences),
        tuple(unchecked),
        tuple(missing),
        rows=len(ids),
        queries=len(pairs),
    )


def shortened(names: Iterable[str], shown: int = 20) -> str:
    """The first names of a list and the number of the others, for a message."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
