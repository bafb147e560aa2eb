"""One door to every index: opened by its folder or address, or made there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from video_colbert.errors import IndexStoreError, MissingExtraError, NoIndexError
from video_colbert.index.lance.storage import has_table, is_of_earlier_format
from video_colbert.index.qdrant.location import is_qdrant_uri
from video_colbert.index.search.interaction import check_interaction, check_level_scoring
from video_colbert.index.windows import window_settings

if TYPE_CHECKING:
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.encoding.stored_model.model_reference import ModelReference
    from video_colbert.index.index import Index
    from video_colbert.index.lance.lance_index import LanceIndex
    from video_colbert.index.qdrant.qdrant_index import QdrantIndex
    from video_colbert.index.video_index import VideoIndex
    from video_colbert.index.windows import WindowSettings
    from video_colbert.text.text_model import TextModel

_LANCE_MAKING = ("codec", "merge_similarity")
_LANCE_OPENING = ("hold_tokens", "storage_options")
_QDRANT_PACKAGES = ("qdrant_client", "grpc")


def open_index(
    location: str | os.PathLike[str],
    encoder: VideoColBERTEncoder | None = None,
    *,
    num_frames: int | None = None,
    windows: WindowSettings | float | str | None = None,
    text_model: TextModel | None = None,
    **options: Any,
) -> Index:
    """Opens an index, or makes one where there is none; of several processes at once, one makes it.

    Args:
        location: where it is:

            - a folder, or an address in object storage such as `s3://bucket/name`: a Lance table, with the options
              `codec` ("float16", "int8", "compact" or "float32") and `merge_similarity` when it is made, and
              `hold_tokens` and `storage_options` whenever it is opened;
            - `memory://`: the same, in the memory of this process; each `open_index` makes another one;
            - `qdrant://host:6333/collection`: a Qdrant collection, with the options `shards`, `replicas`,
              `write_consistency`, `quantization`, `token_quantization` and `on_disk` when it is made, and `grpc_port`,
              `timeout`, `candidates` and `parallel` whenever it is opened; they may stand in the address too;
            - `qdrant+local:///folder`: the same in a folder without a server, for one process at a time.
        encoder: the model that encodes files and texts. Without one, an index that exists can be searched with
            encoded queries, and videos can be removed.
        num_frames: frames sampled from each video of a new index; by default as many as the encoder's processor says.
        windows: how a new index cuts long videos: "auto" (the default; one of more than a minute becomes windows of
            about 20 s that end at scene changes), "shots" (a window a shot), the seconds of a window, "none" for each
            video as a whole, or `WindowSettings`. It is stored, and used with every `add`.
        text_model: the model that passages are, or will be, searched with; by default that of the index's passages,
            which is loaded when it is first needed.
        **options: as above. Of an index that exists, those of making it must be what it was made with.

    Raises:
        ModelMismatchError: the index was made by another model or another revision than the encoder's.
        IndexStoreError: there is no index and no encoder to make one with, there is no such option, the index was
            made with something else than is asked for, or it cannot be read, written or reached.
        ValueError: an option is out of range, or `windows` is none of the above.
        EncodingError: `num_frames` is more than the model takes.
        MissingExtraError: it is a Qdrant collection, and the `qdrant` extra is not installed.

    Example:
        >>> index = open_index("my_index", encoder, windows=20.0)
        >>> report = index.add(["my_videos"])
        >>> len(index.search("a dog catches a ball"))
        2
    """
    settings = window_settings("auto" if windows is None else windows)
    store = _Address.of(location, options)
    if not store.exists():
        if encoder is None:
            raise NoIndexError(
                f"there is no index in {location}; give open_index an encoder to make one, or make it with "
                "`video-colbert index`"
            )
        from video_colbert.index.index import Index

        config, holder = encoder.model.config, f"an index in {location}"
        check_interaction(config.interaction, store.store.interactions, holder)
        check_level_scoring(config.level_scoring, store.store.level_scorings, holder)
        encoder.check_num_frames(num_frames)
        frames = encoder.num_frames if num_frames is None else num_frames
        try:
            return Index(store.create(encoder.reference, frames, settings), encoder, text_model)
        except IndexStoreError:
            # Another process may have made it meanwhile; then it is opened, as any that is there.
            if not store.exists():
                raise
    from video_colbert.index.index import Index
    from video_colbert.index.video_index import check_model

    stored = store.open()
    if encoder is not None:
        check_model(stored, encoder.reference)
    made_with = {"num_frames": stored.num_frames, "windows": stored.windows or "none", **stored.options}
    asked_windows = None if windows is None else settings or "none"
    for name, value in {"num_frames": num_frames, "windows": asked_windows, **store.making}.items():
        if value is not None and value != made_with[name]:
            raise IndexStoreError(
                f"the index in {stored.location} was made with {name}={made_with[name]}, not {value}; leave the "
                "option out, or choose another index"
            )
    return Index(stored, encoder, text_model)


def create_text_index(location: str | os.PathLike[str], *, codec: str | None = None, **options: Any) -> Index:
    """Makes an index that holds texts and takes no videos.

    Args:
        location: as `open_index`.
        codec: how tokens are stored, as of `open_index`; float16 by default.
        **options: of opening it, as of `open_index`.

    Raises:
        IndexStoreError: there is an index already, there is no such option, or the location cannot be written.
        ValueError: there is no such codec.
    """
    from video_colbert.encoding.stored_model.model_reference import NO_VIDEO_MODEL
    from video_colbert.index.index import Index

    address = _Address.of(location, {"codec": codec, **options})
    return Index(address.create(NO_VIDEO_MODEL, None, None))


def index_exists(location: str | os.PathLike[str], **options: Any) -> bool:
    """Whether there is an index.

    Args:
        location: as `open_index`.
        **options: as `open_index`.

    Raises:
        IndexStoreError: the location is not valid or cannot be reached, or there is no such option.
        MissingExtraError: as `open_index`.
    """
    return _Address.of(location, options).exists()


@dataclass(frozen=True)
class _Address:
    """Where a store is, of which kind it is, and what it is made and opened with.

    Attributes:
        text: its address.
        is_qdrant: whether it is a Qdrant collection; else it is a Lance table.
        making: options of making it; those of a Qdrant collection are in its address.
        opening: options of opening it, likewise.
    """

    text: str
    is_qdrant: bool = False
    making: Mapping[str, Any] = field(default_factory=dict)
    opening: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, location: str | os.PathLike[str], options: Mapping[str, Any]) -> _Address:
        text = os.fspath(location)
        given = {name: value for name, value in options.items() if value is not None}
        if is_qdrant_uri(text):
            texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}
            separator = "&" if "?" in text else "?"
            return cls(f"{text}{separator}{urlencode(texts)}" if texts else text, is_qdrant=True)
        for name in given:
            if name not in (*_LANCE_MAKING, *_LANCE_OPENING):
                raise IndexStoreError(
                    f"{text}: there is no option {name!r}; there are {', '.join((*_LANCE_MAKING, *_LANCE_OPENING))}"
                )
        making = {name: value for name, value in given.items() if name in _LANCE_MAKING}
        opening = {name: value for name, value in given.items() if name not in making}
        return cls(text, making=making, opening=opening)

    @property
    def store(self) -> type[LanceIndex] | type[QdrantIndex]:
        """Its class."""
        if self.is_qdrant:
            return _qdrant_index()
        from video_colbert.index.lance.lance_index import LanceIndex

        return LanceIndex

    def exists(self) -> bool:
        if self.is_qdrant:
            return _qdrant_index().exists(self.text)
        # Asked without its class, whose libraries take longer to import than most commands without an index take.
        return has_table(self.text, self.opening.get("storage_options")) or is_of_earlier_format(self.text)

    def open(self) -> VideoIndex:
        return self.store.open(self.text, **self.opening)

    def create(self, model: ModelReference, num_frames: int | None, windows: WindowSettings | None) -> VideoIndex:
        return self.store.create(
            self.text, model=model, num_frames=num_frames, windows=windows, **self.making, **self.opening
        )


def _qdrant_index() -> type[QdrantIndex]:
    try:
        from video_colbert.index.qdrant.qdrant_index import QdrantIndex
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _QDRANT_PACKAGES:
            raise
        raise MissingExtraError(
            "an index in Qdrant needs the package qdrant-client, which is not installed: "
            "pip install 'video-colbert[qdrant]'"
        ) from error
    return QdrantIndex
