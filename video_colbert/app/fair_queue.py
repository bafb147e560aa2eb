"""Work in a queue that is fair to those who ask: each in turn gets one piece done, however many it asked for."""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from video_colbert.errors import BusyError

_Result = TypeVar("_Result")

MOST_WAITING = 1000
"""Pieces of work that wait at most, of all who ask together."""
MOST_OF_ONE_CLIENT = 250
"""Pieces of work that wait at most of one who asks."""


class FairQueue:
    """Threads that do what clients ask for, one piece of each client in turn.

    Args:
        threads: how many pieces are done beside each other.
        most_waiting: pieces that wait at most, of all clients together.
        most_of_one_client: pieces that wait at most of one client.

    Example:
        >>> queue = FairQueue()
        >>> queue.submit("a client", lambda: 6 * 7).result()
        42
        >>> queue.close()
    """

    def __init__(
        self, *, threads: int = 1, most_waiting: int = MOST_WAITING, most_of_one_client: int = MOST_OF_ONE_CLIENT
    ) -> None:
        self._most_waiting = most_waiting
        self._most_of_one_client = most_of_one_client
        self._changed = threading.Condition()
        # By client, in the order in which their turn comes; nobody stands here without work.
        self._waiting: OrderedDict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = OrderedDict()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"fair queue {number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """Pieces of work that wait."""
        with self._changed:
            return self._count()

    def submit(self, client: str, work: Callable[[], _Result]) -> Future[_Result]:
        """Takes on a piece of work.

        Args:
            client: who asks for it.
            work: what is to be done; its result or error is the future's.

        Raises:
            BusyError: as much is waiting as is taken on, or the queue is closed.
        """
        future: Future[_Result] = Future()
        with self._changed:
            if self._is_closed:
                raise BusyError("the server is closing and takes no more work")
            of_client = len(self._waiting.get(client, ()))
            if of_client >= self._most_of_one_client or self._count() >= self._most_waiting:
                raise BusyError(f"the server is busy: {self._count()} queries are waiting; ask again in a moment")
            self._waiting.setdefault(client, deque()).append((future, work))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Ends the threads after what they are at; what waits gets a `BusyError`."""
        with self._changed:
            self._is_closed = True
            left = [future for pieces in self._waiting.values() for future, _ in pieces]
            self._waiting.clear()
            self._changed.notify_all()
        for future in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(BusyError("the server is closing and takes no more work"))
        for thread in self._threads:
            thread.join()

    def _count(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _next(self) -> tuple[Future[Any], Callable[[], Any]]:
        """The first piece of the client whose turn it is, which goes to the end of the row.

        Raises:
            queue.Empty: the queue is closed.
        """
        with self._changed:
            while not self._waiting:
                if self._is_closed:
                    raise queue.Empty
                self._changed.wait()
            client, pieces = self._waiting.popitem(last=False)
            piece = pieces.popleft()
            if pieces:
                self._waiting[client] = pieces
            return piece

    def _work(self) -> None:
        while True:
            try:
                future, work = self._next()
            except queue.Empty:
                return
            # One that nobody waits for any more is passed over.
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
            # Else the last result stays in memory until the next piece comes.
            del future, work
