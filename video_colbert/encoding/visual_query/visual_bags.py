"""What the model makes of pictures and clips, as the token bags of queries.

A query by picture or clip is scored as a text is, by the model's interaction over each level, with the clip's own
tokens in the place of the text's:

    score(Q, video) = sum over levels of mean over the clip's tokens i of max over the video's tokens j of q_i . x_j

A single picture knows nothing of order, so that its score is the frame level's alone, wherever the model has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, QueryBags
from video_colbert.processing import QueryWord

if TYPE_CHECKING:
    from torch import Tensor

    from video_colbert.modeling_video_colbert import VideoColBERTConfig

_VISUAL_LEVELS = ("frame", "video")


def queries_of_videos(
    videos: Sequence[EncodedVideo], titles: Sequence[str], are_pictures: Sequence[bool], config: VideoColBERTConfig
) -> EncodedQueries:
    """Encoded pictures and clips as queries.

    Args:
        videos: Nq of them, as the encoder makes them; or of tokens that are stored, some of whose levels may be left
            out, all the same.
        titles: what each query is called.
        are_pictures: which of them are single pictures.
        config: the model's.

    Returns:
        Queries with bags of their own for each level, on the CPU. A picture among clips has no tokens on the video
        level, where its score is 0.
    """
    counted = [level for level in _VISUAL_LEVELS if level in config.score_levels and level in videos[0].embeds]
    if "frame" in counted and (all(are_pictures) or config.level_scoring == "token_max"):
        # The best token of all levels is looked for with one bag of query tokens.
        counted = ["frame"]
    scored = counted if counted == ["frame"] else [level for level in _VISUAL_LEVELS if level in videos[0].embeds]
    none = [is_picture and "frame" in counted for is_picture in are_pictures]
    return EncodedQueries(
        texts=list(titles),
        bags={
            level: _bags(
                videos,
                level,
                none if level == "video" else [False] * len(videos),
                sum_to_one=config.interaction == "weighted_token_wise",
            )
            for level in scored
        },
        encoder_of_level={level: level for level in scored},
        level_weights=dict.fromkeys(counted, 1.0),
        interaction=config.interaction,
        level_scoring=config.level_scoring,
    )


def _bags(videos: Sequence[EncodedVideo], level: str, without: Sequence[bool], *, sum_to_one: bool) -> QueryBags:
    """The bags of one level; those of some videos are empty.

    The one word of each, which is empty, stands for the whole: its vector is the mean of the tokens, so that a moment
    is where the mean similarity to all of them is largest.
    """
    bags = [
        video.embeds[level][:0] if is_left_out else video.embeds[level].float()
        for video, is_left_out in zip(videos, without, strict=True)
    ]
    lengths = torch.tensor([len(bag) for bag in bags])
    longest = max(1, int(lengths.max()))
    weights = [
        video.token_weights[level][: len(bag)]
        for video, bag in zip(videos, bags, strict=True)
        if level in video.token_weights
    ]
    if sum_to_one:
        weights = [of_video / of_video.sum().clamp(min=1e-12) for of_video in weights]
    return QueryBags(
        embeds=_padded(bags, longest),
        mask=torch.arange(longest) < lengths[:, None],
        words=[[QueryWord(word="", token_positions=[0] if len(bag) else [])] for bag in bags],
        token_weights=_padded(weights, longest) if weights else None,
        phrase_embeds=torch.stack([bag.mean(0) if len(bag) else bag.new_zeros(bag.shape[1]) for bag in bags])[:, None],
    )


def _padded(rows: Sequence[Tensor], length: int) -> Tensor:
    """Rows of several lengths in one tensor, with zeros behind the shorter ones."""
    padded = pad_sequence(list(rows), batch_first=True)
    missing = length - padded.shape[1]
    return torch.nn.functional.pad(padded, (0, 0) * (padded.dim() - 2) + (0, missing)) if missing else padded
