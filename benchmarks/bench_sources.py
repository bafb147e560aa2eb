"""One search over what is said, written, told and shown, beside every source alone and a router.

400 videos of spoken shapes, in pairs that share three of four contents, and 400 queries, of which each source answers
100 (`write_spoken_shapes`), in an index. Half of the queries that words answer are exact names, half share no word
with what was said but its colour. The other 100 say what is seen in the words that the model of pictures knows.

What is said and written is read from the files by the real readers: Whisper tiny for speech, rapidocr for text in the
pictures, the container's title. Passages are ranked by a text model's late interaction, pictures by the model of
`demo.py`, which is trained if it was not before, and keywords are one more list. Every fusion makes one ranking of the
five. The default knows how each source's wrong hits score, from texts of the index that it asked as queries, how a hit
stands out of its list, and no judged query. Fusions that learn are fitted on other pairs than they are asked about, in
five parts.

    python benchmarks/bench_sources.py                                  400 videos
    python benchmarks/bench_sources.py --videos 40 --output FOLDER      a short run, without targets

Clips and index stay under `--output`, so a run that was stopped goes on. The models of speech and text are those that
`make test-models` fetches. Targets: R@1 of the default fusion over all queries is 25 points above that of the best
source, keywords among them, though they are the words of three sources at once; and on each source's queries at most
10 points below that source alone. Fusions were chosen by clips of seeds 0 and 1; those here are of another.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark_report import Target, add_json_argument, report_figures, script_parser
from demo_checkpoint import load_demo_encoder

from video_colbert import open_index
from video_colbert.dataset_builders import SpokenShapesConfig, load_benchmark, write_spoken_shapes
from video_colbert.evaluation.graded_metrics import Ranking
from video_colbert.evaluation.sources.fusion_tuning import held_out_fusions
from video_colbert.evaluation.sources.source_metrics import ALL_SOURCES, hit_rates_by_source, source_choice
from video_colbert.index import Index
from video_colbert.index.fusion.fusing import DEFAULT_METHOD, FUSION_METHODS, FusedHit, FusionMethod, fuse
from video_colbert.index.fusion.judged_query import JudgedQuery
from video_colbert.index.passages.source_lists import source_lists
from video_colbert.index.passages.source_search import KEYWORDS, VIDEO
from video_colbert.text.description import DescriptionReader
from video_colbert.text.passages import PassageReader
from video_colbert.text.screen_text import ScreenTextReader
from video_colbert.text.speech import SpeechReader
from video_colbert.text.text_model import TextModel

REPOSITORY = Path(__file__).parents[1]
CHECKPOINT = REPOSITORY / "runs" / "demo" / "training" / "best"
MODELS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "video_colbert_test_models"
VIDEOS = 400
GAIN, LOSS = 25.0, 10.0
# Of clips that nothing was chosen by.
SEED = 2


def main() -> int:
    """Reads, ranks, fuses and reports."""
    arguments = parse_arguments()
    if not arguments.checkpoint.exists():
        subprocess.run([sys.executable, str(REPOSITORY / "benchmarks" / "demo.py")], check=True)
    rows = spoken_rows(arguments.output, arguments.videos, arguments.seed)
    index = indexed(arguments, [row["video"]["path"] for row in rows])
    figures, targets = compare(index, rows)
    return report_figures(figures, targets if arguments.videos == VIDEOS else [], arguments.json)


def parse_arguments() -> argparse.Namespace:
    """The script's arguments."""
    parser = add_json_argument(script_parser(__doc__))
    parser.add_argument("--videos", type=int, default=VIDEOS, help=f"a multiple of 8 (default: {VIDEOS})")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="model of moving shapes")
    parser.add_argument("--speech-model", type=Path, default=MODELS / "whisper-tiny")
    parser.add_argument("--text-model", type=Path, default=MODELS / "minilm")
    parser.add_argument(
        "--every", type=float, default=2.0, help="seconds between pictures in which text is looked for"
    )
    parser.add_argument("--workers", type=int, help="processes that decode and read (default: one for each core)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the clips (default: {SEED})")
    parser.add_argument(
        "--output", type=Path, default=REPOSITORY / "runs" / "sources", help="folder for clips and index, kept"
    )
    arguments: argparse.Namespace = parser.parse_args()
    return arguments


def spoken_rows(folder: Path, videos: int, seed: int) -> list[dict[str, Any]]:
    """The clips, written where they are not yet, with their queries."""
    config = SpokenShapesConfig(seed=seed, num_train=0, num_validation=0, num_test=videos)
    write_spoken_shapes(folder, config, "test", "spoken")
    stream = load_benchmark("spoken_shapes", split="test", data_dir=folder, streaming=True)
    return list(stream)


def indexed(arguments: argparse.Namespace, clips: Sequence[str]) -> Index:
    """An index of the clips with all that is read of them; what an earlier run read is not read again.

    Raises:
        RuntimeError: A clip could not be read.
    """
    index = open_index(arguments.output / f"index_of_{len(clips)}", load_demo_encoder(arguments.checkpoint))
    index.text_model = TextModel.from_pretrained(arguments.text_model)
    readers: list[PassageReader] = [
        DescriptionReader(),
        SpeechReader(arguments.speech_model, language="en"),
        ScreenTextReader(every=arguments.every),
    ]
    report = index.add(clips, readers=readers, workers=arguments.workers)
    if report.bad:
        raise RuntimeError(f"{len(report.bad)} clips could not be read, first {report.bad[0]}")
    return index


def compare(index: Index, rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[Target]]:
    """R@1 of each source alone and of each fusion, by the source that answers."""
    found_by_source = source_lists(index, [row["captions"][0] for row in rows])
    parameters = index.stored.notes.fusion
    sources = [row["sources"][0] for row in rows]
    judged = [
        JudgedQuery(lists, frozenset({row["video"]["path"]})) for lists, row in zip(found_by_source, rows, strict=True)
    ]
    alone = {source: rates([query.lists[source] for query in judged], judged, sources) for source in judged[0].lists}
    unfitted: list[FusionMethod] = [method for method in FUSION_METHODS if method != "learned"]
    fused: dict[str, list[list[FusedHit]]] = {
        method: [
            fuse(query.lists, method=method, parameters=parameters.for_query(row["captions"][0]))
            for query, row in zip(judged, rows, strict=True)
        ]
        for method in unfitted
    }
    fused["calibrated, by lists alone"] = [fuse(query.lists) for query in judged]
    # The clips of a pair say the same but for one thing, so neither is asked about what was fitted on the other.
    pairs = [frozenset({row["video_id"], row["partner"]}) for row in rows]
    fused |= {f"{name}, fitted": hits for name, hits in held_out_fusions(judged, groups=pairs).items()}
    figures: dict[str, Any] = {f"R@1 of {source} alone": as_text(found) for source, found in alone.items()}
    kinds = [kind_of(row) for row in rows]
    for name, results in fused.items():
        rankings = [[(hit.id, hit.score) for hit in hits] for hits in results]
        found = rates(rankings, judged, sources)
        choice = source_choice([reader_of(hits[0]) if hits else None for hits in results], sources)
        figures[f"R@1 of {name}"] = f"{as_text(found)}; source chosen {choice.accuracy[ALL_SOURCES]:.1f}"
        if name == DEFAULT_METHOD:
            default = found
            figures["R@1 of the default by kind of query"] = as_text(rates(rankings, judged, kinds))
    targets = [
        Target(
            "R@1 of the default fusion above the best source",
            default[ALL_SOURCES] - max(found[ALL_SOURCES] for found in alone.values()),
            GAIN,
            at_least=True,
        )
    ]
    targets += [
        Target(f"R@1 lost on queries of {source}", alone[source][source] - default[source], LOSS, at_least=False)
        for source in dict.fromkeys(sources)
    ]
    return figures, targets


def kind_of(row: Mapping[str, Any]) -> str:
    """What a query is: an exact name, what was said in other words, or what is seen."""
    if row["sources"][0] == VIDEO:
        return "visible"
    said = " ".join(row[content] for content in ("spoken", "written", "told"))
    return "name" if row["captions"][0] in said else "other words"


def reader_of(hit: FusedHit) -> str:
    """The source that brings most to a hit, keywords apart, which are words of other sources."""
    parts = {source: part for source, part in hit.parts.items() if source != KEYWORDS}
    return max(parts, key=parts.__getitem__, default=KEYWORDS)


def rates(rankings: Sequence[Ranking], judged: Sequence[JudgedQuery], sources: Sequence[str]) -> dict[str, float]:
    """R@1 by source and over all queries, in percent."""
    found = hit_rates_by_source(rankings, [query.right for query in judged], sources, ks=(1,))
    return {source: by_k[1] for source, by_k in found.items()}


def as_text(found: Mapping[str, float]) -> str:
    """R@1 over all queries, and by source."""
    parts = ", ".join(f"{source} {rate:.1f}" for source, rate in found.items() if source != ALL_SOURCES)
    return f"{found[ALL_SOURCES]:.1f} ({parts})"


if __name__ == "__main__":
    sys.exit(main())
