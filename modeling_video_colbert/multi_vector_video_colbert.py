"""The model as sentence-transformers' `MultiVectorEncoder` calls it, and the files by which it knows a checkpoint.

A plain torch module with the methods that the library asks its modules for by name. So this file, which travels with
every checkpoint, imports no sentence-transformers, and a checkpoint without that library loads as before.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn
from transformers import AutoModel, AutoProcessor

SIMILARITIES = {"mean_max_sim": "meanmaxsim", "max_sim": "maxsim"}
"""The library's name of an interaction; the other interactions weigh tokens, which its similarities do not."""

_VIDEO_KINDS = "paths, URLs, uint8 arrays of frames, lists of pictures, or {'array': ..., 'video_metadata': ...}"


class VideoColBERTMultiVector(nn.Module):
    """The one module of a Video-ColBERT checkpoint in sentence-transformers.

    A video has a token bag on each level. `level` says which one `encode_document` gives: the frame level, or the
    video level in a model that does not score by frames. With `encode_document(videos, level="video")` another is
    taken for one call. The scores of two levels, added, are the model's own score;
    times `model.config.weights_of_levels` where those were fitted.

    Args:
        model: A `VideoColBERTModel`.
        processor: Its `VideoColBERTProcessor`.

    Raises:
        ValueError: The model's score is no MaxSim of two token bags.

    Example:
        >>> from sentence_transformers import MultiVectorEncoder
        >>> from video_colbert import VideoColBERTModel, VideoColBERTProcessor
        >>> model = VideoColBERTModel.from_backbone("openai/clip-vit-base-patch32", zero_shot=True)
        >>> processor = VideoColBERTProcessor.from_backbone("openai/clip-vit-base-patch32", zero_shot=True)
        >>> encoder = MultiVectorEncoder(modules=[VideoColBERTMultiVector(model, processor)], device="cpu")
        >>> queries, videos = encoder.encode_query(["a dog runs"]), encoder.encode_document(["a.mp4", "b.mp4"])
        >>> encoder.similarity(queries, videos).shape
        torch.Size([1, 2])
    """

    save_in_root = True
    forward_kwargs = {"level"}  # noqa: RUF012 - sentence-transformers reads a plain set
    # With "message" the library leaves it to this module what a batch holds: of paths, it knows some by their suffix
    # as videos and takes others for texts, and would refuse a batch of both. Conversations are refused here.
    modalities = ["text", "video", "message"]  # noqa: RUF012 - it reads a plain list
    # Its mark of a model whose texts are always queries, by which its trainer describes a column of texts.
    transformer_task = "retrieval"

    def __init__(self, model: Any, processor: Any) -> None:
        super().__init__()
        if model.config.interaction not in SIMILARITIES:
            raise ValueError(
                f"interaction is {model.config.interaction!r}; sentence-transformers scores by MaxSim, which is "
                f"{' or '.join(map(repr, SIMILARITIES))}: load this model by transformers' AutoModel"
            )
        self.model = model
        self.processor = processor
        self.level = "frame" if "frame" in model.config.score_levels else "video"

    @property
    def level(self) -> str:
        """The level whose tokens `encode_document` gives; one of `model.config.levels`."""
        return self._level

    @level.setter
    def level(self, level: str) -> None:
        self._level = self._checked(level)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the text tower."""
        return self.processor.tokenizer

    @property
    def max_seq_length(self) -> int:
        """Tokens that a caption is padded to."""
        length: int = self.processor.query_length
        return length

    def get_embedding_dimension(self) -> int:
        """Returns the width of a token."""
        width: int = self.model.config.projection_dim
        return width

    def preprocess(
        self,
        inputs: Sequence[Any],
        prompt: str | None = None,
        task: Literal["query", "document"] | None = None,
        level: str | None = None,
        max_length: int | None = None,
        processing_kwargs: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Prepares captions or videos.

        Args:
            inputs: B captions where `task` is `"query"`. B videos where it is `"document"`: paths, URLs, bytes, uint8
                arrays `[T, H, W, 3]` or `[T, 3, H, W]`, lists of PIL pictures or of arrays, data set rows of `path`
                and `bytes`, or dictionaries of `array` and `video_metadata`.
            prompt: Text put before each caption; of videos there is none.
            task: What the inputs are.
            level: Checked here, used by `forward`.
            max_length: `None`, or the processor's `query_length`, which it always is.
            processing_kwargs: Settings for this call by kind: those of `process_queries` in `text`, those of
                `process_videos` in `video`, such as `{"video": {"num_frames": 8}}`.

        Returns:
            The processor's fields.

        Raises:
            ValueError: The task is not said, an input is of another kind, or an argument does not fit it.
            VideoDecodingError: A video cannot be decoded; one bad file is an error of the whole call.
        """
        settings = {kind: dict(values) for kind, values in (processing_kwargs or {}).items()}
        if unknown := settings.keys() - {"text", "video"}:
            raise ValueError(f"processing_kwargs has {sorted(unknown)}; it has settings of 'text' and of 'video'")
        if task == "query":
            if level is not None:
                raise ValueError(f"level is {level!r}, but queries have no levels: give it to encode_document")
            texts = [(prompt or "") + _as_text(item) for item in inputs]
            return dict(self.processor.process_queries(texts, max_length=max_length, **settings.get("text", {})))
        if task != "document":
            raise ValueError(f"task is {task!r}; call encode_query for captions and encode_document for videos")
        if prompt:
            raise ValueError(f"prompt is {prompt!r}, but a video takes none: give it to encode_query")
        if max_length is not None:
            raise ValueError(f"max_length is {max_length}, but videos have none: give {{'query': {max_length}}}")
        if level is not None:
            self._checked(level)
        videos = [_as_video(item) for item in inputs]
        options = settings.get("video", {})
        described = [metadata for _, metadata in videos if metadata is not None]
        if described:
            if len(described) < len(videos):
                raise ValueError("some videos of a batch have video_metadata; give it with all of them or with none")
            options["video_metadata"] = described
        return dict(self.processor.process_videos([video for video, _ in videos], **options))

    def forward(self, features: dict[str, Any], level: str | None = None) -> dict[str, Tensor]:
        """Encodes what `preprocess` prepared.

        Args:
            features: Its fields, as tensors on the model's device.
            level: Of videos, the level in place of this module's own.

        Returns:
            `token_embeddings` `[B, N, D]`, each of unit length, and `attention_mask` bool `[B, N]`, true on the tokens
            that count. Query expansion counts as in the model itself.
        """
        if "pixel_values_videos" in features:
            name = self.level if level is None else self._checked(level)
            sizes = features.get("frame_sizes")
            video = self.model.get_video_features(
                features["pixel_values_videos"], features["video_mask"], frame_sizes=sizes
            )
            return {"token_embeddings": video[f"{name}_embeds"], "attention_mask": video[f"{name}_mask"]}
        query = self.model.get_text_features(features["input_ids"], features["attention_mask"])
        return {"token_embeddings": query.query_embeds, "attention_mask": query.query_mask}

    def save(self, output_path: str, **kwargs: Any) -> None:
        """Saves model and processor, with their code.

        Args:
            output_path: The folder.
            **kwargs: `safe_serialization`; weights are always safetensors.

        Raises:
            ValueError: Another format is asked for.
        """
        if not kwargs.get("safe_serialization", True):
            raise ValueError("safe_serialization is False; Video-ColBERT checkpoints are saved as safetensors alone")
        self.model.save_pretrained(output_path)
        self.processor.save_pretrained(output_path)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        trust_remote_code: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        processor_kwargs: dict[str, Any] | None = None,
        config_kwargs: dict[str, Any] | None = None,
        backend: str = "torch",
    ) -> "VideoColBERTMultiVector":
        """Loads model and processor by transformers' Auto classes.

        Args:
            model_name_or_path: Hub id or folder.
            subfolder: Where in the repository; the root, in what is saved here.
            token: Hub token.
            cache_folder: Of the Hub's client.
            revision: Branch, tag or commit.
            local_files_only: Whether the Hub is left alone.
            trust_remote_code: Whether code of the checkpoint may run.
            model_kwargs: For `AutoModel.from_pretrained`.
            processor_kwargs: For `AutoProcessor.from_pretrained`, such as `num_frames`.
            config_kwargs: Fields of the config in place of saved ones.
            backend: `"torch"`.

        Raises:
            ValueError: Another backend, or a model whose score is no MaxSim.
        """
        if backend != "torch":
            raise ValueError(f"backend is {backend!r}; a Video-ColBERT checkpoint runs by 'torch' here")
        hub = {
            "subfolder": subfolder,
            "token": token,
            "cache_dir": cache_folder,
            "revision": revision,
            "local_files_only": local_files_only,
            "trust_remote_code": trust_remote_code,
        }
        model = AutoModel.from_pretrained(model_name_or_path, **hub, **(config_kwargs or {}), **(model_kwargs or {}))
        return cls(model, AutoProcessor.from_pretrained(model_name_or_path, **hub, **(processor_kwargs or {})))

    def _checked(self, level: str) -> str:
        """A level that the model has; a frame level is there in every model, others where it scores by them."""
        if level not in self.model.config.levels:
            raise ValueError(f"level is {level!r}; this model has {', '.join(self.model.config.levels)}")
        return level


def _as_text(item: object) -> str:
    if isinstance(item, Mapping) and set(item) == {"text"}:
        item = item["text"]
    if not isinstance(item, str):
        raise ValueError(f"a query is one text, not a {type(item).__name__}")
    return item


def _as_video(item: Any) -> tuple[Any, Mapping[str, Any] | None]:
    """A video as the processor takes it, and what is said of its frames."""
    metadata = None
    if isinstance(item, Mapping) and set(item) == {"video"}:
        item = item["video"]
    if isinstance(item, Mapping) and "array" in item:
        item, metadata = item["array"], item.get("video_metadata")
    if isinstance(item, list | tuple):
        if not item or isinstance(item[0], str | bytes | Mapping):
            raise ValueError(f"a list is a video where it is one of pictures; videos are {_VIDEO_KINDS}")
        frames = [frame.convert("RGB") if hasattr(frame, "convert") else frame for frame in item]
        item = np.stack([frame.cpu().numpy() if isinstance(frame, Tensor) else np.asarray(frame) for frame in frames])
    return item, metadata


class MultiVectorFilesMixin:
    """What a config adds to `save_pretrained`: `modules.json` and `config_sentence_transformers.json`.

    They belong to the config, since every way to save a model saves that, and a push sends what was saved with it.
    """

    interaction: Any

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """Saves the config, and the files that name the module of the model.

        Args:
            save_directory: The folder, made if there is none.
            push_to_hub: Whether to upload the config.
            **kwargs: As `PreTrainedConfig.save_pretrained`.
        """
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)  # type: ignore[misc] # of the config
        for name, content in multi_vector_files(self.interaction).items():
            Path(save_directory, name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def multi_vector_files(interaction: str) -> dict[str, Any]:
    """Makes the content of the files by their names.

    Args:
        interaction: The config's. Where the library has no such similarity, the files are there all the same and the
            module says so when it is loaded; without them the library would add a random projection to the text tower.
    """
    module = VideoColBERTMultiVector
    # The file's own name, here and where a checkpoint's copy of it was loaded.
    reference = f"{module.__module__.split('.')[-1]}.{module.__name__}"
    return {
        "modules.json": [{"idx": 0, "name": "0", "path": "", "type": reference}],
        "config_sentence_transformers.json": {
            "model_type": "MultiVectorEncoder",
            "similarity_fn_name": SIMILARITIES.get(interaction),
            "prompts": {"query": "", "document": ""},
            "default_prompt_name": None,
        },
    }


__all__ = ["SIMILARITIES", "MultiVectorFilesMixin", "VideoColBERTMultiVector", "multi_vector_files"]
