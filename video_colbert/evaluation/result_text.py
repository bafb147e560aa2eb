"""How results are put in words, on the screen, in reports and in model cards."""

from __future__ import annotations

from video_colbert.evaluation.dual_softmax import DUAL_SOFTMAX
from video_colbert.evaluation.retrieval import EvaluationResult

DIRECTIONS = {"text_to_video": "text to video", "video_to_text": "video to text"}
"""The directions of retrieval and their names."""

LEVELS = {"sum": "sum of levels", "frame": "frame level", "video": "video level"}
"""The levels of scores and their names."""


def gallery_text(result: EvaluationResult) -> str:
    """How large the gallery was, of how many that the protocol has."""
    return f"{result.num_videos} of {result.num_expected_videos} videos"


def conditions_text(result: EvaluationResult) -> list[str]:
    """What makes a figure another than the usual one; empty for a usual one."""
    conditions = []
    if result.reweighting == DUAL_SOFTMAX:
        conditions.append("re-weighted by dual softmax, which sees all queries")
    if result.ties != "expected":
        conditions.append(f"ties ranked as {result.ties}")
    return conditions
