"""Work on an index that goes on beside its searches: files that are brought into it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from video_colbert.app.index_state import Progress
from video_colbert.errors import BusyError, VideoColBERTError
from video_colbert.index.ingest.report import IndexingReport
from video_colbert.progress import followed_by

_NOTICES_KEPT = 5

IndexWork = Callable[[], IndexingReport]
"""Brings files into an index and says what became of them."""


class BackgroundWork:
    """The work on one index: a piece at a time, in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._notices: list[str] = []
        self._bad: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    @property
    def progress(self) -> Progress | None:
        """How far the work is; None where there is none."""
        return self._progress

    @property
    def notices(self) -> Sequence[str]:
        """What the last pieces said when they ended, or why they failed, the latest last."""
        return tuple(self._notices)

    @property
    def bad(self) -> Sequence[tuple[str, str]]:
        """Files that could not be read, with the reason."""
        return tuple(self._bad.items())

    def start(self, name: str, work: IndexWork) -> None:
        """Starts a piece of work.

        Args:
            name: what is done, in words.
            work: does it.

        Raises:
            BusyError: an earlier piece is not done yet, or the work was stopped.
        """
        with self._lock:
            if self._is_stopped:
                raise BusyError("the server is closing and takes no more work")
            if self._progress is not None:
                raise BusyError("files are being added to this index already; wait until they are in")
            self._progress = Progress(text=name)
            self._thread = threading.Thread(target=self._run, args=(name, work), name=name, daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until the work is done.

        Args:
            seconds: how long to wait at most; None for ever.

        Returns:
            Whether it is done.
        """
        if self._thread is not None:
            self._thread.join(seconds)
        return self._progress is None

    def stop(self, seconds: float) -> None:
        """Ends the work at its next step, which keeps what is done.

        Args:
            seconds: how long to wait for that, at most.
        """
        with self._lock:
            self._is_stopped = True
        self.wait(seconds)

    def _run(self, name: str, work: IndexWork) -> None:
        try:
            with followed_by(self._follow):
                report = work()
        except _StoppedError:
            self._note(f"{name} was stopped; what was done is kept")
        except (VideoColBERTError, OSError, ValueError) as error:
            self._note(f"{name}: {error}")
        except BaseException as error:
            self._note(f"{name} failed: {type(error).__name__}")
            raise
        else:
            self._bad = {path: reason for path, reason in self._bad.items() if path not in report.added}
            self._bad.update((video.source, video.reason) for video in report.bad)
            self._note(f"{name}: {report}".split("\n")[0])
        finally:
            self._progress = None

    def _follow(self, done: float, total: int, text: str) -> None:
        self._progress = Progress(done, total, text)
        if self._is_stopped:
            raise _StoppedError

    def _note(self, text: str) -> None:
        self._notices = [*self._notices, text][-_NOTICES_KEPT:]


class _StoppedError(Exception):
    """The work is to end."""
