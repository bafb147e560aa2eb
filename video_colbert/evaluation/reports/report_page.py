"""An evaluation as one HTML page without scripts or other files."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path

from video_colbert.encoding.display import format_seconds
from video_colbert.evaluation.query_metrics import query_metrics
from video_colbert.evaluation.reports.failures import Failure, MatchedVideo
from video_colbert.evaluation.reports.report import REPORT_FILE, EvaluationReport
from video_colbert.evaluation.reports.svg_plots import rank_plot, score_plot
from video_colbert.evaluation.result_text import DIRECTIONS, LEVELS, conditions_text, figure_text, gallery_text
from video_colbert.whole_files import write_whole

PAGE_FILE = "report.html"
_MOST_QUERIES = 2000
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1b1f24; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid #d0d7de; }
th:first-child, td:first-child, th.text, td.text { text-align: left; }
small, .note { color: #57606a; }
.plots { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); }
svg { width: 100%; border: 1px solid #d0d7de; border-radius: 8px; font: 11px system-ui, sans-serif; }
svg text { fill: #57606a; } svg line { stroke: #8c959f; } svg .title { fill: #1b1f24; font-weight: 600; }
.bar { fill: #0969da; } polyline { fill: none; stroke-width: 1.5; }
polyline.positives { stroke: #1a7f37; } polyline.negatives { stroke: #cf222e; }
svg text.positives { fill: #1a7f37; } svg text.negatives { fill: #cf222e; }
.failure { border: 1px solid #d0d7de; border-radius: 8px; padding: .75rem 1rem; margin: 1rem 0; }
.sides { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); }
figure { display: inline-block; margin: .25rem .5rem .25rem 0; vertical-align: top; max-width: 14rem; }
figure img { height: 90px; border-radius: 4px; display: block; }
figcaption { font-size: .8rem; }
.file { overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) {
  body { background: #0d1117; color: #e6edf3; } small, .note, svg text { color: #8d96a0; fill: #8d96a0; }
  svg .title { fill: #e6edf3; } th, td, svg, .failure { border-color: #30363d; }
}
"""


def write_report(directory: Path, report: EvaluationReport) -> None:
    """Writes `report.json` and `report.html` into a folder, which is made if need be.

    Args:
        directory: the folder.
        report: what is known of the evaluation.

    Raises:
        OSError: a file cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    content = json.dumps(report.as_dict(), indent=1)
    write_whole(directory / REPORT_FILE, content + "\n")
    write_whole(directory / PAGE_FILE, report_page(report))


def report_page(report: EvaluationReport) -> str:
    """The page, complete in itself; nothing in it is loaded from elsewhere."""
    first = report.results[0]
    title = f"{first.dataset}, {first.split} split"
    model = f"{report.model}{', zero-shot' if report.is_zero_shot else ''}"
    facts = [
        f"protocol {first.protocol}" if first.protocol is not None else "no published protocol",
        gallery_text(first),
        f"{first.num_queries} captions",
        *conditions_text(first),
    ]
    if first.truncated_queries:
        facts.append(f"{first.truncated_queries} captions were cut, for the text tower does not hold them")
    sections = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(model)}<br>{html.escape('; '.join(facts))}</p>",
        _metrics(report),
        _by_source(report),
        _plots(report),
        _failures(report.failures),
        _queries(report),
        _bad(report),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(sections)
        + "\n</body>\n</html>\n"
    )


def _metrics(report: EvaluationReport) -> str:
    names = list(report.results[0].metrics)
    rows = []
    for result in report.results:
        cells = []
        for name in names:
            interval = (result.confidence_intervals or {}).get(name)
            value = figure_text(name, result.metrics[name]) if name in result.metrics else ""
            ends = " to ".join(figure_text(name, end) for end in interval or ())
            cells.append(f"<td>{value}<br><small>{ends}</small></td>" if ends else f"<td>{value}</td>")
        rows.append(
            f'<tr><td>{LEVELS[result.level]}</td><td class="text">{DIRECTIONS[result.direction]}</td>'
            + "".join(cells)
            + "</tr>"
        )
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    note = ""
    if report.results[0].confidence_intervals is not None:
        note = (
            '<p class="note">Below each figure its 95 % bootstrap interval over the queries, the captions of a video '
            "drawn together. It tells nothing of other training seeds or galleries.</p>"
        )
    return (
        f'<h2>Metrics</h2>\n<table><tr><th>level</th><th class="text">direction</th>{head}</tr>\n'
        + "\n".join(rows)
        + f"</table>\n{note}"
    )


def _by_source(report: EvaluationReport) -> str:
    """Figures of the queries that each source answers, where the data set says which does."""
    rows, names = [], list[str]()
    for result in report.results:
        for source, figures in (result.by_source or {}).items():
            names = list(dict.fromkeys([*names, *figures]))
            level = html.escape(LEVELS[result.level])
            rows.append((f'<td>{html.escape(source)}</td><td class="text">{level}</td>', figures))
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    lines = [
        f"<tr>{cells}"
        + "".join(f"<td>{figures[name]:.4g}</td>" if name in figures else "<td></td>" for name in names)
        + "</tr>"
        for cells, figures in rows
    ]
    return (
        f'<h2>Text to video by answering source</h2>\n<table><tr><th>queries of</th><th class="text">level</th>{head}'
        "</tr>\n" + "\n".join(lines) + "</table>"
    )


def _plots(report: EvaluationReport) -> str:
    plots = []
    for level, counts in report.ranks.items():
        ranks = query_metrics(counts.text_to_video).ranks
        plots.append(rank_plot(ranks, counts.text_to_video.gallery, title=f"Ranks, text to video, {LEVELS[level]}"))
        if counts.distribution is not None:
            plots.append(score_plot(counts.distribution, title=f"Scores, {LEVELS[level]}"))
    return f'<h2>Ranks and scores</h2>\n<div class="plots">{"".join(plots)}</div>'


def _failures(failures: Sequence[Failure]) -> str:
    if not failures:
        return "<h2>Worst failures</h2>\n<p>Every caption found its video first, or none were asked for.</p>"
    parts = ["<h2>Worst failures</h2>"]
    for failure in failures:
        preferred = "" if failure.preferred is None else _video(failure.preferred, "Ranked above it")
        parts.append(
            f'<div class="failure"><strong>{html.escape(failure.text)}</strong> '
            f"<small>its video is at rank {failure.rank:g}</small>"
            f'<div class="sides">{_video(failure.right, "Its own video")}{preferred}</div></div>'
        )
    return "\n".join(parts)


def _video(video: MatchedVideo, heading: str) -> str:
    by_time: dict[float, list[str]] = {}
    for moment in video.moments:
        by_time.setdefault(moment.time, []).append(f"{moment.word} {moment.similarity:.2f}")
    figures = []
    for time, words in sorted(by_time.items()):
        image = video.thumbnails.get(f"{time:.3f}")
        picture = "" if image is None else f'<img src="{image}" alt="frame at {time:.2f} s">'
        caption = f"{format_seconds(time)}: {', '.join(words)}"
        figures.append(f"<figure>{picture}<figcaption>{html.escape(caption)}</figcaption></figure>")
    note = f'<p class="note">{html.escape(video.note)}</p>' if video.note else ""
    return (
        f'<div><p>{heading}: <span class="file">{html.escape(video.video_id)}</span> '
        f"<small>score {video.score:.4f}</small></p>{''.join(figures)}{note}</div>"
    )


def _queries(report: EvaluationReport) -> str:
    split, levels = report.split, list(report.ranks)
    ranks = [query_metrics(report.ranks[level].text_to_video).ranks for level in levels]
    rows = []
    for query, text in enumerate(split.queries.texts[:_MOST_QUERIES]):
        cells = "".join(f"<td>{of_level[query]:g}</td>" for of_level in ranks)
        video_id = split.video_ids[split.positives[query]]
        rows.append(f'<tr><td>{html.escape(text)}</td><td class="text">{html.escape(video_id)}</td>{cells}</tr>')
    left = len(split.queries.texts) - len(rows)
    note = f"<p>{left} more stand in {REPORT_FILE}.</p>" if left > 0 else ""
    head = "".join(f"<th>{LEVELS[level]}</th>" for level in levels)
    return (
        "<h2>Rank of each caption's video</h2>\n<details><summary>Show</summary>\n"
        f'<table><tr><th>caption</th><th class="text">video</th>{head}</tr>\n'
        + "\n".join(rows)
        + f"</table>{note}</details>"
    )


def _bad(report: EvaluationReport) -> str:
    if not report.split.bad:
        return ""
    items = "".join(f"<li>{html.escape(bad.source)}: {html.escape(bad.reason)}</li>" for bad in report.split.bad)
    return f"<h2>Left out, with their captions ({len(report.split.bad)})</h2>\n<ul>{items}</ul>"
