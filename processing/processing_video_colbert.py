"""The processor of Video-ColBERT: captions to token ids, videos to frames."""

import logging
import os
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, PreTrainedTokenizerBase
from transformers.feature_extraction_utils import BatchFeature
from transformers.processing_utils import ProcessorMixin
from transformers.video_processing_utils import VideoProcessorMixin

from .query_tokens import QueryWord, TokenizedQueries, sentence_windows, tokenize
from .video_batches import Video
from .video_processing_video_colbert import VideoColBERTVideoProcessor

logger = logging.getLogger(__name__)

QueryWindows: TypeAlias = Literal["sentences"]

_BACKBONES = ("clip", "siglip")
_HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")
_QUERY_ARGUMENTS = ("query_length", "query_windows", "query_pad_token_id")
# The most tokens that one character takes: the four bytes of an emoji, and SentencePiece's word mark.
_CHARACTER_TOKENS = 5


class VideoColBERTProcessor(ProcessorMixin):
    """Prepares captions and videos for `VideoColBERTModel`.

    Captions are always padded on the right to `query_length`: the text tower's outputs at the pads take part in
    the score (soft query expansion). A longer caption is cut, keeping its end-of-text token, with one warning;
    `truncated_queries` finds such captions. With `query_windows="sentences"` nothing is cut: each sentence
    gets a window of its own, and a sentence that is too long gets several.

    Args:
        video_processor: Prepares the videos.
        tokenizer: The tokenizer of the text tower.
        query_length: Tokens of a query, or of each of its windows, L.
        query_windows: `None`, or `"sentences"`.
        query_pad_token_id: The token that fills a query; `None` takes the tokenizer's own.

    Raises:
        ValueError: `query_length` leaves no room for a word, or there is no token to pad with.
    """

    def __init__(
        self,
        video_processor: VideoColBERTVideoProcessor,
        tokenizer: PreTrainedTokenizerBase,
        query_length: int = 32,
        query_windows: QueryWindows | None = None,
        query_pad_token_id: int | None = None,
    ) -> None:
        super().__init__(video_processor, tokenizer)
        if query_windows not in (None, "sentences"):
            raise ValueError(f"query_windows is {query_windows!r}; it must be None or 'sentences'")
        shortest = len(tokenize(tokenizer, [""])[0].ids) + _CHARACTER_TOKENS
        if query_length < shortest:
            raise ValueError(
                f"query_length is {query_length}; with this tokenizer's special tokens it must be at least {shortest}"
            )
        if query_pad_token_id is None:
            query_pad_token_id = tokenizer.pad_token_id
        if query_pad_token_id is None:
            raise ValueError("the tokenizer has no pad token: pass query_pad_token_id")
        self.query_length = query_length
        self.query_windows = query_windows
        self.query_pad_token_id = query_pad_token_id
        self._warned_of_truncation = False

    @classmethod
    def from_backbone(
        cls, name_or_path: str | os.PathLike[str], zero_shot: bool = False, **overrides: object
    ) -> "VideoColBERTProcessor":
        """Takes the tokenizer and the image settings of a CLIP or SigLIP checkpoint.

        Args:
            name_or_path: Hub id or folder.
            zero_shot: Pads queries to the text tower's full length (CLIP 77, SigLIP 64), as the backbone's own
                retrieval does.
            **overrides: Arguments of this class and of `VideoColBERTVideoProcessor`, such as `query_length` and
                `num_frames`; of the Hub: `revision`, `token`, `cache_dir`, `local_files_only`, `subfolder`.

        Returns:
            A processor. Its query length, if not given, is 32, or the text tower's full length where that is
            less.

        Raises:
            ValueError: The checkpoint is of another kind.
            TypeError: An override is of an unknown name.
        """
        hub = {name: overrides.pop(name) for name in _HUB_ARGUMENTS if name in overrides}
        config = AutoConfig.from_pretrained(name_or_path, trust_remote_code=False, **hub)
        if config.model_type == "siglip2":
            raise ValueError(
                f"{name_or_path} is a SigLIP 2 checkpoint of variable resolution (NaFlex), which is not supported; "
                "take one of fixed resolution, such as google/siglip2-base-patch16-224"
            )
        if config.model_type not in _BACKBONES:
            raise ValueError(
                f"{name_or_path} has model_type {config.model_type!r}; supported are {', '.join(_BACKBONES)}"
            )
        full_length = config.text_config.max_position_embeddings
        query: dict[str, Any] = {name: overrides.pop(name) for name in _QUERY_ARGUMENTS if name in overrides}
        query.setdefault("query_length", full_length if zero_shot else min(32, full_length))
        if query["query_length"] > full_length:
            raise ValueError(
                f"query_length is {query['query_length']}, but the text tower of {name_or_path} has "
                f"{full_length} positions; for longer captions pass query_windows='sentences'"
            )
        image = AutoImageProcessor.from_pretrained(name_or_path, trust_remote_code=False, **hub).to_dict()
        known = VideoColBERTVideoProcessor().to_dict()
        unknown = [name for name in overrides if name not in known]
        if unknown:
            raise TypeError(f"from_backbone does not know {', '.join(unknown)}")
        settings: dict[str, Any] = {name: image[name] for name in known if image.get(name) is not None}
        # An image processor without a crop has no such field.
        settings["do_center_crop"] = bool(image.get("do_center_crop"))
        video_processor = VideoColBERTVideoProcessor(**{**settings, **overrides})
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False, **hub)
        return cls(video_processor, tokenizer, **query)

    def __call__(
        self,
        text: str | Sequence[str] | None = None,
        videos: Video | Sequence[Video] | None = None,
        return_tensors: str | None = "pt",
        **video_arguments: object,
    ) -> BatchFeature:
        """Prepares captions, videos, or both.

        Args:
            text: One caption or a list of B.
            videos: One video or a list; see `process_videos`.
            return_tensors: `"pt"` or `"np"`.
            **video_arguments: Arguments of `process_videos`.

        Returns:
            The fields of `process_queries` and of `process_videos`.

        Raises:
            ValueError: Neither is given.
            VideoDecodingError: A video cannot be decoded.
        """
        if text is None and videos is None:
            raise ValueError("give text, videos, or both")
        data: dict[str, Any] = {}
        if text is not None:
            data.update(self.process_queries(text, return_tensors=return_tensors))
        if videos is not None:
            data.update(self.process_videos(videos, return_tensors=return_tensors, **video_arguments))
        return BatchFeature(data)

    def process_videos(self, videos: Video | Sequence[Video], **arguments: object) -> BatchFeature:
        """Decodes videos and prepares their frames.

        Args:
            videos: One video or a list.
            **arguments: Arguments of `VideoColBERTVideoProcessor.preprocess`: windows (`start`, `end`),
                sampling, `return_timestamps`.

        Returns:
            `pixel_values_videos` float32 `[B, T, 3, H, W]`, `video_mask` bool `[B, T]`, and `timestamps`.

        Raises:
            VideoDecodingError: A video cannot be decoded.
        """
        return self.video_processor(videos, **arguments)

    def tokenize_queries(self, texts: str | Sequence[str]) -> TokenizedQueries:
        """Tokenizes captions once, for all that is asked of them: the model's inputs, words, what is cut.

        Args:
            texts: One caption or a list of B.

        Returns:
            What `process_queries` takes in place of the captions.

        Example:
            queries = processor.tokenize_queries(["a dog runs"])
            inputs, words = processor.process_queries(queries), queries.words
        """
        captions = [self._windows(caption) for caption in _as_captions(texts)]
        pieces = iter(tokenize(self.tokenizer, [piece for caption in captions for piece in caption]))
        return TokenizedQueries([[next(pieces) for _ in caption] for caption in captions], self.query_length)

    def process_queries(
        self, texts: str | Sequence[str] | TokenizedQueries, return_tensors: str | None = "pt"
    ) -> BatchFeature:
        """Tokenizes captions and pads them on the right.

        Args:
            texts: One caption or a list of B, or what `tokenize_queries` made of them.
            return_tensors: `"pt"` or `"np"`.

        Returns:
            `input_ids` and `attention_mask` (1 on a caption's own tokens, special ones included), int64
            `[B, L]`; with `query_windows`, `[B, W, L]`, W the most windows of a caption, all masked where a
            caption has fewer.
        """
        queries = texts if isinstance(texts, TokenizedQueries) else self.tokenize_queries(texts)
        if queries.truncated:
            self._warn_of_truncation(len(queries.truncated), len(queries.windows))
        input_ids, attention_mask = queries.padded(self.query_pad_token_id)
        data = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.query_windows is None:
            data = {name: tensor[:, 0] for name, tensor in data.items()}
        if return_tensors == "np":
            return BatchFeature({name: tensor.numpy() for name, tensor in data.items()})
        return BatchFeature(data)

    def truncated_queries(self, texts: str | Sequence[str]) -> list[int]:
        """Finds the captions that `process_queries` cuts.

        Args:
            texts: One caption or a list.

        Returns:
            Indices of captions of more than `query_length` tokens; none with `query_windows`.
        """
        return self.tokenize_queries(texts).truncated

    def query_words(self, texts: str | Sequence[str]) -> list[list[QueryWord]]:
        """Finds the tokens of each word, to say which frame a word matched.

        Args:
            texts: One caption or a list of B.

        Returns:
            B lists of words. Positions count a query's Lq = W L tokens, windows one after another. Special and
            pad tokens, punctuation and symbols belong to no word; words that were cut off are left out.
        """
        return self.tokenize_queries(texts).words

    @property
    def model_input_names(self) -> list[str]:
        """The names of the model's inputs that this processor makes."""
        return ["input_ids", "attention_mask", *self.video_processor.model_input_names]

    def check_argument_for_proper_class(self, argument_name: str, argument: object) -> object:
        """Checks a part of the processor; the library's own check of a video processor needs torchvision."""
        if argument_name != "video_processor":
            return super().check_argument_for_proper_class(argument_name, argument)
        if not isinstance(argument, VideoProcessorMixin):
            raise TypeError(f"video_processor is a {type(argument).__name__}, not a VideoColBERTVideoProcessor")
        return VideoProcessorMixin

    @classmethod
    def _get_arguments_from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        processor_dict: dict[str, Any] | None = None,
        **kwargs: object,
    ) -> list[Any]:
        """Loads both parts; the library's own way to a video processor needs torchvision."""
        settings = (processor_dict or {}).get("video_processor")
        if settings is None:
            raise OSError(
                f"{pretrained_model_name_or_path} holds no processor_config.json with a video_processor: it was not "
                "saved by VideoColBERTProcessor (for a CLIP or SigLIP checkpoint, use from_backbone)"
            )
        video_arguments = VideoColBERTVideoProcessor.valid_kwargs.__annotations__
        overrides = {name: value for name, value in kwargs.items() if name in video_arguments}
        video_processor = VideoColBERTVideoProcessor.from_dict(settings, **overrides)
        loading = {
            name: value
            for name, value in kwargs.items()
            if name not in video_arguments and name not in _QUERY_ARGUMENTS
        }
        tokenizer = cls._load_tokenizer_from_pretrained("tokenizer", pretrained_model_name_or_path, **loading)
        return [video_processor, tokenizer]

    def _windows(self, caption: str) -> list[str]:
        if self.query_windows is None:
            return [caption]
        return sentence_windows(self.tokenizer, caption, self.query_length)

    def _warn_of_truncation(self, num_cut: int, num_captions: int) -> None:
        if self._warned_of_truncation:
            return
        self._warned_of_truncation = True
        logger.warning(
            "%d of %d captions are longer than query_length=%d tokens and were cut; later ones will be cut without "
            "another warning. truncated_queries() finds them, query_windows='sentences' avoids it.",
            num_cut,
            num_captions,
            self.query_length,
        )


def _as_captions(texts: str | Sequence[str]) -> list[str]:
    captions = [texts] if isinstance(texts, str) else list(texts)
    if not captions:
        raise ValueError("text is an empty list; give at least one caption")
    for caption in captions:
        if not isinstance(caption, str):
            raise TypeError(f"a caption is a str, not {type(caption).__name__}: {caption!r}")
    return captions
