"""What the finished runs say: means with spread, paired differences, and the claims of the paper."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from video_colbert.dataset_builders.shapes.graded_shapes_tasks import TASKS

AVERAGE = "average"
"""The mean over all tasks, beside the tasks."""


@dataclass(frozen=True)
class Claim:
    """That one configuration is better than another.

    Attributes:
        text: In the paper's terms.
        better: Configuration that should be better.
        worse: Configuration that should be worse.
        on: The task that it is judged on; by default the mean over all.
    """

    text: str
    better: str
    worse: str
    on: str = AVERAGE


CLAIMS = (
    Claim("F+V > V", "frame_and_video", "video_only"),
    Claim("V > F", "video_only", "frame_only"),
    Claim("dual sigmoid > single sigmoid", "frame_and_video", "single_sigmoid"),
    Claim("dual sigmoid > InfoNCE", "frame_and_video", "info_nce"),
    Claim("mean > sum, each from the same temperature parameter", "frame_and_video", "max_sim"),
    Claim("mean > sum, both from where the sum starts", "high_temperature", "max_sim"),
    Claim("mean > sum, without query expansion", "no_query_expansion", "max_sim_no_query_expansion"),
    Claim("query expansion helps", "frame_and_video", "no_query_expansion"),
    Claim("visual expansion helps", "frame_and_video", "no_visual_expansion"),
    Claim("late interaction > single vector (frames)", "frame_only", "mean_pooled"),
    Claim("late interaction > single vector (video)", "video_only", "temporal_pooled"),
    Claim("MeanMaxSim > weighted token-wise", "frame_and_video", "weighted_token_wise"),
    Claim("sentence windows > cutting", "sentence_windows", "frame_and_video"),
    Claim("fitted level weights > equal ones", "fitted_levels", "frame_and_video"),
    Claim("the sum teaching the frame level helps", "sum_to_frame", "frame_and_video"),
    Claim("the sum teaching the video level helps", "sum_to_video", "frame_and_video"),
    Claim("both levels learning from their mean helps", "cross_level", "frame_and_video"),
    Claim("one temperature and bias for both levels helps", "shared_head", "frame_and_video"),
    Claim("F+V > V, with fitted level weights", "fitted_levels", "video_only"),
    Claim("F+V > V, with these and a light frame loss", "light_frame_loss", "video_only"),
    Claim("F+V > V, both from where the sum starts", "high_temperature", "video_only_high_temperature"),
    Claim(
        "F+V > V, with weights and a light frame loss, both from where the sum starts",
        "light_frame_loss_high_temperature",
        "video_only_high_temperature",
    ),
    Claim(
        "counting clips of one actor in a batch help, on counting", "counting_groups", "frame_and_video", "counting"
    ),
)


@dataclass(frozen=True)
class Difference:
    """Paired differences of two configurations in R@1, one a seed both have.

    Attributes:
        mean: In points.
        low: Lower end of the 95 % interval of the mean (Student's t).
        high: Upper end.
        seeds: Number of pairs.
    """

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def verdict(self) -> str:
        """`supports` or `contradicts` where the interval leaves zero out, otherwise `cannot tell`."""
        if self.low > 0:
            return "supports"
        return "contradicts" if self.high < 0 else "cannot tell"


def recalls(table: pd.DataFrame, configuration: str, task: str, level: str = "sum", split: str = "test") -> pd.Series:
    """R@1 of a configuration's runs by seed.

    Args:
        table: Rows of `results.parquet`.
        configuration: Which runs.
        task: A task, or `AVERAGE` for the mean over tasks.
        level: "frame", "video", or "sum".
        split: "validation" or "test".

    Returns:
        R@1 in percent, with the seed as index.
    """
    own = table[(table.configuration == configuration) & (table.level == level) & (table.split == split)]
    if task != AVERAGE:
        own = own[own.task == task]
    by_seed: pd.Series = own.groupby("seed").recall_at_1.mean()
    return by_seed


def paired_difference(one: pd.Series, other: pd.Series) -> Difference | None:
    """The difference of two configurations over the seeds that both have; `None` with fewer than two."""
    differences = (one - other).dropna()
    if len(differences) < 2:
        return None
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / np.sqrt(len(differences))
    margin = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return Difference(mean, mean - margin, mean + margin, len(differences))


@dataclass(frozen=True)
class Check:
    """Something that must hold if model and data are right.

    Attributes:
        text: What.
        holds: Whether it does.
        measured: The figures.
    """

    text: str
    holds: bool
    measured: str


def checks(table: pd.DataFrame) -> list[Check]:
    """Checks that the video level sees time and the frame level does not.

    The spread of a level is the range of its R@1 over the seeds; a margin must exceed the larger one.
    """
    found = []
    for title, video, frame in (
        ("the video level of frame_and_video", ("frame_and_video", "video"), ("frame_and_video", "frame")),
        ("video_only", ("video_only", "sum"), ("frame_only", "sum")),
    ):
        for task in ("motion", "order", "motion_twins", "order_twins"):
            above, below = (recalls(table, name, task, level) for name, level in (video, frame))
            if above.empty or below.empty:
                continue
            spread = max(float(np.ptp(above)), float(np.ptp(below)))
            margin = float(above.mean() - below.mean())
            text = f"{task}: {title} beats the frame level by more than the spread"
            found.append(Check(text, margin > spread, f"margin {margin:.1f}, spread {spread:.1f}"))
    for task in ("motion_twins", "order_twins"):
        own = table[(table.split == "test") & (table.level == "frame") & (table.task == task)].recall_at_1
        if not own.empty:
            text = f"{task}: the frame level of every run is at chance (50 %)"
            measured = f"{own.min():.2f} to {own.max():.2f}"
            found.append(Check(text, bool((own - 50).abs().max() < 0.5), measured))
    return found


def chance(table: pd.DataFrame, task: str) -> float:
    """R@1 in percent of a random order."""
    if task == AVERAGE:
        return float(np.mean([chance(table, name) for name in TASKS]))
    return 100.0 / float(table[table.task == task].gallery.iloc[0])
