"""The benchmarks' protocols: how many videos, and which queries."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    "multivent2": {
        "official": Protocol(
            splits={"train": ExpectedSplit(), "test": ExpectedSplit()},
            query_rule="each query is ranked against all videos of its split",
            video_to_text_rule=ANY_CAPTION,
            source="Kriz et al., MultiVENT 2.0: A Massive Multilingual Benchmark for Event-Centric Video Retrieval, "
            "arXiv 2410.11619",
            note="Judgements are graded, and a query may have several relevant videos: the figure is nDCG@10.",
        ),
    },
    "spoken_shapes": {
        "standard": Protocol(
            splits={
                "train": ExpectedSplit(captions_per_video=1),
                "validation": ExpectedSplit(captions_per_video=1),
                "test": ExpectedSplit(captions_per_video=1),
            },
            query_rule="each clip is asked for by what it alone says or shows",
            video_to_text_rule=ONE_CAPTION,
            source="made by write_spoken_shapes of this package",
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
