"""The text model: late interaction over the tokens of texts, as ColBERT does (arXiv 2004.12832).

It is a `MultiVectorEncoder` of sentence-transformers, which opens checkpoints of PyLate, of Stanford (ColBERTv2) and
of its own, and keeps to what each was trained with: markers of queries and passages, the length to which queries are
expanded, punctuation that is skipped, and vectors of unit length.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from video_colbert.encoding.encoded import TEXT_LEVEL, TEXT_MODEL, EncodedQueries, QueryBags
from video_colbert.encoding.stored_model.model_files import ModelFiles
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import MissingExtraError, ModelLoadError
from video_colbert.text.text_model_files import find_text_model, has_trained_projection
from video_colbert.text.token_spans import Span, token_spans, words_of_tokens

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder
    from torch import Tensor

# Texts whose padded outputs are held at once.
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True)
class EncodedText:
    """A passage's tokens.

    Attributes:
        embeds: float32 [tokens, D] on the CPU, as they count in a score.
        spans: for each token from which letter to which it is of the text; (0, 0) for a marker or a special token.
        is_cut: whether the text is longer than the model takes, so that no token is of its end.
    """

    embeds: Tensor
    spans: tuple[Span, ...]
    is_cut: bool = False


class TextModel:
    """Makes token bags of passages and queries; make one with `from_pretrained`.

    Args:
        encoder: the model, in evaluation mode.
        files: where it came from.

    Attributes:
        reference: which weights, projection and settings made a vector.
        similarity: "maxsim", the sum of the best similarities of the query's tokens, or "meanmaxsim", their mean.
    """

    def __init__(self, encoder: MultiVectorEncoder, files: ModelFiles) -> None:
        self._encoder = encoder
        self.reference = ModelReference(files.name, files.revision)
        self.similarity: Literal["maxsim", "meanmaxsim"] = (
            "meanmaxsim" if str(encoder.similarity_fn_name) == "meanmaxsim" else "maxsim"
        )

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | os.PathLike[str], *, revision: str | None = None, device: str | None = None
    ) -> TextModel:
        """Loads a text model; no code of its repository is run.

        A plain text encoder, which has no trained projection, is used without one: its token states, normalised.

        Args:
            name_or_path: Hub id or local folder of a ColBERT checkpoint of PyLate, Stanford or sentence-transformers,
                or of any text encoder.
            revision: branch, tag or commit on the Hub; the main branch by default.
            device: a torch device; by default the best one there is.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
            ModelLoadError: there is no such model, or it does not load.
        """
        try:
            from sentence_transformers import MultiVectorEncoder
            from sentence_transformers.base.modules.dense import Dense
        except ImportError as error:
            raise MissingExtraError(
                "text models need the package sentence-transformers 6.2 or later, which is not installed: "
                "pip install 'video-colbert[text]'"
            ) from error
        import torch

        files = find_text_model(name_or_path, revision)
        is_projected = has_trained_projection(files.folder)
        try:
            with _quiet_loading():
                encoder = MultiVectorEncoder(
                    str(files.folder),
                    device=device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"dtype": torch.float32},
                )
        # Whatever a damaged file makes its loader raise.
        except Exception as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelLoadError(f"text model {files.name!r} cannot be loaded: {reason[0]}") from error
        if not is_projected:
            # Drawn at random at each load, so that two processes would not agree.
            for name, module in list(encoder.named_children()):
                if isinstance(module, Dense):
                    del encoder._modules[name]
        return cls(encoder.eval(), files)

    @property
    def dimension(self) -> int:
        """Numbers of a token, D."""
        [text] = self.encode_passages(["a"])
        return int(text.embeds.shape[1])

    def encode_passages(self, texts: Sequence[str], *, batch_size: int = 32) -> list[EncodedText]:
        """Encodes passages; what is longer than the model takes is cut, as the model's settings say.

        Args:
            texts: any number of texts.
            batch_size: texts that go through the model together, at most.
        """
        return [
            EncodedText(embeds, spans, is_cut)
            for embeds, spans, is_cut in self._encoded(texts, task="document", batch_size=batch_size)
        ]

    def encode_queries(self, texts: Sequence[str], *, batch_size: int = 32) -> EncodedQueries:
        """Encodes queries, with expansion where the model was trained with it.

        Args:
            texts: at least one text.
            batch_size: texts that go through the model together, at most.

        Returns:
            Queries that are compared with the level "text".
        """
        import torch
        from torch.nn.utils.rnn import pad_sequence

        found = list(self._encoded(texts, task="query", batch_size=batch_size))
        lengths = torch.tensor([len(embeds) for embeds, _, _ in found])
        bags = QueryBags(
            embeds=pad_sequence([embeds for embeds, _, _ in found], batch_first=True),
            mask=torch.arange(int(lengths.max())) < lengths[:, None],
            words=[words_of_tokens(text, spans) for text, (_, spans, _) in zip(texts, found, strict=True)],
        )
        return EncodedQueries(
            texts=list(texts),
            bags={TEXT_MODEL: bags},
            encoder_of_level={TEXT_LEVEL: TEXT_MODEL},
            level_weights={TEXT_LEVEL: 1.0},
            truncated=[number for number, (_, _, is_cut) in enumerate(found) if is_cut],
        )

    def score_factors(self, queries: EncodedQueries) -> list[float]:
        """What the mean of the best similarities is multiplied by, for each query, to be the model's own score.

        Args:
            queries: of `encode_queries`.
        """
        lengths: list[int] = queries.bags[TEXT_MODEL].mask.sum(dim=1).tolist()
        return [1.0 if self.similarity == "meanmaxsim" else float(length) for length in lengths]

    def _encoded(
        self, texts: Sequence[str], *, task: Literal["query", "document"], batch_size: int
    ) -> Iterator[tuple[Tensor, tuple[Span, ...], bool]]:
        encode: Any = self._encoder.encode_query if task == "query" else self._encoder.encode_document
        prompt = self._prompt(task)
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            part = list(texts[first : first + _TEXTS_AT_ONCE])
            outputs = encode(part, batch_size=batch_size, output_value=None, show_progress_bar=False)
            for text, output in zip(part, outputs, strict=True):
                counts = output["attention_mask"].bool()
                spans, is_cut = token_spans(self._encoder.tokenizer, prompt, text, output["input_ids"].tolist())
                chosen = tuple(span for span, is_counted in zip(spans, counts.tolist(), strict=True) if is_counted)
                yield output["token_embeddings"][counts].float().cpu(), chosen, is_cut

    def _prompt(self, task: Literal["query", "document"]) -> str:
        names = ("query",) if task == "query" else ("document", "passage", "corpus")
        return next((self._encoder.prompts[name] or "" for name in names if name in self._encoder.prompts), "")


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """Keeps back what the libraries say of a projection that is not used, and their bars."""
    from transformers.utils import logging as transformers_logging

    loggers = [logging.getLogger(name) for name in ("sentence_transformers", "sentence_transformers.base.model")]
    levels = [logger.level for logger in loggers]
    verbosity, has_bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        transformers_logging.set_verbosity(verbosity)
        if has_bars:
            transformers_logging.enable_progress_bar()
