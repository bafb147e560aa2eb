"""The files of a model by name: those of a local folder, or of one commit on the Hub."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

# Of whichever HTTP library the client is built on, which is not named here.
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined] # isort: skip

from video_colbert.encoding.stored_model.kept_digests import kept_digest
from video_colbert.encoding.stored_model.weight_files import check_weight_files, weight_file_names
from video_colbert.errors import ModelLoadError
from video_colbert.hub_errors import hub_errors

logger = logging.getLogger(__name__)

CONFIG_FILE = "config.json"

# Any one of these groups holds the whole vocabulary of a tokenizer.
_VOCABULARIES = (
    {"tokenizer.json"},
    {"vocab.json", "merges.txt"},
    {"vocab.txt"},
    {"spiece.model"},
    {"tokenizer.model"},
    {"sentencepiece.bpe.model"},
)
_TOKENIZER_FILES = {
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    *(name for names in _VOCABULARIES for name in names),
}
# Both preprocessor_config.json and processor_config.json.
_PROCESSOR_FILES = "*processor_config.json"
_SETTINGS = (CONFIG_FILE, _PROCESSOR_FILES, *_TOKENIZER_FILES)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SECONDS_TO_ANSWER = 10
_TOO_MANY_REQUESTS = 429
_FIRST_FAULT_OF_SERVER = 500


@dataclass(frozen=True)
class ModelFiles:
    """Where a model's files are, and which they are.

    Attributes:
        name: Hub id, or the absolute path of a local folder.
        revision: the Hub's commit, or the digest of a local folder's content.
        folder: holds the files.
    """

    name: str
    revision: str
    folder: Path

    @property
    def is_local(self) -> bool:
        """Whether the model is a folder of the user's rather than one on the Hub."""
        return Path(self.name).is_absolute()


def find_model_files(
    name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | None = None,
    also: Collection[str] = (),
) -> ModelFiles:
    """Finds a model's files, and downloads what is not in the Hub's cache.

    All files are those of one commit, whatever is pushed meanwhile. A commit that is in the cache needs no network;
    the commit of a branch or tag is asked for once, and where the Hub cannot be reached it is the one that the cache
    knows, which is logged as a warning.

    Args:
        name_or_path: local folder, or Hub id.
        revision: branch, tag or commit on the Hub; the main branch by default.
        token: Hub token; the stored one by default.
        also: names of further files to download where there are such.

    Raises:
        ModelLoadError: a revision is given for a folder, which has none.
        HubError: there is no such folder, and no such model or revision on the Hub; or the Hub cannot be reached and
            the model is not in the cache.
    """
    name = os.fspath(name_or_path)
    if Path(name).is_dir():
        if revision is not None:
            raise ModelLoadError(f"model {name!r} is a folder, which has no revision {revision!r}; leave it out")
        return ModelFiles(str(Path(name).absolute()), folder_digest(Path(name)), Path(name))
    is_commit = revision is not None and _COMMIT.fullmatch(revision) is not None
    with hub_errors(f"there is no model {name!r} here, and none is loaded from the Hub"):
        cached = _cached(name, revision)
        if is_commit and cached is not None and _is_whole(cached.folder, also):
            return cached
        try:
            info = HfApi(token=token).model_info(name, revision=revision, timeout=_SECONDS_TO_ANSWER)
        except (HTTPError, OfflineModeIsEnabled, OSError) as error:
            if cached is None or _is_answer(error):
                raise
            if not is_commit:
                logger.warning(
                    "The Hub cannot be asked for the newest commit of %s; taking %s, which is in the cache.",
                    name,
                    cached.revision[:12],
                )
            return cached
        if cached is not None and cached.revision == info.sha and _is_whole(cached.folder, also):
            return cached
        names = [file.rfilename for file in info.siblings or ()]
        wanted = [name for name in names if name in also or _is_setting(name)] + weight_file_names(names)
        # By the name that was asked for, which the cache then knows the commit of.
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted, token=token))
        return ModelFiles(name, folder.name, folder)


def commit_in_cache(name: str, revision: str | None) -> str | None:
    """The commit of a model that can be loaded without the Hub, weights and settings; None where there is none.

    Args:
        name: Hub id; what is none is not in the cache.
        revision: branch, tag or commit; a branch or tag means the commit that it was when it was last loaded.
    """
    try:
        cached = _cached(name, revision)
    except HFValidationError:
        return None
    return cached.revision if cached is not None and _is_whole(cached.folder) else None


def folder_digest(folder: Path) -> str:
    """Digest of all that decides the vectors of a local model: weights, config, processor and tokenizer.

    Args:
        folder: the model; its name and place do not count. Digests of large files are kept in the user's cache folder,
            until the file has another size, time or inode.

    Returns:
        64 hexadecimal digits.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    digest = hashlib.sha256()
    for name in sorted({*filter(_is_setting, names), *filter(_is_weights, names)}):
        digest.update(f"{name}\0{kept_digest(folder / name)}\0".encode())
    return digest.hexdigest()


def check_tokenizer_files(folder: Path) -> None:
    """Looks whether a tokenizer is there, in place of which transformers would make one without words.

    Args:
        folder: the model.

    Raises:
        ModelLoadError: there is none.
    """
    names = {path.name for path in folder.iterdir()}
    if not any(names.issuperset(vocabulary) for vocabulary in _VOCABULARIES):
        raise ModelLoadError(f"{folder} holds no tokenizer: tokenizer.json is missing")


def _is_setting(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in _SETTINGS)


def _is_weights(name: str) -> bool:
    """Whether a file may be one of those that weights are loaded from; a config can name any safetensors file."""
    if name.endswith((".safetensors", ".safetensors.index.json")):
        return not name.startswith("self_test.")
    return name.startswith(("pytorch_model", "adapter_model", "adapter_config"))


def _cached(name: str, revision: str | None) -> ModelFiles | None:
    """What the Hub's cache holds of a model, whole or not; None for nothing."""
    config = try_to_load_from_cache(name, CONFIG_FILE, revision=revision)
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    return ModelFiles(name, folder.name, folder)


def _is_whole(folder: Path, also: Collection[str] = ()) -> bool:
    """Whether a cached snapshot holds weights, a tokenizer, a processor and further files."""
    names = {path.name for path in folder.iterdir()}
    try:
        check_weight_files(folder)
        check_tokenizer_files(folder)
    except (ModelLoadError, OSError):
        return False
    return names.issuperset(also) and any(fnmatch(name, _PROCESSOR_FILES) for name in names)


def _is_answer(error: Exception) -> bool:
    """Whether an error is the Hub's own word on the model, rather than that it cannot be asked now."""
    if not isinstance(error, HfHubHTTPError):
        return False
    status = error.response.status_code
    return status < _FIRST_FAULT_OF_SERVER and status != _TOO_MANY_REQUESTS
