"""Texts of a video (what is said, written on the screen, told of it) to token ids, in windows of the text tower."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers.feature_extraction_utils import BatchFeature

from .query_tokens import TokenizedQueries, TokenizedText, caption_list, sentence_windows, tokenize

logger = logging.getLogger(__name__)


class PassagesMixin:
    """How a processor tokenizes passages, which are cut as its queries are, at `query_length`.

    Attributes:
        tokenizer: That of the text tower.
        query_length: Tokens of a window.
        query_pad_token_id: What fills one.
        do_lower_case: Whether texts are lower-cased.
    """

    tokenizer: Any
    query_length: int
    query_pad_token_id: int
    do_lower_case: bool

    def process_passages(
        self, passages: Sequence[Mapping[str, str]], levels: Sequence[str], max_length: int = 512
    ) -> BatchFeature:
        """Tokenizes the texts of videos for a model with levels of texts, in windows that end at sentences.

        Args:
            passages: Of each of B videos, text by level, such as `{"speech": "and now we add salt"}`; a level that
                is not there, or is white space, has no text.
            levels: The model's `config.passage_levels`.
            max_length: Most tokens of one level, special ones of each window included, `config.passage_length`; later
                windows are left out with a warning that counts them.

        Returns:
            `passage_input_ids` and `passage_attention_mask`, int64 `[B, M, W, L]`: M levels, W the most windows of a
            text, all masked where there are fewer.

        Raises:
            ValueError: There is no video, a level is unknown, or a window has more tokens than `max_length`.
            TypeError: A text is no string.

        Example:
            >>> inputs = processor.process_passages([{"speech": "and now we add salt"}], ["speech", "description"])
            >>> inputs["passage_input_ids"].shape[:3]
            torch.Size([1, 2, 1])
            >>> inputs["passage_attention_mask"].any(dim=-1).flatten(1).tolist()
            [[True, False]]
        """
        if not passages or not levels:
            raise ValueError("passages needs a mapping for each video, and levels the model's passage_levels")
        if max_length < self.query_length:
            raise ValueError(f"max_length is {max_length}; a window has up to query_length={self.query_length} tokens")
        for of_video in passages:
            if unknown := set(of_video) - set(levels):
                raise ValueError(f"passages name {sorted(unknown)}; the model's passage_levels are {list(levels)}")
        num_cut = 0
        texts: list[list[TokenizedText]] = []
        for of_video in passages:
            for level in levels:
                windows, is_cut = self._passage_windows(of_video.get(level) or "", max_length)
                texts.append(windows)
                num_cut += is_cut
        if num_cut:
            logger.warning("%d texts have more than %d tokens; what follows is left out.", num_cut, max_length)
        filled = [windows or tokenize(self.tokenizer, [""], self.do_lower_case) for windows in texts]
        input_ids, attention_mask = TokenizedQueries(filled, self.query_length).padded(self.query_pad_token_id)
        attention_mask[torch.tensor([not windows for windows in texts])] = 0
        shape = (len(passages), len(levels), *input_ids.shape[1:])
        return BatchFeature(
            {
                "passage_input_ids": input_ids.view(shape),
                "passage_attention_mask": attention_mask.view(shape),
            }
        )

    def _passage_windows(self, text: str, max_length: int) -> tuple[list[TokenizedText], bool]:
        """The windows of a text that fit, none for white space, and whether others do not."""
        [text] = caption_list([text])
        if not text.strip():
            return [], False
        pieces = sentence_windows(self.tokenizer, text, self.query_length, self.do_lower_case)
        windows: list[TokenizedText] = []
        num_tokens = 0
        for window in tokenize(self.tokenizer, pieces, self.do_lower_case):
            num_tokens += min(len(window.ids), self.query_length)
            if num_tokens > max_length:
                return windows, True
            windows.append(window)
        return windows, False


__all__ = ["PassagesMixin"]
