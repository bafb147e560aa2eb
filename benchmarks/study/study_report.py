"""Writes the tables of docs/study.md, between their markers, and its plots."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from study_statistics import AVERAGE, CLAIMS, Claim, Difference, chance, checks, paired_difference, recalls

from video_colbert.dataset_builders.shapes.graded_shapes_tasks import TASKS

matplotlib.use("Agg")
from matplotlib import pyplot as plt

COLUMNS = (*TASKS, AVERAGE)


def write_report(results: Path, configurations: list[str], docs: Path) -> bool:
    """Writes the report of the finished runs.

    Args:
        results: `results.parquet`.
        configurations: In the order of the tables.
        docs: Folder of `study.md`, whose tables are replaced, and of the plots in `study/`.

    Returns:
        Whether every check holds.

    Raises:
        ValueError: `study.md` lacks the markers of a table.
    """
    table = pd.read_parquet(results)
    present = [name for name in configurations if name in set(table.configuration)]
    tables = {
        "recall": recall_table(table, present),
        "levels": level_table(table, present),
        "claims": claim_table(table),
        "verdicts": verdict_list(table),
        "checks": check_table(table),
    }
    replace_tables(docs / "study.md", tables)
    folder = docs / "study"
    folder.mkdir(exist_ok=True)
    plot_tasks(table, present, folder / "tasks.png")
    plot_levels(table, folder / "levels.png")
    return all(check.holds for check in checks(table))


def replace_tables(page: Path, tables: dict[str, str]) -> None:
    """Puts tables between their markers, `<!-- name -->` and `<!-- end of name -->`, and prints them.

    Raises:
        ValueError: The page lacks the markers of a table.
    """
    text = page.read_text("utf-8")
    for name, content in tables.items():
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if not 0 <= text.find(start) < text.find(end):
            raise ValueError(f"{page} lacks the markers {start} and {end}")
        before, after = text.partition(start)[0], text.partition(end)[2]
        text = f"{before}{start}\n{content}\n{end}{after}"
        print(f"\n{content}")
    page.write_text(text, "utf-8")


def recall_table(table: pd.DataFrame, configurations: list[str], split: str = "test") -> str:
    """R@1 of every configuration on every task, mean and standard deviation over seeds, as Markdown."""
    lines = [row("configuration", "seeds", *COLUMNS), row("---", *["---:"] * (len(COLUMNS) + 1))]
    for name in configurations:
        own = [recalls(table, name, task, split=split) for task in COLUMNS]
        lines.append(row(f"`{name}`", str(len(own[0])), *map(mean_and_spread, own)))
    lines.append(row("chance", "", *(f"{chance(table, task):.1f}" for task in COLUMNS)))
    return "\n".join(lines)


def level_table(table: pd.DataFrame, configurations: list[str]) -> str:
    """R@1 of each level alone, of the configurations that have both, as Markdown."""
    lines = [row("configuration", "level", *COLUMNS), row("---", "---", *["---:"] * len(COLUMNS))]
    for name in configurations:
        averages = [recalls(table, name, AVERAGE, level) for level in ("frame", "video", "sum")]
        # A model without the video level has no row of it, and one that retrieves by it alone has the same twice.
        if averages[1].empty or averages[1].equals(averages[2]):
            continue
        for level in ("frame", "video", "sum"):
            own = (recalls(table, name, task, level) for task in COLUMNS)
            lines.append(row(f"`{name}`", level, *map(mean_and_spread, own)))
    return "\n".join(lines)


def claim_table(table: pd.DataFrame) -> str:
    """Differences of the two configurations of each claim, with the verdict on the average, as Markdown."""
    lines = [
        row("claim", "verdict", "difference [95 %]", *TASKS),
        row("---", "---", *["---:"] * (len(TASKS) + 1)),
    ]
    for claim in CLAIMS:
        overall = claim_difference(table, claim)
        if overall is None:
            lines.append(row(claim.text, "not run", *[""] * (len(TASKS) + 1)))
            continue
        cells = []
        for task in TASKS:
            found = task_difference(table, claim, task)
            cell = f"{found.mean:+.1f}"
            cells.append(cell if found.verdict == "cannot tell" else f"**{cell}**")
        interval = f"{overall.mean:+.1f} [{overall.low:+.1f}, {overall.high:+.1f}]"
        lines.append(row(claim.text, overall.verdict, interval, *cells))
    return "\n".join(lines)


def claim_difference(table: pd.DataFrame, claim: Claim) -> Difference | None:
    """The difference that decides a claim; `None` where fewer than two seeds have both configurations."""
    return paired_difference(recalls(table, claim.better, claim.on), recalls(table, claim.worse, claim.on))


def verdict_list(table: pd.DataFrame) -> str:
    """What the figures say of each claim, a sentence each, as Markdown."""
    lines = []
    for claim in CLAIMS:
        found = claim_difference(table, claim)
        if found is None:
            lines.append(f"- **{claim.text}**: not run.")
            continue
        says = {"supports": "supported", "contradicts": "contradicted", "cannot tell": "cannot be told"}[found.verdict]
        levels = [recalls(table, name, claim.on).mean() for name in (claim.better, claim.worse)]
        tasks = [(task, task_difference(table, claim, task)) for task in TASKS if task != claim.on]
        clear = [f"{task} {each.mean:+.1f}" for task, each in tasks if each.verdict != "cannot tell"]
        on = "on the average" if claim.on == AVERAGE else f"on {claim.on}"
        figures = f"`{claim.better}` has {levels[0]:.1f} and `{claim.worse}` {levels[1]:.1f} {on}, {found.seeds} seeds"
        lines.append(f"- **{claim.text}**: {says}. {figures}; clear on single tasks: {', '.join(clear) or 'none'}.")
    return "\n".join(lines)


def task_difference(table: pd.DataFrame, claim: Claim, task: str) -> Difference:
    """The difference of a claim's configurations on one task.

    Raises:
        ValueError: Fewer than two seeds have both.
    """
    found = paired_difference(recalls(table, claim.better, task), recalls(table, claim.worse, task))
    if found is None:
        raise ValueError(f"{claim.better} and {claim.worse} have the seeds of no two runs on {task} in common")
    return found


def check_table(table: pd.DataFrame) -> str:
    """What must hold, and whether it does, as Markdown."""
    lines = [row("check", "holds", "measured"), row("---", "---", "---")]
    lines += [row(check.text, "yes" if check.holds else "**no**", check.measured) for check in checks(table)]
    return "\n".join(lines)


def plot_tasks(table: pd.DataFrame, configurations: list[str], file: Path) -> None:
    """Draws R@1 of every run, a panel a task and a line a configuration."""
    figure, axes = plt.subplots(
        2, 4, figsize=(13, max(7.0, 0.4 * len(configurations))), sharey=True, layout="constrained"
    )
    heights = np.arange(len(configurations))[::-1]
    for axis, task in zip(axes.flat, TASKS, strict=True):
        for height, name in zip(heights, configurations, strict=True):
            own = recalls(table, name, task)
            axis.plot(own, [height] * len(own), "o", markersize=4, color="tab:blue", alpha=0.7)
            axis.plot(own.mean(), height, "|", markersize=14, color="black")
        axis.axvline(chance(table, task), color="tab:red", linewidth=1, linestyle="--")
        axis.set_title(task, fontsize=10)
        axis.set_xlim(0, 102)
        axis.grid(axis="x", alpha=0.3)
    axes[0, 0].set_yticks(heights, configurations)
    for axis in axes[:, 0]:
        axis.tick_params(axis="y", labelsize=8)
    figure.supxlabel("R@1 on the test split, % (a dot a seed; bar: mean; dashed: chance)", fontsize=10)
    figure.savefig(file, dpi=75)
    plt.close(figure)


def plot_levels(table: pd.DataFrame, file: Path) -> None:
    """Draws R@1 of the frame and video level and of their sum, in the configuration that has both."""
    figure, axis = plt.subplots(figsize=(9, 3.6), layout="constrained")
    places = np.arange(len(TASKS))
    for offset, level in enumerate(("frame", "video", "sum")):
        own = [recalls(table, "frame_and_video", task, level) for task in TASKS]
        means = [float(values.mean()) for values in own]
        ranges = [[mean - values.min() for mean, values in zip(means, own, strict=True)]]
        ranges.append([values.max() - mean for mean, values in zip(means, own, strict=True)])
        axis.bar(places + 0.27 * (offset - 1), means, 0.25, yerr=ranges, capsize=2, label=level)
    for place, task in zip(places, TASKS, strict=True):
        axis.hlines(chance(table, task), place - 0.42, place + 0.42, color="black", linewidth=1, linestyle="--")
    axis.set_xticks(places, TASKS, fontsize=8)
    axis.set_ylabel("R@1, %")
    axis.legend(fontsize=8, ncols=3, loc="upper right", bbox_to_anchor=(1, 1.14), frameon=False)
    axis.set_title("frame_and_video: its levels (whiskers: range over seeds; dashed: chance)", fontsize=9, loc="left")
    figure.savefig(file, dpi=75)
    plt.close(figure)


def mean_and_spread(values: pd.Series) -> str:
    """The mean, and the standard deviation where there are several seeds."""
    if values.empty:
        return ""
    return f"{values.mean():.1f}" if len(values) == 1 else f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def row(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"
