"""The search that is attacked: a model with its gallery, and where a changed video stands in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.level_scores import PaddedLevel, level_scores, pad_levels
from video_colbert.evaluation.encoded_split import EncodedSplit
from video_colbert.evaluation.metrics import text_to_video_metrics
from video_colbert.evaluation.robustness.attacked_video import encode_video, read_all_frames
from video_colbert.evaluation.robustness.defences import Defence, encode_views, median_scores
from video_colbert.evaluation.robustness.level_agreement import level_disagreement
from video_colbert.evaluation.robustness.promoted_ranks import LargeIndexRank, rank_in_large_index, ranks_among
from video_colbert.processing import DecodedVideo
from video_colbert.progress import progress_bar


@dataclass(frozen=True)
class DefendedGallery:
    """A gallery as a defence encodes it.

    Attributes:
        defence: the defence.
        scores: [Nq, N] of all queries for the clean gallery.
        recall: R@1 of the clean gallery, in percent.
    """

    defence: Defence
    scores: Tensor
    recall: float


@dataclass(frozen=True)
class Victim:
    """A model with a gallery and queries.

    Attributes:
        encoder: the model.
        split: the encoded gallery and queries.
        clips: the gallery's videos, in its order.
        seed: of what defences draw.
        galleries: the gallery under each defence that was asked for, by the defence's name.
        sample: more videos of an index, by level, from which ranks in a large index are estimated; None for the
            gallery itself.
    """

    encoder: VideoColBERTEncoder
    split: EncodedSplit
    clips: Sequence[VideoClip]
    seed: int = 0
    galleries: dict[str, DefendedGallery] = field(default_factory=dict)
    sample: Mapping[str, PaddedLevel] | None = None

    def read(self, video: int) -> DecodedVideo:
        """Decodes all frames of a video of the gallery.

        Raises:
            VideoDecodingError: it cannot be decoded whole.
        """
        return read_all_frames(self.encoder, self.clips[video])

    def defend(self, defences: Sequence[Defence]) -> None:
        """Encodes the gallery under each defence, and keeps it.

        Raises:
            VideoDecodingError: a video cannot be decoded whole.
        """
        new = [defence for defence in defences if defence.name not in self.galleries]
        if not new:
            return
        views: dict[str, list[list[EncodedVideo]]] = {defence.name: [] for defence in new}
        for number in progress_bar(range(len(self.clips)), desc="defended gallery", unit="video"):
            video = self.read(number)
            for defence in new:
                # Each video draws by its own number, whichever others there are.
                views[defence.name] += encode_views(defence, self.encoder, [video], self.seed + number)
        for defence in new:
            scores = median_scores(self.split.queries, views[defence.name])
            self.galleries[defence.name] = DefendedGallery(defence, scores, self.recall(scores))

    def recall(self, scores: Tensor) -> float:
        """R@1 of all queries, in percent.

        Args:
            scores: [Nq, N] of the whole gallery.
        """
        return text_to_video_metrics(scores, self.split.positives).hit_rate[1]

    @cached_property
    def clean_scores(self) -> Tensor:
        """[Nq, N] scores of the gallery as it is."""
        return self.split.level_scores()["sum"]

    def clean_ranks(self, video: int, queries: Sequence[int], scores: Tensor) -> npt.NDArray[np.float64]:
        """Ranks a video of the gallery as it was, for some queries.

        Args:
            video: its number.
            queries: their numbers.
            scores: [Nq, N] of the gallery, as it is or under a defence.
        """
        return ranks_among(scores[list(queries), video], _without(scores[list(queries)], video))

    def ranks(
        self, video: int, queries: Sequence[int], changed: DecodedVideo, defence: Defence | None = None
    ) -> npt.NDArray[np.float64]:
        """Ranks a changed video in the place of what it was.

        Args:
            video: its number in the gallery.
            queries: numbers of the queries.
            changed: all of its frames, of 8 bits.
            defence: what the gallery and the changed video are encoded by; one of `galleries`.

        Returns:
            [Nq] ranks from 1.
        """
        chosen = self.split.queries.select(list(queries))
        if defence is None:
            scores = median_scores(chosen, [[encode_video(self.encoder, changed)]])
            gallery = self.clean_scores
        else:
            # As `defend` drew for this video.
            scores = median_scores(chosen, encode_views(defence, self.encoder, [changed], self.seed + video))
            gallery = self.galleries[defence.name].scores
        return ranks_among(scores[:, 0], _without(gallery[list(queries)], video))

    def large_index_rank(
        self, video: int, queries: Sequence[int], changed: DecodedVideo, index_size: int
    ) -> LargeIndexRank:
        """Estimates where a changed video would stand in a large index; see `rank_in_large_index`.

        The sample is `sample`, or else the gallery without the video and without what answers the query.

        Raises:
            ValueError: the index is smaller than the sample.
        """
        chosen = self.split.queries.select(list(queries))
        score = median_scores(chosen, [[encode_video(self.encoder, changed)]])[:, 0]
        better, size = self.num_better(video, queries, score)
        return rank_in_large_index(better, size, index_size)

    def num_better(self, video: int, queries: Sequence[int], score: Tensor) -> tuple[npt.NDArray[np.int64], int]:
        """How many videos of the sample score higher than a video for each query, and how many there are.

        Args:
            video: its number in the gallery, where it does not count.
            queries: numbers of the queries.
            score: [n] its score for each.
        """
        if self.sample is not None:
            sampled = level_scores(self.split.queries.select(list(queries)), self.sample)["sum"]
            return (sampled > score[:, None]).sum(1).cpu().numpy().astype(np.int64), sampled.shape[1]
        gallery = _without(self.clean_scores[list(queries)], video)
        own = torch.tensor([self.split.positives[query] for query in queries])
        gallery[torch.arange(len(own)), own] = float("-inf")
        # The video itself and, where that is another, the one that answers the query.
        size = gallery.shape[1] - 1 - int((own != video).any())
        return (gallery > score[:, None]).sum(1).cpu().numpy().astype(np.int64), size

    def disagreement(self, changed: Sequence[DecodedVideo] = ()) -> npt.NDArray[np.float64]:
        """How differently the two levels see each video: of the gallery, or of changed ones.

        Args:
            changed: all frames of each; none for the clean gallery.

        Raises:
            ValueError: the model has not both levels.
        """
        scores = self.split.level_scores()
        if not {"frame", "video"} <= scores.keys():
            raise ValueError("the agreement of the levels needs a model with the frame and the video level")
        means = {level: scores[level].mean(1, keepdim=True) for level in ("frame", "video")}
        if changed:
            videos = pad_levels([encode_video(self.encoder, each) for each in changed])
            scores = level_scores(self.split.queries, videos)
        found = level_disagreement(scores["frame"] - means["frame"], scores["video"] - means["video"])
        return found.cpu().numpy().astype(np.float64)


def _without(scores: Tensor, video: int) -> Tensor:
    """A copy of [Nq, N] scores in which one video counts nowhere."""
    others = scores.clone()
    others[:, video] = float("-inf")
    return others
