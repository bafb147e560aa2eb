"""What a video may be given as, and how its bytes are reached."""

import errno
import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, TypeAlias, TypeGuard, cast

import numpy as np
import torch
from huggingface_hub import hf_hub_download

from .video_downloads import DownloadError, download

VideoSource: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | Mapping[str, Any] | np.ndarray | torch.Tensor
FrameImages: TypeAlias = list[str] | list[Path] | tuple[str | os.PathLike[str], ...]
"""The images that are the frames of a video: paths or URLs, in order."""
ChannelOrder: TypeAlias = Literal["channels_first", "channels_last"]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

# A download up to this size stays in memory; a larger one goes through a temporary file.
_MEMORY_BYTES = 64 * 2**20
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


# What the system says of a disk, of rights or of its own state, rather than of what a file holds.
_PASSING_ERRORS = frozenset(
    getattr(errno, name)
    for name in (
        *("EACCES", "EAGAIN", "EBUSY", "EDQUOT", "EIO", "EINTR", "EMFILE", "ENFILE", "ENODEV", "ENOENT", "ENOMEM"),
        *("ENOSPC", "ENOTCONN", "ENOTDIR", "ENXIO", "EPERM", "EROFS", "ESTALE", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
)


class VideoDecoder(Protocol):
    """What is used of torchcodec's `VideoDecoder`, such as `datasets.Video()` gives."""

    metadata: Any

    def __len__(self) -> int:
        """Counts the frames."""

    def get_frames_at(self, indices: list[int]) -> Any:
        """Decodes the frames of these numbers."""


def is_decoder(source: object) -> TypeGuard[VideoDecoder]:
    """Whether a source is a decoder of torchcodec's, or one of its form."""
    return hasattr(source, "get_frames_at") and hasattr(source, "metadata")


def encoded_row(decoder: Any) -> dict[str, Any] | None:
    """Finds what a decoder of `datasets.Video()` was made of, which decodes here as any file does.

    Args:
        decoder: As `is_decoder` knows one.

    Returns:
        A row `{"path": ..., "bytes": ...}`; None of a decoder that was made by hand.
    """
    row = getattr(decoder, "_hf_encoded", None)
    if not isinstance(row, Mapping):
        return None
    path = row.get("path")
    # While a data set is streamed, a path may lead into archives, which the decoder alone can follow.
    is_plain = isinstance(path, str) and "::" not in path
    return dict(row) if row.get("bytes") is not None or is_plain else None


class VideoDecodingError(Exception):
    """A video cannot be decoded.

    Args:
        source: The video: its path or URL, or a description of what was given instead.
        reason: What is wrong with it. Empty only where the error was rebuilt from its message alone, as a data
            loader does with an error from its worker.
    """

    def __init__(self, source: str, reason: str = "") -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}" if self.reason else self.source


class PassingVideoError(VideoDecodingError):
    """A video cannot be decoded for a reason that is not of its bytes.

    Another time, or with other settings, the same bytes may decode.
    """


def may_pass(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, is of the system or its settings rather than of a file's bytes.

    Args:
        error: The error; `None` is none.
    """
    while error is not None:
        if isinstance(error, PassingVideoError | MemoryError | ImportError):
            return True
        if isinstance(error, OSError) and error.errno in _PASSING_ERRORS:
            return True
        error = error.__cause__
    return False


def source_name(source: VideoSource) -> str:
    """Says in one line what `source` is, for messages.

    Args:
        source: A video in any form that `decode_video` takes.

    Returns:
        The path or URL; for what has none, its type and size.
    """
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, Mapping):
        path, data = source.get("path"), source.get("bytes")
        return str(path) if path is not None else source_name(data) if data is not None else "<no video>"
    if isinstance(source, bytes):
        return f"<{len(source)} bytes>"
    if isinstance(source, np.ndarray | torch.Tensor):
        return f"<array of shape {tuple(source.shape)}>"
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else f"<{type(source).__name__}>"


@contextmanager
def open_source(source: VideoSource) -> Iterator[str | BinaryIO]:
    """Makes a video file's bytes reachable for as long as the context lasts.

    Args:
        source: A path, an `http(s)://` or `hf://` URL, bytes, a seekable binary file, or a row
            `{"path": ..., "bytes": ...}` of a data set.

    Yields:
        A local path, or a seekable binary file.

    Raises:
        VideoDecodingError: There is nothing to read there.
        TypeError: `source` is of none of these types.
    """
    name = source_name(source)
    if isinstance(source, Mapping):
        content = source.get("bytes") if source.get("bytes") is not None else source.get("path")
        if content is None:
            raise VideoDecodingError(name, "the row holds neither a path nor bytes")
        source = content
    if isinstance(source, bytes):
        if not source:
            raise VideoDecodingError(name, "is empty (0 bytes)")
        yield io.BytesIO(source)
    elif isinstance(source, str) and source.startswith(("http://", "https://")):
        with tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES) as file:
            try:
                download(source, cast(BinaryIO, file))
            except DownloadError as error:
                raise PassingVideoError(name, str(error)) from error
            yield cast(BinaryIO, file)
    elif isinstance(source, str) and source.startswith("hf://"):
        yield _hub_file(source)
    elif isinstance(source, str | os.PathLike):
        path = _local_file(source, name)
        if _is_unicode(path):
            yield path
        else:
            # FFmpeg takes names in UTF-8 alone.
            with Path(path).open("rb") as opened:
                yield opened
    elif hasattr(source, "read") and hasattr(source, "seek"):
        yield cast(BinaryIO, source)
    else:
        raise TypeError(
            f"a video is given as a path, a URL, bytes, a binary file, a folder of images, an array or a "
            f"tensor, not as {type(source).__name__}"
        )


def is_folder(source: str | os.PathLike[str]) -> bool:
    """Whether a source is a folder; a name that no file can have is none."""
    try:
        return Path(source).is_dir()
    except (OSError, ValueError):
        return False


def _is_unicode(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _local_file(path: str | os.PathLike[str], name: str) -> str:
    try:
        if not Path(path).is_file():
            scheme = _SCHEME.match(name)
            if scheme:
                raise PassingVideoError(name, f"addresses that begin with {scheme[0]} are not read")
            raise PassingVideoError(name, "there is no such file")
        if Path(path).stat().st_size == 0:
            raise VideoDecodingError(name, "is empty (0 bytes)")
    # A name with a null character is a ValueError.
    except (OSError, ValueError) as error:
        raise VideoDecodingError(name, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return os.fspath(path)


def frame_images(folder: Path) -> list[Path]:
    """Lists the images of a folder of frames, in the order of the numbers in their names; hidden files are none.

    Args:
        folder: A folder whose images are the frames of one video.

    Returns:
        Image paths: `frame2.jpg` before `frame10.jpg`.

    Raises:
        VideoDecodingError: The folder holds no image, or cannot be read.
    """
    try:
        images = [
            path
            for path in folder.iterdir()
            # macOS leaves files such as ._frame1.jpg beside what it copies.
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
        ]
    except OSError as error:
        raise VideoDecodingError(str(folder), f"the folder cannot be read: {error.strerror}") from error
    if not images:
        raise VideoDecodingError(
            str(folder), f"the folder holds no frame images ({', '.join(sorted(IMAGE_SUFFIXES))})"
        )
    return sorted(images, key=_natural_key)


def channels_last_array(video: np.ndarray | torch.Tensor, input_data_format: ChannelOrder | None) -> np.ndarray:
    """Checks an array of frames and brings it to `[T, H, W, C]`.

    Args:
        video: uint8, `[T, H, W, 3]` or `[T, 3, H, W]`.
        input_data_format: Which of the two; needed only where the shape leaves it open.

    Returns:
        A view or copy, uint8, `[T, H, W, 3]`.

    Raises:
        ValueError: The type or the shape is not one of these, or the shape fits both.
        VideoDecodingError: There are no frames.
    """
    array = video.detach().cpu().numpy() if isinstance(video, torch.Tensor) else video
    shape = tuple(array.shape)
    if array.dtype != np.uint8:
        raise ValueError(f"an array of frames is uint8, 0 to 255, but this one is {array.dtype}")
    if array.ndim != 4:
        raise ValueError(f"an array of frames has shape [T, H, W, 3] or [T, 3, H, W], but this one has {shape}")
    fits: list[ChannelOrder] = []
    if shape[3] == 3:
        fits.append("channels_last")
    if shape[1] == 3:
        fits.append("channels_first")
    if input_data_format is None and len(fits) == 2:
        raise ValueError(
            f"an array of shape {shape} may be [T, H, W, 3] or [T, 3, H, W]: "
            "pass input_data_format='channels_last' or 'channels_first'"
        )
    order = input_data_format or (fits[0] if fits else None)
    if order not in fits:
        raise ValueError(f"an array of shape {shape} is not [T, H, W, 3] or [T, 3, H, W] ({order=!s})")
    if 0 in shape:
        raise VideoDecodingError(source_name(video), "holds no frames")
    return array if order == "channels_last" else array.transpose(0, 2, 3, 1)


def _natural_key(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), part) if part.isdecimal() else (-1, part.lower()) for part in parts]


def _hub_file(url: str) -> str:
    """Downloads a file of a Hub repository into the Hub's own cache."""
    try:
        # Typed loosely: what resolves a bucket's path has no repo_id, and hf_hub_download could not use it.
        # Its import brings fsspec, which a search has no use for.
        from huggingface_hub import HfFileSystem

        resolved: Any = HfFileSystem().resolve_path(url)
        return str(
            hf_hub_download(
                resolved.repo_id,
                resolved.path_in_repo,
                repo_type=resolved.repo_type,
                revision=resolved.revision,
            )
        )
    # The Hub's errors share no base class: OSError, ValueError and httpx errors among them.
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise PassingVideoError(url, f"cannot be downloaded: {reason}") from error
