"""Words and a picture, or clip, as one query.

The maximum over a video's tokens grows with the length of a query token, so that tokens of both in one bag, at lengths
other than 1, make the weighted sum of both scores exactly:

    score = w s_t + (1 - w) r s_v,    r = (spread of s_t) / (spread of s_v)

with s_t the score of the words, s_v that of what is shown, w the share of the words. Similarities of words with frames
lie much closer together than those of frames with frames, wherefore the spread, the standard deviation over videos of
the index, brings the second to the scale of the first (`docs/decisions.md` has what that is worth).

ColBERT-Att has a weight of each query token in its sum, which takes the factor in place of the length. The weighted
token-wise interaction also sums over the video's tokens, each with the nearest of all query tokens: there, what is
nearest among tokens of both is no sum of two scores.
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

_WEIGHED = ("attention_max_sim", "attention_mean_max_sim")
_MEANS = ("mean_max_sim", "attention_mean_max_sim")
_SUMMED = ("mean_max_sim", "max_sim", *_WEIGHED)


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
        EncodingError: the model's score is no sum over query tokens, so that none of both is the sum of theirs.
    """
    if words.interaction not in _SUMMED or words.level_scoring != "sum":
        setting = "interaction" if words.interaction not in _SUMMED else "level_scoring"
        raise EncodingError(
            "this model takes words or a picture or clip, and not both in one query: with "
            f"{setting}={getattr(words, setting)!r} in its configuration, the score of both is no weighted sum of the "
            "two scores; leave one of them out"
        )
    words, visual = words.to("cpu"), visual.to("cpu")
    of_words = list(shares)
    of_visual = [(1.0 - share) * ratio for share, ratio in zip(shares, ratios or [1.0] * len(shares), strict=True)]
    bags = {
        level: _joined(
            words.bags_of(level),
            visual.bags_of(level) if level in visual.encoder_of_level else None,
            of_words,
            [weight if level in visual.level_weights else 0.0 for weight in of_visual],
            is_mean=words.interaction in _MEANS,
            has_weights=words.interaction in _WEIGHED,
        )
        for level in words.encoder_of_level
    }
    titles = [f"{text} + {shown}" for text, shown in zip(words.texts, visual.texts, strict=True)]
    return replace(words, texts=titles, bags=bags, encoder_of_level={level: level for level in bags})


def _joined(
    words: QueryBags,
    visual: QueryBags | None,
    of_words: Sequence[float],
    of_visual: Sequence[float],
    *,
    is_mean: bool,
    has_weights: bool,
) -> QueryBags:
    """One level's bags: the tokens of both at the lengths, or with the weights, that make the sum."""
    embeds, weights, vectors, named = [], [], [], []
    for row in range(len(words.embeds)):
        parts = [(of_words[row], *_counted_tokens(words, row))]
        own = words.embeds[row] if words.phrase_embeds is None else words.phrase_embeds[row]
        of_row, words_of_row = own.float(), list(words.words[row])
        if visual is not None and visual.phrase_embeds is not None:
            parts.append((of_visual[row], *_counted_tokens(visual, row)))
            if bool(visual.mask[row].any()):
                words_of_row.append(QueryWord(word="", token_positions=[len(of_row)]))
                of_row = torch.cat([of_row, visual.phrase_embeds[row].float()])
        parts = [part for part in parts if part[0] and len(part[1])]
        total = sum(len(tokens) for _, tokens, _ in parts)
        # A mean over all tokens is to be the sum of the means over those of each part.
        factors = [share * total / len(tokens) if is_mean else share for share, tokens, _ in parts]
        # A factor in the lengths would move which tokens count as equally near.
        lengths = [1.0] * len(parts) if has_weights else factors
        embeds.append(_end_to_end([length * part[1] for length, part in zip(lengths, parts, strict=True)], of_row[:0]))
        scaled = [factor * part[2] for factor, part in zip(factors, parts, strict=True)]
        weights.append(_end_to_end(scaled, of_row[:0, 0]))
        vectors.append(of_row)
        named.append(words_of_row)
    counts = torch.tensor([len(tokens) for tokens in embeds])
    padded = _padded(embeds)
    return QueryBags(
        padded,
        torch.arange(padded.shape[1]) < counts[:, None],
        named,
        token_weights=_padded([of_query[:, None] for of_query in weights])[..., 0] if has_weights else None,
        phrase_embeds=_padded(vectors),
    )


def _counted_tokens(bags: QueryBags, row: int) -> tuple[Tensor, Tensor]:
    """The tokens of a query that count, and their weights, which are 1 where a model has none."""
    mask = bags.mask[row].bool()
    tokens = bags.embeds[row][mask].float()
    weights = tokens.new_ones(len(tokens)) if bags.token_weights is None else bags.token_weights[row][mask].float()
    return tokens, weights


def _end_to_end(parts: Sequence[Tensor], none: Tensor) -> Tensor:
    """Parts one behind another; `none` where there is no part."""
    return torch.cat(list(parts)) if parts else none


def _padded(rows: Sequence[Tensor]) -> Tensor:
    """Bags of several lengths in one tensor, of a token at least."""
    padded = pad_sequence(list(rows), batch_first=True)
    return padded if padded.shape[1] else torch.nn.functional.pad(padded, (0, 0, 0, 1))
