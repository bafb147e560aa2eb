"""Clips to encode, and what encoding makes of clips and queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor

    from video_colbert.processing import QueryWord, VideoSource

VIDEO_MODEL = "video_model"
"""Name of the encoder whose queries are compared with the levels "frame" and "video"."""

TEXT_MODEL = "text_model"
"""Name of the encoder whose queries are compared with the level of passages."""

TEXT_LEVEL = "text"
"""The level of a passage's tokens."""


@dataclass(frozen=True)
class VideoClip:
    """A video, or a window of one.

    Attributes:
        source: a path, URL, bytes or whatever else the processor decodes.
        start: where the window starts, in seconds, included; None for the video's start.
        end: where it ends, in seconds, excluded; None for the video's end.
        passages: texts of it by level, such as what is said under "speech", for a model whose tokens of texts and
            frames see each other (its `passage_levels`); a level that is missing has no text.
    """

    source: VideoSource
    start: float | None = None
    end: float | None = None
    passages: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class EncodedVideo:
    """The token bags of a clip, one for each level.

    Attributes:
        clip: what was encoded.
        duration: of the whole video, in seconds.
        timestamps: float64 [T], seconds from the start of the video at which each frame appears.
        embeds: by level, float32 [tokens, D] tokens on the CPU, each of unit length. "frame" has T of them, or one
            for a model that makes one vector of a level; "video" is there for a model with the video level. Levels
            may differ in D.
        token_weights: by level, float32 [tokens], for a model that scores by weights of tokens.
        stored_range: "PQ" or "HLG" of a video of high dynamic range whose colours were taken as they are stored.
        frame_size: width and height of its frames as they are shown, in pixels; None where it is not known.
        number_format: what it was encoded in, such as "int8"; None where that is not known.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> video = EncodedVideo(VideoClip("a.mp4"), 2.0, np.array([0.0, 1.0]), {"frame": torch.eye(4)[:2]})
        >>> {level: tuple(tokens.shape) for level, tokens in video.embeds.items()}
        {'frame': (2, 4)}
    """

    clip: VideoClip
    duration: float
    timestamps: npt.NDArray[np.float64]
    embeds: Mapping[str, Tensor]
    token_weights: Mapping[str, Tensor] = field(default_factory=dict)
    stored_range: str | None = None
    frame_size: tuple[int, int] | None = None
    number_format: str | None = None


@dataclass(frozen=True)
class BadVideo:
    """A video that could not be encoded.

    Attributes:
        source: its path or URL.
        reason: what is wrong with it.
        is_lasting: whether its bytes are responsible, so that another run with the same settings finds the same.
    """

    source: str
    reason: str
    is_lasting: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class QueryBags:
    """The token bags of queries, as one encoder makes them.

    Attributes:
        embeds: float32 [Nq, Lq, D] query tokens on the encoder's device, each of unit length, but for queries of words
            and a picture or clip, whose weights are in the lengths (`visual_query/combination.py`).
        mask: bool [Nq, Lq], true on the tokens that count.
        words: for each query its words and where their tokens stand among the Lq; of an encoder that makes one
            pooled vector of a query, the query as one word, or its phrases and where they stand among the P. The word
            of a picture or clip is empty.
        token_weights: float32 [Nq, Lq] weights of the query tokens, for a model that scores by them; of queries of
            words and a picture or clip, times what each part counts.
        phrase_embeds: float32 [Nq, P, D] vectors of the phrases, where `words` are phrases that were encoded apart.
            Moments are found by them; they count in no score.
    """

    embeds: Tensor
    mask: Tensor
    words: Sequence[Sequence[QueryWord]]
    token_weights: Tensor | None = None
    phrase_embeds: Tensor | None = None

    @property
    def dimension(self) -> int:
        """Numbers of a token, D."""
        return int(self.embeds.shape[-1])

    def select(self, rows: Sequence[int]) -> QueryBags:
        """The bags of some queries, in the order of `rows`."""
        chosen = list(rows)
        return QueryBags(
            self.embeds[chosen],
            self.mask[chosen],
            [self.words[row] for row in chosen],
            None if self.token_weights is None else self.token_weights[chosen],
            None if self.phrase_embeds is None else self.phrase_embeds[chosen],
        )

    def to(self, device: torch.device | str) -> QueryBags:
        """The same with its tensors on a device."""
        return replace(
            self,
            embeds=self.embeds.to(device),
            mask=self.mask.to(device),
            token_weights=None if self.token_weights is None else self.token_weights.to(device),
            phrase_embeds=None if self.phrase_embeds is None else self.phrase_embeds.to(device),
        )


@dataclass(frozen=True)
class EncodedQueries:
    """Queries ready to be searched with: token bags, which level each is compared with, and what a level counts.

    Attributes:
        texts: the queries, Nq of them.
        bags: the queries' token bags, by the encoder that made them.
        encoder_of_level: for each level that can be scored, the key in `bags` of what is compared with it.
        level_weights: the weight of each level that the score sums, a part of those in `encoder_of_level`.
        truncated: indices of the queries that were longer than an encoder takes and were cut.
        interaction: how the model scores, as `interaction` of its configuration.
        level_scoring: how levels make one score, as `level_scoring` of its configuration.

    Example:
        >>> import torch
        >>> bags = QueryBags(torch.eye(3)[None], torch.ones(1, 3, dtype=torch.bool), [[]])
        >>> queries = EncodedQueries.of_one_encoder(["a dog catches a ball"], bags, ("frame", "video"))
        >>> queries.with_level_weights({"video": 0.5}).level_weights
        {'frame': 1.0, 'video': 0.5}
    """

    texts: Sequence[str]
    bags: Mapping[str, QueryBags]
    encoder_of_level: Mapping[str, str]
    level_weights: Mapping[str, float]
    truncated: Sequence[int] = ()
    interaction: str = "mean_max_sim"
    level_scoring: str = "sum"

    @classmethod
    def of_one_encoder(
        cls,
        texts: Sequence[str],
        bags: QueryBags,
        levels: Sequence[str],
        *,
        level_weights: Mapping[str, float] | None = None,
        truncated: Sequence[int] = (),
        interaction: str = "mean_max_sim",
        level_scoring: str = "sum",
    ) -> EncodedQueries:
        """Queries whose levels are all compared with the same bags.

        Args:
            texts: the queries, Nq of them.
            bags: their tokens.
            levels: the levels that can be scored.
            level_weights: of those that the score sums; by default all, each with weight 1.
            truncated: as the attribute.
            interaction: as the attribute.
            level_scoring: as the attribute.
        """
        return cls(
            texts=texts,
            bags={VIDEO_MODEL: bags},
            encoder_of_level=dict.fromkeys(levels, VIDEO_MODEL),
            level_weights=dict.fromkeys(levels, 1.0) if level_weights is None else dict(level_weights),
            truncated=truncated,
            interaction=interaction,
            level_scoring=level_scoring,
        )

    def bags_of(self, level: str) -> QueryBags:
        """The bags that are compared with a level.

        Raises:
            KeyError: no encoder's queries are compared with such a level.
        """
        return self.bags[self.encoder_of_level[level]]

    def with_level_weights(self, weights: Mapping[str, float]) -> EncodedQueries:
        """The same queries with other weights of levels in the score; what is not named keeps its weight.

        Args:
            weights: by level, a finite number that is not negative; 0 leaves the level out.

        Raises:
            ValueError: a level is named that the model does not score by, a weight is negative or not finite, all are
                0, or one is neither 0 nor 1 where levels are not summed.
        """
        changed = dict(self.level_weights)
        for level, weight in weights.items():
            if level not in changed:
                raise ValueError(f"level_weights names {level!r}; the model scores by {', '.join(self.level_weights)}")
            if not 0.0 <= weight < float("inf"):
                raise ValueError(f"the weight of level {level!r} must be finite and not negative, got {weight}")
            if self.level_scoring != "sum" and weight not in (0.0, 1.0):
                raise ValueError(
                    f"the weight of level {level!r} must be 0 or 1, got {weight}: the model takes the best of levels "
                    f"(level_scoring={self.level_scoring!r}) and does not sum them"
                )
            changed[level] = float(weight)
        if not any(changed.values()):
            raise ValueError(f"level_weights are all 0; at least one of {', '.join(changed)} must count")
        return replace(self, level_weights=changed)

    def select(self, rows: Sequence[int]) -> EncodedQueries:
        """Some of the queries, in the order of `rows`."""
        return replace(
            self,
            texts=[self.texts[row] for row in rows],
            bags={name: bags.select(rows) for name, bags in self.bags.items()},
            truncated=[number for number, row in enumerate(rows) if row in self.truncated],
        )

    def to(self, device: torch.device | str) -> EncodedQueries:
        """The same with its tensors on a device."""
        return replace(self, bags={name: bags.to(device) for name, bags in self.bags.items()})
