"""Moments of a model that was never trained on clips: those of the query's phrases, and that of the query as a whole.

The backbone of the study, pretrained on stills, is used zero-shot. Each clip shows two events, one in each half, that
its caption tells in order, as in "a red circle moves left then a blue square grows". Right is a moment of the first
phrase that lies in the first half, and one of the second in the second. The moment of the whole caption is held
against the first half: as both events are in the caption, it cannot tell. Target: 80 % of phrases right.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmark_report import Target, run_benchmark

from video_colbert import VideoColBERTEncoder
from video_colbert.dataset_builders.shapes.graded_shapes import GradedShapesConfig, plan_task_clips
from video_colbert.dataset_builders.shapes.graded_shapes_clips import TaskClip, generate_task_clip
from video_colbert.encoding.encoded import BadVideo, EncodedQueries
from video_colbert.encoding.hits import find_moments

# The backbone is the study's.
sys.path.append(str(Path(__file__).parent / "study"))
from pretrained_backbone import BackboneSettings, pretrain_backbone

CONFIG = GradedShapesConfig(num_train={}, num_galleries={"order": 24})


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Makes the clips and counts the moments that lie in the right half."""
    clips = plan_task_clips(CONFIG, "test")
    with tempfile.TemporaryDirectory() as folder:
        backbone = pretrain_backbone(Path(folder), BackboneSettings(), [clip.caption for clip in clips])
        encoder = VideoColBERTEncoder.from_pretrained(backbone)
        phrases, captions = zip(*(halves_of(encoder, clip) for clip in clips), strict=True)
    share = sum(map(sum, phrases)) / sum(map(len, phrases))
    figures = {
        "clips": len(clips),
        "phrases_in_their_half": share,
        "clips_with_both_phrases_in_their_half": sum(map(all, phrases)) / len(clips),
        "whole_captions_in_the_first_half": sum(captions) / len(clips),
    }
    return figures, [Target("share of phrases in their half", share, 0.8, at_least=True)]


def halves_of(encoder: VideoColBERTEncoder, clip: TaskClip) -> tuple[list[bool], bool]:
    """Whether each phrase's moment lies in the half that shows its event, and the whole caption's in the first."""
    [video] = encoder.encode_videos(generate_task_clip(clip))
    if isinstance(video, BadVideo):
        raise ValueError(video.reason)
    middle = video.duration / 2
    times = tuple(video.timestamps.tolist())

    def moments(queries: EncodedQueries) -> list[float]:
        return [moment.time for moment in find_moments(queries, 0, video.embeds["frame"], times)]

    first, second = moments(encoder.encode_queries(clip.caption))
    [whole] = moments(encoder.encode_queries(clip.caption, phrases=False))
    return [first < middle, second >= middle], whole < middle


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", measure))
