"""The reliability diagram of a confidence, as an SVG file of its own."""

from __future__ import annotations

from video_colbert.evaluation.reports.reliability import Reliability

_SIZE, _EDGE = 360, 44
_INNER = _SIZE - 2 * _EDGE


def reliability_plot(reliability: Reliability) -> str:
    """Points of the bins, the share of right first hits over their probability, beside the diagonal of perfect ones.

    Args:
        reliability: what is shown.

    Returns:
        A whole SVG file.
    """
    points = [(_x(each.probability), _y(each.share_right)) for each in reliability.bins]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [
        f'<rect x="{_EDGE}" y="{_EDGE}" width="{_INNER}" height="{_INNER}" fill="none" stroke="#999"/>',
        f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="#999" stroke-dasharray="4"/>',
        f'<polyline points="{line}" fill="none" stroke="#1f77b4" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#1f77b4"/>' for x, y in points),
    ]
    for tick in (0.0, 0.5, 1.0):
        parts.append(_text(_x(tick), _SIZE - _EDGE + 16, f"{tick:g}"))
        parts.append(_text(_EDGE - 14, _y(tick) + 4, f"{tick:g}"))
    title = f"{reliability.num_queries} queries held out, expected calibration error {reliability.error:.3f}"
    parts += [
        _text(_SIZE / 2, _EDGE - 16, title),
        _text(_SIZE / 2, _SIZE - 8, "probability of the first hit"),
        f'<g transform="rotate(-90 14 {_SIZE / 2})">{_text(14, _SIZE / 2 + 4, "share that is right")}</g>',
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE} {_SIZE}" width="{_SIZE}" height="{_SIZE}" '
        f'role="img" aria-label="{title}"><rect width="100%" height="100%" fill="#fff"/>' + "".join(parts) + "</svg>\n"
    )


def _x(value: float) -> float:
    return _EDGE + value * _INNER


def _y(value: float) -> float:
    return _SIZE - _EDGE - value * _INNER


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-family="sans-serif" font-size="12">{text}</text>'
