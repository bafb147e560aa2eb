"""How results are put in words, on the screen, in reports and in model cards."""

from __future__ import annotations

from collections.abc import Sequence

from video_colbert.console import printable
from video_colbert.encoding.encoded import BadVideo
from video_colbert.evaluation.dual_softmax import DUAL_SOFTMAX
from video_colbert.evaluation.retrieval import EvaluationResult

DIRECTIONS = {"text_to_video": "text to video", "video_to_text": "video to text"}
"""The directions of retrieval and their names."""

LEVELS = {
    "sum": "all levels",
    "frame": "frame level",
    "video": "video level",
    "speech": "speech level",
    "screen_text": "screen text level",
    "description": "description level",
}
"""The levels of scores and their names."""

_COLUMNS = ("R@1", "R@5", "R@10", "MdR", "MnR")
_INTERVAL = "R@1 95 %"
_NDCG = "nDCG@10"
_BY_SOURCE = ("R@1", "R@5", "R@10", "source chosen")


def gallery_text(result: EvaluationResult) -> str:
    """How large the gallery was, of how many that the protocol has."""
    return f"{result.num_videos} of {result.num_expected_videos} videos"


def conditions_text(result: EvaluationResult) -> list[str]:
    """What makes a figure another than the usual one; empty for a usual one."""
    conditions = []
    if result.reweighting == DUAL_SOFTMAX:
        conditions.append("re-weighted by dual softmax, which sees all queries")
    if result.level_weights is not None:
        weights = ", ".join(f"{level} {weight:g}" for level, weight in result.level_weights.items())
        conditions.append(f"levels weighted: {weights}")
    if result.ties != "expected":
        conditions.append(f"ties ranked as {result.ties}")
    return conditions


def results_table(results: Sequence[EvaluationResult], bad: Sequence[BadVideo]) -> str:
    """The metrics as a table, with what they are of above it and what was left out below.

    Args:
        results: of every level and direction of one evaluation.
        bad: the videos that were left out.
    """
    first = results[0]
    protocol = f", protocol {first.protocol}" if first.protocol is not None else ""
    facts = [f"{gallery_text(first)}, {first.num_queries} captions", *conditions_text(first)]
    lines = [
        f"{first.dataset}{protocol}, split {first.split}: {'; '.join(facts)}",
        f"{'level':<7}{'direction':<15}" + "".join(f"{name:>8}" for name in _COLUMNS) + f"  {_INTERVAL}",
    ]
    for result in results:
        figures = "".join(f"{result.metrics[name]:>8.1f}" for name in _COLUMNS)
        low, high = (result.confidence_intervals or {}).get("R@1", (None, None))
        interval = "" if low is None or high is None else f"  {low:.1f} to {high:.1f}"
        lines.append(f"{result.level:<7}{DIRECTIONS[result.direction]:<15}{figures}{interval}")
    lines += _labelled_lines(results)
    if first.truncated_queries:
        lines.append(
            f"{first.truncated_queries} of {first.num_queries} captions are longer than the text tower holds; their "
            "ends were cut off."
        )
    if bad:
        lines += [
            f"Left out, with their captions ({len(bad)}):",
            *(f"  {printable(it.source)}: {printable(it.reason)}" for it in bad),
        ]
    return "\n".join(lines)


def figure_text(name: str, value: float, digits: int = 1) -> str:
    """A metric's figure; those from 0 to 1 have three decimals.

    Args:
        name: of the metric.
        value: its figure.
        digits: decimals of percentages and ranks.
    """
    return f"{value:.{3 if name in ('MRR', _NDCG) else digits}f}"


def _labelled_lines(results: Sequence[EvaluationResult]) -> list[str]:
    """What graded judgements and labels of sources say of the model's own score."""
    lines = []
    graded = [f"{LEVELS[result.level]} {result.metrics[_NDCG]:.3f}" for result in results if _NDCG in result.metrics]
    if graded:
        lines.append(f"{_NDCG} of {results[0].num_judged_queries} judged queries: {', '.join(graded)}")
    for result in results:
        if result.by_source is None or result.level != "sum":
            continue
        names = [name for name in _BY_SOURCE if name in result.by_source["all"]]
        lines.append(f"{'queries of':<22}" + "".join(f"{name:>{max(8, len(name) + 2)}}" for name in names))
        for source, of_source in result.by_source.items():
            figures = "".join(f"{of_source[name]:>{max(8, len(name) + 2)}.1f}" for name in names)
            name = f"{source} ({of_source['queries']:.0f})"
            lines.append(f"{name:<22}{figures}")
    return lines
