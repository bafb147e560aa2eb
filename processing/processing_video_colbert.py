"""The processor of Video-ColBERT: captions to token ids, videos to frames."""

import os
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    SiglipTokenizer,
)
from transformers.feature_extraction_utils import BatchFeature
from transformers.processing_utils import ProcessorMixin
from transformers.video_processing_utils import VideoProcessorMixin

from .call_arguments import (
    SETTINGS_ADVICE,
    VideoColBERTVideoProcessorKwargs,
    check_query_arguments,
    check_return_tensors,
    refuse_unknown_keywords,
    sorted_arguments,
)
from .passage_tokens import PassagesMixin
from .query_tokens import (
    QueryWord,
    TokenizedQueries,
    caption_list,
    sentence_windows,
    tokenize,
    warn_of_cut_captions,
)
from .retrieval_scores import RetrievalScoresMixin
from .video_batches import Video
from .video_processing_video_colbert import VideoColBERTVideoProcessor
from .video_settings import backbone_settings, is_whole

QueryWindows: TypeAlias = Literal["sentences"]

_HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")
# What the library's `from_pretrained` takes that decides nothing here.
_LOADING_ARGUMENTS = ("return_unused_kwargs", "trust_remote_code", "code_revision", "proxies", "use_fast")
# Words of the tokenizer's own.
_TOKEN_ARGUMENTS = tuple(PreTrainedTokenizerBase.SPECIAL_TOKENS_ATTRIBUTES)
_QUERY_ARGUMENTS = ("query_length", "query_windows", "query_pad_token_id", "do_lower_case")
# Of text towers that read the mask and have positions for many thousands of tokens.
_ZERO_SHOT_LENGTHS = {"pe_video": 128, "pe_audio_video": 128}
# The most tokens that one character takes: the four bytes of an emoji, and SentencePiece's word mark.
_CHARACTER_TOKENS = 5


class VideoColBERTProcessor(PassagesMixin, RetrievalScoresMixin, ProcessorMixin):
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
        do_lower_case: Whether captions are lower-cased, as those were that SigLIP 2 was trained on.

    Raises:
        ValueError: `query_length` leaves no room for a word, no token pads, or a value is of the wrong type.

    Example:
        >>> processor = VideoColBERTProcessor.from_backbone("openai/clip-vit-base-patch32", num_frames=4)
        >>> inputs = processor(text=["a dog runs"], videos=["a.mp4", "b.mp4"])
        >>> inputs["input_ids"].shape, inputs["pixel_values_videos"].shape[:2]
        (torch.Size([1, 32]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        video_processor: VideoColBERTVideoProcessor,
        tokenizer: PreTrainedTokenizerBase,
        query_length: int = 32,
        query_windows: QueryWindows | None = None,
        query_pad_token_id: int | None = None,
        do_lower_case: bool = False,
    ) -> None:
        super().__init__(video_processor, tokenizer)
        if query_windows not in (None, "sentences"):
            raise ValueError(f"query_windows is {query_windows!r}; it must be None or 'sentences'")
        if not isinstance(do_lower_case, bool):
            raise ValueError(f"do_lower_case is {do_lower_case!r}; it must be true or false")
        shortest = len(tokenize(tokenizer, [""])[0].ids) + _CHARACTER_TOKENS
        if not is_whole(query_length) or not shortest <= query_length <= 2**16:
            raise ValueError(f"query_length is {query_length!r}; it must be a whole number from {shortest} to 65536")
        if query_pad_token_id is None:
            query_pad_token_id = tokenizer.pad_token_id
        if query_pad_token_id is None:
            raise ValueError("the tokenizer has no pad token: pass query_pad_token_id")
        if not is_whole(query_pad_token_id) or not 0 <= query_pad_token_id < len(tokenizer):
            raise ValueError(f"query_pad_token_id is {query_pad_token_id!r}; it must be a token of {len(tokenizer)}")
        self.query_length = query_length
        self.query_windows = query_windows
        self.query_pad_token_id = query_pad_token_id
        self.do_lower_case = do_lower_case

    @classmethod
    def from_backbone(
        cls, name_or_path: str | os.PathLike[str], zero_shot: bool = False, **overrides: object
    ) -> "VideoColBERTProcessor":
        """Takes tokenizer and image settings of a CLIP, MetaCLIP 2, SigLIP, SigLIP 2, VideoPrism or PE-AV checkpoint.

        Args:
            name_or_path: Hub id or folder.
            zero_shot: Pads queries to the text tower's full length (CLIP, MetaCLIP 2 77, SigLIP, SigLIP 2,
                VideoPrism 64), as the backbone's own retrieval does; those of PE-AV, where pads are masked, to 128.
            **overrides: Arguments of this class and of `VideoColBERTVideoProcessor`, such as `query_length` and
                `num_frames`; of the Hub: `revision`, `token`, `cache_dir`, `local_files_only`, `subfolder`.

        Returns:
            A processor. Its query length, if not given, is 32, or the text tower's full length where that is
            less. Captions are lower-cased for SigLIP 2.

        Raises:
            ValueError: The checkpoint is of another kind.
            TypeError: An override is of an unknown name.
        """
        hub = {name: overrides.pop(name) for name in _HUB_ARGUMENTS if name in overrides}
        known = VideoColBERTVideoProcessorKwargs.__annotations__
        query: dict[str, Any] = {name: overrides.pop(name) for name in _QUERY_ARGUMENTS if name in overrides}
        refuse_unknown_keywords(
            overrides, (*_HUB_ARGUMENTS, *_QUERY_ARGUMENTS, *known), "from_backbone", SETTINGS_ADVICE
        )
        config = AutoConfig.from_pretrained(name_or_path, trust_remote_code=False, **hub)
        settings = backbone_settings(name_or_path, config, hub)
        full_length = config.text_config.max_position_embeddings
        longest = _ZERO_SHOT_LENGTHS.get(config.model_type, full_length) if zero_shot else 32
        query.setdefault("query_length", min(longest, full_length))
        if query["query_length"] > full_length:
            raise ValueError(
                f"query_length is {query['query_length']}, but the text tower of {name_or_path} has "
                f"{full_length} positions; for longer captions pass query_windows='sentences'"
            )
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False, **hub)
        # SigLIP 2 has the model type of SigLIP; its tokenizer, Gemma's, does not lower-case as SigLIP's own does.
        is_siglip = config.model_type in ("siglip", "siglip2")
        query.setdefault("do_lower_case", is_siglip and not isinstance(tokenizer, SiglipTokenizer))
        return cls(VideoColBERTVideoProcessor(**settings).with_settings(**overrides), tokenizer, **query)

    def __call__(
        self,
        text: str | Sequence[str] | None = None,
        videos: Video | Sequence[Video] | None = None,
        **arguments: Any,
    ) -> BatchFeature:
        """Prepares captions, videos, or both.

        Args:
            text: One caption or a list of B.
            videos: One video or a list; see `process_videos`.
            **arguments: Arguments of `process_queries` and of `process_videos`, such as `return_tensors` and
                `num_frames`; also as `text_kwargs`, `videos_kwargs` and `common_kwargs`, dictionaries of them.

        Returns:
            The fields of `process_queries` and of `process_videos`.

        Raises:
            TypeError: An argument has an unknown name.
            ValueError: Neither text nor videos are given, or an argument that nothing here reads.
            VideoDecodingError: A video cannot be decoded.
        """
        text_arguments, video_arguments = sorted_arguments(arguments, text is not None, videos is not None)
        if text is None and videos is None:
            raise ValueError("give text, videos, or both")
        data: dict[str, Any] = {}
        if text is not None:
            data.update(self.process_queries(text, **text_arguments))
        if videos is not None:
            data.update(self.process_videos(videos, **video_arguments))
        return BatchFeature(data)

    def process_videos(self, videos: Video | Sequence[Video], **arguments: object) -> BatchFeature:
        """Decodes videos and prepares their frames.

        Args:
            videos: One video or a list.
            **arguments: Arguments of `VideoColBERTVideoProcessor.preprocess`: windows (`start`, `end`),
                settings such as `num_frames` and `fps`, `return_timestamps`.

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
            >>> processor = VideoColBERTProcessor.from_backbone("openai/clip-vit-base-patch32")
            >>> queries = processor.tokenize_queries(["a dog runs"])
            >>> processor.process_queries(queries)["input_ids"].shape
            torch.Size([1, 32])
            >>> [word.word for word in queries.words[0]]
            ['a', 'dog', 'runs']
        """
        captions = [self._windows(caption) for caption in caption_list(texts)]
        pieces = iter(
            tokenize(self.tokenizer, [piece for caption in captions for piece in caption], self.do_lower_case)
        )
        return TokenizedQueries([[next(pieces) for _ in caption] for caption in captions], self.query_length)

    def process_queries(
        self,
        texts: str | Sequence[str] | TokenizedQueries,
        return_tensors: str | None = "pt",
        *,
        padding: str = "max_length",
        truncation: bool | None = None,
        max_length: int | None = None,
    ) -> BatchFeature:
        """Tokenizes captions and pads them on the right.

        Args:
            texts: One caption or a list of B, or what `tokenize_queries` made of them.
            return_tensors: `"pt"`, `"np"`, or `None` for lists.
            padding: `"max_length"`, what is always done.
            truncation: `None`, or whether longer captions are cut: true, but false with `query_windows`.
            max_length: `None`, or `query_length`, which it always is.

        Returns:
            `input_ids` and `attention_mask` (1 on a caption's own tokens, special ones included), int64
            `[B, L]`; with `query_windows`, `[B, W, L]`, W the most windows of a caption, all masked where a
            caption has fewer.

        Raises:
            ValueError: There is no caption, or another treatment of them is asked for.
        """
        check_return_tensors(return_tensors)
        check_query_arguments(self.query_length, self.query_windows is None, padding, truncation, max_length)
        queries = texts if isinstance(texts, TokenizedQueries) else self.tokenize_queries(texts)
        if queries.truncated:
            warn_of_cut_captions(self, len(queries.truncated), len(queries.windows), self.query_length)
        input_ids, attention_mask = queries.padded(self.query_pad_token_id)
        data = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.query_windows is None:
            data = {name: tensor[:, 0] for name, tensor in data.items()}
        if return_tensors == "np":
            return BatchFeature({name: tensor.numpy() for name, tensor in data.items()})
        if return_tensors is None:
            return BatchFeature({name: tensor.tolist() for name, tensor in data.items()})
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

    def to_dict(self) -> dict[str, Any]:
        """Returns what is saved in `processor_config.json`, the same before and after it is saved."""
        saved: dict[str, Any] = super().to_dict()
        saved["auto_map"] = {"AutoProcessor": f"{type(self).__module__.rpartition('.')[2]}.{type(self).__name__}"}
        return saved

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
                "saved by VideoColBERTProcessor (for a backbone of another kind, use from_backbone)"
            )
        known = (*VideoColBERTVideoProcessorKwargs.__annotations__, *_QUERY_ARGUMENTS, *_TOKEN_ARGUMENTS)
        tokens = {name: kwargs[name] for name in _TOKEN_ARGUMENTS if name in kwargs}
        loading = {name: kwargs[name] for name in _HUB_ARGUMENTS if name in kwargs}
        if not kwargs.get("return_unused_kwargs"):
            # With an underscore, the library's Auto classes tell each other how they were called.
            others = [name for name in kwargs if name not in (*loading, *_LOADING_ARGUMENTS) and name[0] != "_"]
            refuse_unknown_keywords(others, known, f"{cls.__name__}.from_pretrained", SETTINGS_ADVICE)
        overrides = {
            name: value for name, value in kwargs.items() if name in VideoColBERTVideoProcessorKwargs.__annotations__
        }
        video_processor = VideoColBERTVideoProcessor.from_dict(settings, **overrides)
        # The tokenizer is one of the library's; whether code from the Hub may run is not even asked.
        tokenizer = cls._load_tokenizer_from_pretrained(
            "tokenizer", pretrained_model_name_or_path, trust_remote_code=False, **loading, **tokens
        )
        return [video_processor, tokenizer]

    def _windows(self, caption: str) -> list[str]:
        if self.query_windows is None:
            return [caption]
        return sentence_windows(self.tokenizer, caption, self.query_length, self.do_lower_case)
