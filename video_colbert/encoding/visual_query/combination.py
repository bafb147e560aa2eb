"""Words and a picture, or clip, as one query.

The maximum over a video's tokens grows with the length of a query token, so that tokens of both in one bag, at lengths
other than 1, make the weighted sum of both scores exactly:

    score = w s_t + (1 - w) r s_v,    r = (spread of s_t) / (spread of s_v)

with s_t the score of the words, s_v that of what is shown, w the share of the words. Similarities of words with frames
lie much closer together than those of frames with frames, wherefore the spread, the standard deviation over videos of
the index, brings the second to the scale of the first (`docs/decisions.md` has what that is worth).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.errors import EncodingError
from video_colbert.processing import QueryWord

_SUMMED = ("mean_max_sim", "max_sim")


def combine_queries(
    words: EncodedQueries, visual: EncodedQueries, shares: Sequence[float], ratios: Sequence[float] | None = None
) -> EncodedQueries:
    """Joins the words and the visual part of queries.

    Args:
        words: Nq encoded texts.
        visual: what Nq pictures or clips were made into, by `queries_of_videos`, of the same model.
        shares: w of each.
        ratios: r of each; 1 where no index is known.

    Returns:
        Queries of bags by level whose score is the sum above. Moments are those of the words, and one of the visual
        part, whose word is empty.

    Raises:
        EncodingError: the model's score is not made of sums of maxima over tokens.
    """
    if words.interaction not in _SUMMED or words.level_scoring != "sum":
        raise EncodingError(
            "words and a picture or clip are one query only where scores are sums over query tokens; the model has "
            f"interaction={words.interaction!r} and level_scoring={words.level_scoring!r}; ask by one of both"
        )
    words, visual = words.to("cpu"), visual.to("cpu")
    of_words = list(shares)
    of_visual = [(1.0 - share) * ratio for share, ratio in zip(shares, ratios or [1.0] * len(shares), strict=True)]
    is_mean = words.interaction == "mean_max_sim"
    bags = {
        level: _joined(
            words.bags_of(level),
            visual.bags_of(level) if level in visual.encoder_of_level else None,
            of_words,
            [weight if level in visual.level_weights else 0.0 for weight in of_visual],
            is_mean=is_mean,
        )
        for level in words.encoder_of_level
    }
    titles = [f"{text} + {shown}" for text, shown in zip(words.texts, visual.texts, strict=True)]
    return replace(words, texts=titles, bags=bags, encoder_of_level={level: level for level in bags})


def _joined(
    words: QueryBags, visual: QueryBags | None, of_words: Sequence[float], of_visual: Sequence[float], *, is_mean: bool
) -> QueryBags:
    """One level's bags: the tokens of both at the lengths that make the sum."""
    embeds, vectors, named = [], [], []
    for row in range(len(words.embeds)):
        parts = [(of_words[row], words.embeds[row][words.mask[row].bool()].float())]
        own = words.embeds[row] if words.phrase_embeds is None else words.phrase_embeds[row]
        of_row, words_of_row = own.float(), list(words.words[row])
        if visual is not None and visual.phrase_embeds is not None:
            parts.append((of_visual[row], visual.embeds[row][visual.mask[row].bool()].float()))
            if bool(visual.mask[row].any()):
                words_of_row.append(QueryWord(word="", token_positions=[len(of_row)]))
                of_row = torch.cat([of_row, visual.phrase_embeds[row].float()])
        parts = [(weight, tokens) for weight, tokens in parts if weight and len(tokens)]
        total = sum(len(tokens) for _, tokens in parts)
        # A mean over all tokens is to be the sum of the means over those of each part.
        scaled = [tokens * (weight * total / len(tokens) if is_mean else weight) for weight, tokens in parts]
        embeds.append(torch.cat(scaled) if scaled else of_row[:0])
        vectors.append(of_row)
        named.append(words_of_row)
    lengths = torch.tensor([len(tokens) for tokens in embeds])
    padded = _padded(embeds)
    return QueryBags(padded, torch.arange(padded.shape[1]) < lengths[:, None], named, phrase_embeds=_padded(vectors))


def _padded(rows: Sequence[Tensor]) -> Tensor:
    """Bags of several lengths in one tensor, of a token at least."""
    padded = pad_sequence(list(rows), batch_first=True)
    return padded if padded.shape[1] else torch.nn.functional.pad(padded, (0, 0, 0, 1))
