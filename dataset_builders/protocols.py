"""What the benchmarks' test protocols are: how many videos, which queries, and whether a data set keeps to them."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CAPTION_QUERIES = "each caption is a query"
PARAGRAPH_QUERIES = "all sentences of a video, joined by a space, are one query"
ANY_CAPTION = "video to text: a video's best-ranked caption counts"
ONE_CAPTION = "video to text: each video has one text"


@dataclass(frozen=True)
class ExpectedSplit:
    """What a split holds; None where no source was found to say so.

    Attributes:
        videos: Number of rows.
        queries: Number of captions over all rows.
        distinct_queries: Number of different captions.
        captions_per_video: Number of captions of every row.
        videos_digest: `list_digest` of the video ids.
        queries_digest: `list_digest` of the lines "video id, tab, caption".
    """

    videos: int | None = None
    queries: int | None = None
    distinct_queries: int | None = None
    captions_per_video: int | None = None
    videos_digest: str | None = None
    queries_digest: str | None = None


@dataclass(frozen=True)
class Protocol:
    """How a benchmark is used.

    Attributes:
        splits: What each split holds.
        query_rule: What a query is.
        video_to_text_rule: What counts in the other direction.
        source: Where the protocol is defined.
        note: What else must be known to compare numbers.
    """

    splits: Mapping[str, ExpectedSplit]
    query_rule: str
    video_to_text_rule: str
    source: str
    note: str = ""


_MSRVTT_1K_TEST = ExpectedSplit(
    videos=1000,
    queries=1000,
    distinct_queries=995,
    captions_per_video=1,
    videos_digest="49a09fb68f7ec52b3b9bbb7e856ffbd3f00233976ed435fded658309c3cd491a",
    queries_digest="62f46b5bc864f04a925c3f30dfa46fd919742b8da4fd4b4393143ff32b60d42d",
)
_JSFUSION = "Yu et al., A Joint Sequence Fusion Model for Video Question Answering and Retrieval, ECCV 2018"
_EPOCH_NOTE = (
    "There is no validation split: numbers whose epoch was chosen on the test split are 1 to 2.5 points too high."
)

# Digests are of the official lists; counts without a digest are those that the sources state.
PROTOCOLS: Mapping[str, Mapping[str, Protocol]] = {
    "msrvtt": {
        "1k-A": Protocol(
            splits={
                "train": ExpectedSplit(
                    videos=9000,
                    queries=180_000,
                    captions_per_video=20,
                    videos_digest="7dce4e3e1af1eded0cb9edbf4a30dc6ad15b9ec201c7a6b4b2860d39280de4d7",
                ),
                "test": _MSRVTT_1K_TEST,
            },
            query_rule=CAPTION_QUERIES,
            video_to_text_rule=ONE_CAPTION,
            source=f"{_JSFUSION}; training list of 9,000: Gabeur et al., Multi-modal Transformer, ECCV 2020",
            note=_EPOCH_NOTE,
        ),
        "1k-A-7k": Protocol(
            splits={
                "train": ExpectedSplit(
                    videos=7010,
                    queries=140_200,
                    captions_per_video=20,
                    videos_digest="81ea9208d6c64212cd45f7e03774a8c82d45afe7c57efdb3e7d1a630f0b34700",
                ),
                "test": _MSRVTT_1K_TEST,
            },
            query_rule=CAPTION_QUERIES,
            video_to_text_rule=ONE_CAPTION,
            source=f"{_JSFUSION}; training list of 7,010: Miech et al., HowTo100M, ICCV 2019",
            note=_EPOCH_NOTE,
        ),
        "full": Protocol(
            splits={
                "train": ExpectedSplit(
                    videos=6513,
                    queries=130_260,
                    captions_per_video=20,
                    videos_digest="5cac8e8a55a87350bd35c6c28695e9fc6d8561a463769f9273894704d8ef0ebd",
                ),
                "validation": ExpectedSplit(
                    videos=497,
                    queries=9940,
                    captions_per_video=20,
                    videos_digest="be5b1994f643740b80796c392d7b472deed45ddce69ce13fee87609ce303ab3f",
                ),
                "test": ExpectedSplit(
                    videos=2990,
                    queries=59_800,
                    captions_per_video=20,
                    videos_digest="916e9b2dd9a4518131b76a1e9b4f47fd12847f50356ebd8413bcd555abe2bca8",
                ),
            },
            query_rule=CAPTION_QUERIES,
            video_to_text_rule=ANY_CAPTION,
            source="Xu et al., MSR-VTT: A Large Video Description Dataset, CVPR 2016",
        ),
    },
    "msvd": {
        "standard": Protocol(
            splits={
                "train": ExpectedSplit(
                    videos=1200,
                    queries=48_774,
                    videos_digest="223a750f33fcec3c5fcb1894123564e67286edd1e9f9473be97930340027d659",
                    queries_digest="d76c0e649e273a7eb8f8b223ba801f75b5b80a10bfecf3766843a1165eb9ca16",
                ),
                "validation": ExpectedSplit(
                    videos=100,
                    queries=4290,
                    videos_digest="0e6b31c93757d25115f04e1974bcdc7962b3fce17832b397f6e83e9ff096881b",
                    queries_digest="4ba0da053573021ba2e03d3d17aaff5d958cdee56c1cb7204155a2a35219ca08",
                ),
                "test": ExpectedSplit(
                    videos=670,
                    queries=27_763,
                    videos_digest="8d2c6c42af984fd02de95caffc7c6e4fafadeed81b5d99c8aa1584b12367a85c",
                    queries_digest="767e63775fe9e7e3cf04da4845d9eaf609b00a5142ab9558153f24f39ccdaa37",
                ),
            },
            query_rule=CAPTION_QUERIES,
            video_to_text_rule=ANY_CAPTION,
            source="Chen and Dolan, Collecting Highly Parallel Data for Paraphrase Evaluation, ACL 2011; "
            "split: Venugopalan et al., Sequence to Sequence, ICCV 2015",
        ),
    },
    "vatex": {
        "1500": Protocol(
            splits={
                "train": ExpectedSplit(videos=25_991, queries=259_910, captions_per_video=10),
                "validation": ExpectedSplit(videos=1500, queries=15_000, captions_per_video=10),
                "test": ExpectedSplit(videos=1500, queries=15_000, captions_per_video=10),
            },
            query_rule=CAPTION_QUERIES,
            video_to_text_rule=ANY_CAPTION,
            source="Wang et al., VATEX, ICCV 2019; split of its validation set: Chen et al., Fine-grained "
            "Video-Text Retrieval with Hierarchical Graph Reasoning, CVPR 2020",
            note="The official test set has no public captions; half of the validation set is the test split.",
        ),
    },
    "didemo": {
        "paragraph": Protocol(
            splits={
                "train": ExpectedSplit(videos=8395, queries=8395, captions_per_video=1),
                "validation": ExpectedSplit(videos=1065, queries=1065, captions_per_video=1),
                "test": ExpectedSplit(videos=1004, queries=1004, captions_per_video=1),
            },
            query_rule=PARAGRAPH_QUERIES,
            video_to_text_rule=ONE_CAPTION,
            source="Anne Hendricks et al., Localizing Moments in Video with Natural Language, ICCV 2017; "
            "paragraphs: Liu et al., Use What You Have, BMVC 2019",
            note="Only the first 30 seconds of a video are used, for only they were annotated.",
        ),
        "moments": Protocol(
            splits={
                "train": ExpectedSplit(queries=33_005),
                "validation": ExpectedSplit(queries=4180),
                "test": ExpectedSplit(queries=4021),
            },
            query_rule=CAPTION_QUERIES,
            video_to_text_rule=ANY_CAPTION,
            source="Anne Hendricks et al., Localizing Moments in Video with Natural Language, ICCV 2017",
            note="One row a moment. A moment spans the segments of 5 seconds that most annotators chose.",
        ),
    },
    "activitynet": {
        "paragraph": Protocol(
            splits={
                "train": ExpectedSplit(videos=10_009, queries=10_009, captions_per_video=1),
                "test": ExpectedSplit(videos=4917, queries=4917, captions_per_video=1),
            },
            query_rule=PARAGRAPH_QUERIES,
            video_to_text_rule=ONE_CAPTION,
            source="Krishna et al., Dense-Captioning Events in Videos, ICCV 2017; paragraphs: Zhang et al., "
            "Cross-Modal and Hierarchical Modeling of Video and Text, ECCV 2018",
            note="The test split is the set's val_1: its own test set has no public captions.",
        ),
        "moments": Protocol(
            splits={"train": ExpectedSplit(queries=37_421), "test": ExpectedSplit(queries=17_505)},
            query_rule=CAPTION_QUERIES,
            video_to_text_rule=ANY_CAPTION,
            source="Krishna et al., Dense-Captioning Events in Videos, ICCV 2017",
            note="One row a moment; the test split is the set's val_1.",
        ),
    },
}


def list_digest(lines: Iterable[str]) -> str:
    """SHA-256 of a list whatever its order: its lines are sorted and joined by line feeds."""
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def default_protocol(benchmark: str) -> str:
    """Name of the protocol that a benchmark is used with where none is asked for.

    Raises:
        ValueError: An unknown benchmark.
    """
    if benchmark not in PROTOCOLS:
        raise ValueError(f"unknown benchmark {benchmark!r}; there are {', '.join(PROTOCOLS)}")
    return next(iter(PROTOCOLS[benchmark]))


def get_protocol(benchmark: str, protocol: str | None = None) -> Protocol:
    """Looks up a protocol, by default the benchmark's own.

    Raises:
        ValueError: An unknown benchmark or protocol; the message lists the known ones.
    """
    protocol = protocol or default_protocol(benchmark)
    protocols = PROTOCOLS.get(benchmark, {})
    if protocol not in protocols:
        known = ", ".join(protocols) or f"none for {benchmark!r}"
        raise ValueError(f"unknown protocol {protocol!r} of {benchmark}; there are {known}")
    return protocols[protocol]


def get_split(benchmark: str, protocol: str, split: str) -> ExpectedSplit:
    """Looks up what a split should hold.

    Raises:
        ValueError: An unknown benchmark, protocol or split; the message lists the known ones.
    """
    splits = get_protocol(benchmark, protocol).splits
    if split not in splits:
        raise ValueError(f"unknown split {split!r} of {benchmark}, protocol {protocol}; there are {', '.join(splits)}")
    return splits[split]


@dataclass(frozen=True)
class Verification:
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


def verify(
    dataset: Iterable[Mapping[str, Any]],
    benchmark: str | None = None,
    protocol: str | None = None,
    split: str | None = None,
) -> Verification:
    """Compares a data set with the protocol that it claims to follow.

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
    benchmark = benchmark or getattr(info, "builder_name", None)
    if not benchmark or benchmark not in PROTOCOLS:
        raise ValueError(f"benchmark must be one of {', '.join(PROTOCOLS)}, got {benchmark!r}")
    protocol = protocol or getattr(info, "config_name", None) or default_protocol(benchmark)
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
    return Verification(
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
