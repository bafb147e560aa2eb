"""A folder in qdrant-client's local mode: opened by one process at a time, and checked before the client reads it.

The client stores each point pickled and unpickles whatever it finds, which would run the code of a folder from
elsewhere. So every point is read here first, by an unpickler that knows nothing but plain values and the client's
point; a folder that holds anything else is refused.
"""

from __future__ import annotations

import io
import pickle
import sqlite3
import threading
import weakref
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from qdrant_client import QdrantClient, models

from video_colbert.errors import IndexStoreError

_LOCK_FILE = ".video_colbert.lock"
# How the client says that another process holds its own lock.
_CLIENTS_LOCK = "already accessed by another instance"

_open_folders: weakref.WeakValueDictionary[Path, LocalFolder] = weakref.WeakValueDictionary()
_registry_lock = threading.Lock()


class LocalFolder:
    """A folder that this process has opened; closed once nothing refers to it any more.

    Attributes:
        client: of the folder.
        lock: held during each operation, since the client's local mode is made for one thread.
    """

    def __init__(self, path: Path) -> None:
        self.lock = threading.RLock()
        held = FileLock(path / _LOCK_FILE, timeout=0, thread_local=False)
        try:
            path.mkdir(parents=True, exist_ok=True)
            held.acquire()
            _check_points(path)
            self.client = QdrantClient(path=str(path), force_disable_check_same_thread=True)
        except BaseException as error:
            held.release()
            if isinstance(error, Timeout) or (isinstance(error, RuntimeError) and _CLIENTS_LOCK in str(error)):
                raise IndexStoreError(
                    f"the Qdrant folder {path} is in use by another process; wait until that has closed it, or run a "
                    "Qdrant server, which takes any number"
                ) from error
            if isinstance(error, OSError):
                raise IndexStoreError(f"the Qdrant folder {path} cannot be opened ({error})") from error
            if isinstance(error, ValueError | LookupError | TypeError | AttributeError | sqlite3.Error):
                raise IndexStoreError(f"the Qdrant folder {path} is damaged ({error})") from error
            raise
        weakref.finalize(self, _close, self.client, held)


def open_folder(path: Path) -> LocalFolder:
    """The open folder, the same one for all of this process who ask for it.

    Args:
        path: the folder; made where there is none.

    Raises:
        IndexStoreError: another process has opened it, it cannot be written, or it is damaged or holds something
            else than points.
    """
    place = path.resolve()
    with _registry_lock:
        folder = _open_folders.get(place)
        if folder is None:
            folder = _open_folders[place] = LocalFolder(place)
        return folder


def holds_collections(path: Path) -> bool:
    """Whether a folder was ever opened in local mode; it is neither made nor opened for this."""
    return (path / "meta.json").exists()


class _PointUnpickler(pickle.Unpickler):
    """An unpickler that makes plain values and points, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) != (models.PointStruct.__module__, models.PointStruct.__qualname__):
            raise pickle.UnpicklingError(f"{module}.{name}")
        return models.PointStruct


def _check_points(path: Path) -> None:
    for file in sorted(path.glob("collection/*/storage.sqlite")):
        connection = sqlite3.connect(file)
        try:
            for (point,) in connection.execute("SELECT point FROM points"):
                _PointUnpickler(io.BytesIO(point)).load()
        except pickle.UnpicklingError as error:
            raise IndexStoreError(
                f"{file} holds something else than points ({error}), so it is not opened: reading it could run code"
            ) from error
        except EOFError as error:
            raise IndexStoreError(f"{file} is damaged ({error})") from error
        finally:
            connection.close()


def _close(client: QdrantClient, held: FileLock) -> None:
    client.close()
    held.release()
