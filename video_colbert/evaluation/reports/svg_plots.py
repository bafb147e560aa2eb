"""Small plots as SVG text, to stand inside a page without a plotting library."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from video_colbert.evaluation.score_distribution import ScoreDistribution

_WIDTH, _HEIGHT = 420, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 22, 26
_LARGEST_BINS = 60
_RANK_ENDS = (1, 5, 10, 50, 100, 500, 1000, 5000, 10_000)


def rank_plot(ranks: npt.NDArray[np.float64], gallery: int, *, title: str) -> str:
    """Bars: the share of queries whose rank falls in each range.

    Args:
        ranks: [num_queries] ranks from 1.
        gallery: the largest rank there can be.
        title: what stands above.
    """
    ends = [end for end in _RANK_ENDS if end < gallery] + [gallery]
    starts = [1, *(end + 1 for end in ends[:-1])]
    # An expected rank between two ranges belongs to the first one it does not exceed.
    counts = np.bincount(np.searchsorted(ends, ranks), minlength=len(ends))
    shares = counts / max(len(ranks), 1)
    labels = [str(end) if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True)]
    step = (_WIDTH - _LEFT - _RIGHT) / len(ends)
    tallest = max(float(shares.max()), 1e-9)
    parts = []
    for column, (share, label) in enumerate(zip(shares.tolist(), labels, strict=True)):
        height = (_HEIGHT - _TOP - _BOTTOM - 14) * share / tallest
        x, y = _LEFT + column * step, _HEIGHT - _BOTTOM - height
        parts += [
            f'<rect class="bar" x="{x + 2:.1f}" y="{y:.1f}" width="{step - 4:.1f}" height="{height:.1f}"/>',
            _text(x + step / 2, y - 3, f"{100 * share:.0f}%"),
            _text(x + step / 2, _HEIGHT - 10, label),
        ]
    return _svg(title, parts)


def score_plot(distribution: ScoreDistribution, *, title: str) -> str:
    """Two curves, each scaled to its own peak: the scores of right pairs and of wrong ones.

    Args:
        distribution: the histograms.
        title: what stands above.
    """
    used = np.flatnonzero(distribution.positives + distribution.negatives)
    if not len(used):
        return _svg(title, [_text(_WIDTH / 2, _HEIGHT / 2, "no finite scores")])
    first, last = int(used[0]), int(used[-1]) + 1
    width = -(-(last - first) // _LARGEST_BINS)
    starts = np.arange(first, last, width)
    low = float(distribution.edges[first])
    high = float(distribution.edges[min(int(starts[-1]) + width, len(distribution.edges) - 1)])
    parts = []
    for name, counts in (("negatives", distribution.negatives), ("positives", distribution.positives)):
        grouped = np.add.reduceat(counts[:last], starts)
        parts.append(f'<polyline class="{name}" points="{_curve(grouped)}"/>')
    parts += [
        _text(_LEFT, _HEIGHT - 10, f"{low:.3g}", anchor="start"),
        _text(_WIDTH - _RIGHT, _HEIGHT - 10, f"{high:.3g}", anchor="end"),
        # Beside the title: the curves reach everywhere below it.
        f'<text class="positives" x="{_WIDTH - 8}" y="14" text-anchor="end">right pairs</text>',
        f'<text class="negatives" x="{_WIDTH - 72}" y="14" text-anchor="end">wrong pairs</text>',
    ]
    return _svg(title, parts)


def _curve(counts: npt.NDArray[np.int64]) -> str:
    peak = max(int(counts.max()), 1)
    step = (_WIDTH - _LEFT - _RIGHT) / len(counts)
    points = []
    for column, count in enumerate(counts.tolist()):
        y = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * count / peak
        points += [f"{_LEFT + column * step:.1f},{y:.1f}", f"{_LEFT + (column + 1) * step:.1f},{y:.1f}"]
    return " ".join(points)


def _text(x: float, y: float, text: str, *, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f'<text class="title" x="{_LEFT}" y="14">{html.escape(title)}</text>'
        f'<line x1="{_LEFT}" y1="{_HEIGHT - _BOTTOM}" x2="{_WIDTH - _RIGHT}" y2="{_HEIGHT - _BOTTOM}"/>'
        + "".join(parts)
        + "</svg>"
    )
