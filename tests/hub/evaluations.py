"""Evaluation results for cards."""

from __future__ import annotations

from typing import Any


def evaluation_items(**fields: object) -> list[dict[str, Any]]:
    """Results of all levels and directions on MSR-VTT, as `evaluation.json` holds them, with `fields` in each."""
    return [
        {
            "dataset": "msrvtt",
            "protocol": "1k-A",
            "split": "test",
            "num_videos": 1000,
            "num_expected_videos": 1000,
            "num_queries": 1000,
            "level": level,
            "direction": direction,
            "metrics": {"R@1": 40.5 + place, "R@5": 70.25, "R@10": 80.0, "MdR": 2.0, "MnR": 12.5},
            "selection": "best R@1 on 500 held-out training videos",
        }
        | fields
        for direction in ("text_to_video", "video_to_text")
        for place, level in enumerate(("frame", "video", "sum"))
    ]
