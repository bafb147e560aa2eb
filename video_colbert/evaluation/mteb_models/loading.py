"""A model by its name as mteb evaluates it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from video_colbert.evaluation.mteb_models.installed import check_mteb_installed

if TYPE_CHECKING:
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.evaluation.mteb_models.encoder_model import VideoColBERTEncoderModel
    from video_colbert.evaluation.mteb_models.search_model import VideoColBERTSearchModel


@overload
def mteb_model(
    name: str | os.PathLike[str] | VideoColBERTEncoder,
    *,
    revision: str | None = None,
    device: str | None = None,
    as_encoder: Literal[False] = False,
    index_dir: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    meta: Mapping[str, Any] | None = None,
) -> VideoColBERTSearchModel: ...


@overload
def mteb_model(
    name: str | os.PathLike[str] | VideoColBERTEncoder,
    *,
    revision: str | None = None,
    device: str | None = None,
    as_encoder: Literal[True],
    index_dir: None = None,
    threads: int | None = None,
    meta: Mapping[str, Any] | None = None,
) -> VideoColBERTEncoderModel: ...


def mteb_model(
    name: str | os.PathLike[str] | VideoColBERTEncoder,
    *,
    revision: str | None = None,
    device: str | None = None,
    as_encoder: bool = False,
    index_dir: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    meta: Mapping[str, Any] | None = None,
) -> VideoColBERTSearchModel | VideoColBERTEncoderModel:
    """Makes a model that `mteb.evaluate` takes.

    Args:
        name: Hub id or folder of a Video-ColBERT checkpoint, or of any CLIP, SigLIP or VideoPrism one (zero-shot);
            or an encoder that is loaded already.
        revision: branch, tag or commit on the Hub; the main branch by default.
        device: a torch device; by default the best one there is.
        as_encoder: by mteb's `EncoderProtocol`, for tasks that look for texts too, with mteb's own search; by default
            by its `SearchProtocol`, on an index of this package.
        index_dir: folder that keeps the indexes of tasks, for a search model; by default they are in memory.
        threads: decoding threads; by default one for each processor core, at most 8.
        meta: fields of mteb's `ModelMeta` in place of what is found, such as `{"license": "apache-2.0"}`.

    Raises:
        MissingExtraError: the `mteb` extra is not installed.
        ModelLoadError: there is no such model, or it does not load.
        ValueError: an index folder for an encoder, which has none, or a field that `ModelMeta` does not have.
    """
    check_mteb_installed()
    if as_encoder and index_dir is not None:
        raise ValueError("index_dir is of a search model, and as_encoder=True makes an encoder: leave one out")

    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.encoding.stored_model.model_files import find_model_files
    from video_colbert.evaluation.mteb_models.encoder_model import VideoColBERTEncoderModel
    from video_colbert.evaluation.mteb_models.model_meta import build_model_meta
    from video_colbert.evaluation.mteb_models.search_model import VideoColBERTSearchModel

    if isinstance(name, VideoColBERTEncoder):
        encoder = name
    else:
        encoder = VideoColBERTEncoder.from_pretrained(name, revision=revision, device=device)
    reference = encoder.reference
    is_folder = Path(reference.name).is_absolute()
    files = find_model_files(
        reference.name, revision=None if is_folder else reference.commit, also=("README.md", "training_arguments.json")
    )
    described = build_model_meta(encoder, files, _load_by_mteb, meta)
    if as_encoder:
        return VideoColBERTEncoderModel(encoder, described, threads=threads)
    return VideoColBERTSearchModel(encoder, described, index_dir=index_dir, threads=threads)


def _load_by_mteb(
    place: str, name: str, *, revision: str | None = None, scoring: str | None = None, **options: Any
) -> VideoColBERTSearchModel | VideoColBERTEncoderModel:
    """What a `ModelMeta` of ours loads its model by.

    Args:
        place: Hub id or folder.
        name: mteb's name of it.
        revision: mteb's; of a folder it is the digest of its content.
        scoring: of a zero-shot model, which says only what it is.
        **options: of `mteb_model`.
    """
    commit = None if Path(place).is_absolute() or revision is None else revision.partition("+")[0]
    load: Callable[..., VideoColBERTSearchModel | VideoColBERTEncoderModel] = mteb_model
    return load(place, revision=commit, **options)
