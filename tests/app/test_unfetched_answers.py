"""What a caller begins and never fetches: kept for a while, some of it, and then let go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("gradio", reason="needs the extra [app]")

import httpx

from tests.app.conftest import Served
from tests.app.running_server import call, running_server
from video_colbert.app.access import Access
from video_colbert.app.unfetched_answers import UnfetchedAnswers

SECONDS, MOST = 2.0, 3


@pytest.fixture(scope="module")
def watched(served: Served) -> Iterator[tuple[httpx.Client, Any, UnfetchedAnswers]]:
    """A client of a server that keeps three answers for two seconds, Gradio's queue, and what is kept."""
    made: list[tuple[Any, UnfetchedAnswers]] = []

    def short(queue: Any) -> UnfetchedAnswers:
        made.append((queue, UnfetchedAnswers(queue, seconds=SECONDS, most_of_one_caller=MOST)))
        return made[-1][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("video_colbert.app.server.UnfetchedAnswers", short)
        with (
            running_server(served.service, Access()) as address,
            httpx.Client(base_url=address, timeout=60.0) as client,
        ):
            yield client, *made[0]


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def begin(client: httpx.Client, text: str) -> str:
    return str(client.post("/gradio_api/call/v2/search", json={"text": text}).json()["event_id"])


def held_by(queue: Any) -> int:
    return len(queue.pending_messages_per_session) + len(queue.pending_event_ids_session)


def test_only_the_newest_answers_wait_and_only_for_a_while(
    watched: tuple[httpx.Client, Any, UnfetchedAnswers],
) -> None:
    client, queue, unfetched = watched
    calls = []
    for number in range(MOST + 2):
        calls.append(begin(client, f"a dog {number}"))
        wait_until(lambda: not queue.event_ids_to_events)
    assert len(unfetched) == MOST
    gone = client.get(f"/gradio_api/call/search/{calls[0]}").text
    assert gone.startswith("event: error\ndata: ")
    assert "ask again" in gone
    newest = client.get(f"/gradio_api/call/search/{calls[-1]}").text
    assert "event: complete" in newest
    assert f'"query": "a dog {MOST + 1}"' in newest
    assert len(unfetched) == MOST - 1
    wait_until(lambda: len(unfetched) == 0, SECONDS + 10.0)
    assert "event: error" in client.get(f"/gradio_api/call/search/{calls[-2]}").text


def test_nothing_is_kept_of_calls_whose_answers_were_fetched(
    watched: tuple[httpx.Client, Any, UnfetchedAnswers],
) -> None:
    client, queue, unfetched = watched
    wait_until(lambda: held_by(queue) == 0, SECONDS + 10.0)
    for number in range(2 * MOST):
        assert "event: complete" in call(client, "search", text=f"a cat {number}").text
    assert len(unfetched) == 0
    assert held_by(queue) > 0
    wait_until(lambda: held_by(queue) == 0, SECONDS + 10.0)


def test_of_a_session_with_several_calls_the_newest_stay(watched: tuple[httpx.Client, Any, UnfetchedAnswers]) -> None:
    client, queue, unfetched = watched
    wait_until(lambda: held_by(queue) == 0, SECONDS + 10.0)
    calls = []
    for _ in range(MOST + 1):
        begun = client.post("/gradio_api/call/info", json={"data": [], "session_hash": "one"})
        calls.append(begun.json()["event_id"])
        wait_until(lambda: not queue.event_ids_to_events)
    assert queue.pending_event_ids_session["one"] == set(calls[1:])
    told = client.get(f"/gradio_api/call/info/{calls[1]}").text
    assert told.count("event: complete") == MOST
    assert len(unfetched) == 0
