"""The tables of docs/robustness.md, of what was measured for each seed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from study_report import row

from video_colbert.evaluation.robustness.level_agreement import roc
from video_colbert.evaluation.robustness.promoted_ranks import TOP

Seeds = Mapping[str, Mapping[str, Any]]
"""By seed, its measures by name."""

MARKED_DEFENCES = ("jpeg:75", "jpeg:30", "h264:28", "h264:36", "jitter", "shuffle", "median:5")
ATTACKS = {
    "white_4": "white box, 4 of 255",
    "white_8": "white box, 8 of 255",
    "white_12": "white box, 12 of 255",
    "white_16": "white box, 16 of 255",
    "all_frames_8": "white box on all frames, 8 of 255, 200 steps",
    "grey_8": "grey box, 8 of 255",
    "grey_16": "grey box, 16 of 255",
    "black_8": "black box, 8 of 255",
    "black_16": "black box, 16 of 255",
}
VARIANTS = {
    "white_8": "100 steps, refined",
    "plain_8": "100 steps, without refinement",
    "steps_50": "50 steps",
    "steps_200": "200 steps",
    "all_frames_8": "all frames, 200 steps, refined",
    "plain_all_frames_8": "all frames, 200 steps, without refinement",
}


def having(seeds: Seeds, name: str) -> Seeds:
    """The seeds of which a measure is there."""
    return {seed: measures for seed, measures in seeds.items() if name in measures}


def pooled_ranks(seeds: Seeds, name: str, state: str, queries: str = "unseen") -> np.ndarray:
    """Ranks of all promoted videos of all seeds for their queries."""
    return np.concatenate(
        [
            video[queries][state]
            for measures in having(seeds, name).values()
            for video in measures[name]["videos"]
            if video[queries]
        ]
    )


def top_share(seeds: Seeds, name: str, state: str, top: int = 10, queries: str = "unseen") -> list[float]:
    """Share of queries with the promoted video among the first `top`, in percent, of each seed."""
    return [
        100 * float(np.mean(pooled_ranks({seed: measures}, name, state, queries) <= top))
        for seed, measures in having(seeds, name).items()
    ]


def promotion_table(seeds: Seeds) -> str:
    """Where promoted videos stand, before and after each attack."""
    head = ["attack", "median rank", "mean rank", *(f"top {top}" for top in TOP), "top 10 by seed", "as mp4: top 10"]
    lines = [row(*head), row("---", *["---:"] * 7)]
    lines.append(_promotion_row("before", seeds, "white_8", "before"))
    lines += [_promotion_row(title, seeds, name, "after") for name, title in ATTACKS.items() if having(seeds, name)]
    return "\n".join(lines)


def _promotion_row(title: str, seeds: Seeds, name: str, state: str) -> str:
    ranks = pooled_ranks(seeds, name, state)
    shares = [f"{100 * np.mean(ranks <= top):.1f}" for top in TOP]
    by_seed = ", ".join(f"{share:.0f}" for share in top_share(seeds, name, state))
    written = "" if state == "before" else f"{np.mean(top_share(seeds, name, 'written as mp4')):.1f}"
    return row(title, f"{np.median(ranks):.1f}", f"{np.mean(ranks):.1f}", *shares, by_seed, written)


def visibility_table(seeds: Seeds) -> str:
    """How visible the changes are, and where the videos would stand in a large index."""
    lines = [
        row("attack", "PSNR, dB", "SSIM", "median rank in a million", "top 10", "above the whole sample"),
        row("---", *["---:"] * 5),
    ]
    for name in ("white_4", "white_8", "white_16"):
        videos = [video for measures in having(seeds, name).values() for video in measures[name]["videos"]]
        if not videos:
            continue
        large = [video["large_index"] for video in videos]
        lines.append(
            row(
                ATTACKS[name],
                f"{np.mean([video['change']['psnr'] for video in videos]):.1f}",
                f"{np.mean([video['change']['ssim'] for video in videos]):.3f}",
                f"{np.median([each['median'] for each in large]):,.0f}",
                f"{np.mean([each['shares']['10'] for each in large]):.1f} %",
                f"{np.mean([each['above_sample'] for each in large]):.1f} %",
            )
        )
    return "\n".join(lines)


def defence_table(seeds: Seeds) -> str:
    """What each defence costs on clean clips, and what it leaves of the attacks."""
    head = ["defence", "R@1, clean", "loss", "top 10, 8 of 255", "given back", "top 10, all frames"]
    lines = [row(*head), row("---", *["---:"] * 5)]
    for defence in ("none", *MARKED_DEFENCES, *(["hardened"] if having(seeds, "hardened_8") else [])):
        found = defence_figures(seeds, defence)
        adaptive = "" if defence == "hardened" else f"{found['all_8']:.1f}"
        lines.append(
            row(
                "adversarial training" if defence == "hardened" else defence,
                f"{found['recall']:.1f}",
                "" if defence == "none" else f"{found['loss']:+.1f}",
                f"{found['after']:.1f}",
                "" if defence == "none" else f"{100 * found['given_back']:.0f} %",
                adaptive,
            )
        )
    return "\n".join(lines)


def defence_figures(seeds: Seeds, defence: str) -> dict[str, float]:
    """What a defence costs and gives back, over all seeds.

    Args:
        seeds: the measures.
        defence: "none", a name of `MARKED_DEFENCES`, or "hardened", against which the attack is made anew.

    Returns:
        `recall` and `loss` of R@1 on clean clips, in percent and points; `before` and `after`, the share of unseen
        queries with the promoted video among the first ten; `given_back`, the part of the attack's gain that is lost
        again; and `all_8`, that share where the attack changed all frames.
    """

    def mean(name: str, state: str) -> float:
        return float(np.mean(top_share(seeds, name, state)))

    def recall(name: str, key: str) -> float:
        return float(np.mean([measures[name]["recall_at_1"][key] for measures in having(seeds, name).values()]))

    is_hardened, is_none = defence == "hardened", defence == "none"
    name, suffix = ("hardened_8", "") if is_hardened else ("white_8", "" if is_none else f", {defence}")
    gain = mean("white_8", "after") - mean("white_8", "before")
    own_recall = recall(name, "none" if is_hardened else defence)
    figures = {
        "recall": own_recall,
        "loss": recall("white_8", "none") - own_recall,
        "before": mean(name, f"before{suffix}"),
        "after": mean(name, f"after{suffix}"),
    }
    left = figures["after"] - figures["before"]
    figures["given_back"] = 1 - left / gain if gain > 0 else float("nan")
    if not is_hardened:
        figures["all_8"] = (
            float("nan") if not having(seeds, "all_frames_8") else mean("all_frames_8", f"after{suffix}")
        )
    return figures


def variant_table(seeds: Seeds) -> str:
    """The attack at 8 of 255 with other steps and without its refinement, of the seed that it was measured for."""
    seeds = having(seeds, "plain_8")
    lines = [row("variant", "targets: top 10", "unseen: top 10", "unseen: median rank"), row("---", *["---:"] * 3)]
    for name, title in VARIANTS.items():
        if not having(seeds, name):
            continue
        shares = [f"{np.mean(top_share(seeds, name, 'after', queries=which)):.1f}" for which in ("targets", "unseen")]
        lines.append(row(title, *shares, f"{np.median(pooled_ranks(seeds, name, 'after')):.1f}"))
    return "\n".join(lines)


def other_table(seeds: Seeds) -> str:
    """Suppression and swaps: what is left of a search for a video's own captions."""
    lines = [row("attack", "R@1 before", "R@1 after", "median rank after", "queries"), row("---", *["---:"] * 4)]
    for state in ("after", "written as mp4") if having(seeds, "suppress_8") else ():
        before, after = (pooled_ranks(seeds, "suppress_8", which, "targets") for which in ("before", state))
        title = "suppression, 8 of 255" + ("" if state == "after" else ", as mp4")
        shares = [f"{100 * np.mean(ranks <= 1):.1f}" for ranks in (before, after)]
        lines.append(row(title, *shares, f"{np.median(after):.1f}", str(len(after))))
    for kind in ("words", "letters"):
        for budget in (1, 2):
            name = f"{kind}_{budget}"
            found = [measures[name]["queries"] for measures in having(seeds, name).values()]
            if not found:
                continue
            ranks = [np.array([query[key] for each in found for query in each]) for key in ("rank", "rank_after")]
            shares = [f"{100 * np.mean(each <= 1):.1f}" for each in ranks]
            title = f"{budget} {'swap' if budget == 1 else 'swaps'} of neighbouring {kind}"
            lines.append(row(title, *shares, f"{np.median(ranks[1]):.1f}", str(len(ranks[1]))))
    return "\n".join(lines)


def detector_table(seeds: Seeds) -> str:
    """How well disagreement of the levels tells attacked videos from clean ones."""
    lines = [row("attack", "area under the ROC", "found at 5 % false alarms", "videos"), row("---", *["---:"] * 3)]
    for name in ("white_4", "white_8", "white_16", "black_16"):
        curves = [disagreement_roc([measures], name) for measures in having(seeds, name).values()]
        if not curves:
            continue
        areas = [curve.area for curve in curves]
        found = np.mean([curve.found_at(0.05) for curve in curves])
        number = sum(len(measures[name]["videos"]) for measures in having(seeds, name).values())
        lines.append(row(ATTACKS[name], f"{np.mean(areas):.3f}", f"{100 * found:.0f} %", str(number)))
    return "\n".join(lines)


def disagreement_roc(measured: Sequence[Mapping[str, Any]], name: str) -> Any:
    """The ROC of the levels' disagreement, of clean clips and those that an attack changed."""
    clean = np.concatenate([measures[name]["clean_disagreement"] for measures in measured])
    attacked = [video["disagreement"] for measures in measured for video in measures[name]["videos"]]
    return roc(clean, np.asarray(attacked, dtype=np.float64))
