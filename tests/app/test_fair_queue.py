"""The queue before the model: nothing is lost, nobody waits for another's many, and what is too much is refused."""

from __future__ import annotations

import threading

import pytest

from video_colbert.app.fair_queue import FairQueue
from video_colbert.errors import BusyError


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


def held(queue: FairQueue, gate: threading.Event) -> None:
    """Keeps the only thread at work until the gate opens."""
    has_begun = threading.Event()

    def wait() -> None:
        has_begun.set()
        gate.wait(10.0)

    queue.submit("holder", wait)
    assert has_begun.wait(10.0)


def test_each_client_in_turn_gets_one_piece_done(gate: threading.Event) -> None:
    queue, done = FairQueue(), []
    held(queue, gate)
    futures = [queue.submit("many", lambda n=n: done.append(f"many {n}")) for n in range(50)]
    futures += [queue.submit(client, lambda client=client: done.append(client)) for client in ("few", "one", "few")]
    gate.set()
    for future in futures:
        future.result(10.0)
    assert done[:6] == ["many 0", "few", "one", "many 1", "few", "many 2"]
    assert done[6:] == [f"many {n}" for n in range(3, 50)]
    queue.close()


def test_a_hundred_threads_at_once_lose_nothing() -> None:
    queue, answers = FairQueue(threads=2), {}

    def ask(number: int) -> None:
        answers[number] = queue.submit(f"client {number % 7}", lambda: number * number).result(10.0)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: number * number for number in range(100)}
    queue.close()


def test_what_is_too_much_is_refused(gate: threading.Event) -> None:
    queue = FairQueue(most_waiting=3, most_of_one_client=2)
    held(queue, gate)
    futures = [queue.submit("a", lambda: 1), queue.submit("a", lambda: 2)]
    with pytest.raises(BusyError, match="2 queries are waiting"):
        queue.submit("a", lambda: 3)
    futures.append(queue.submit("b", lambda: 4))
    with pytest.raises(BusyError, match="3 queries are waiting"):
        queue.submit("c", lambda: 5)
    gate.set()
    assert [future.result(10.0) for future in futures] == [1, 2, 4]
    queue.close()


def test_an_error_is_the_asker_s_and_the_queue_goes_on() -> None:
    queue = FairQueue()
    with pytest.raises(ZeroDivisionError):
        queue.submit("a", lambda: 1 // 0).result(10.0)
    assert queue.submit("a", lambda: 1).result(10.0) == 1
    queue.close()


def test_what_nobody_waits_for_is_passed_over(gate: threading.Event) -> None:
    queue, done = FairQueue(), []
    held(queue, gate)
    left = queue.submit("a", lambda: done.append("left"))
    assert left.cancel()
    last = queue.submit("a", lambda: done.append("last"))
    gate.set()
    last.result(10.0)
    assert done == ["last"]
    queue.close()


def test_closing_answers_those_who_wait(gate: threading.Event) -> None:
    queue = FairQueue()
    held(queue, gate)
    waiting = queue.submit("a", lambda: 1)
    closing = threading.Thread(target=queue.close)
    closing.start()
    with pytest.raises(BusyError, match="closing"):
        waiting.result(10.0)
    gate.set()
    closing.join()
    with pytest.raises(BusyError, match="closing"):
        queue.submit("a", lambda: 1)
