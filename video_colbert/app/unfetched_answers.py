"""Answers that a caller of the API has begun and never fetches: Gradio would keep them as long as the server runs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import MutableMapping
from typing import Any

from gradio.server_messages import ProcessCompletedMessage

from video_colbert.app.guard import Application, Receive, Send

SECONDS_KEPT = 300.0
"""How long an answer waits to be fetched."""
MOST_OF_ONE_CALLER = 250
"""Answers that wait to be fetched by one machine, at most; of more, the oldest go."""

_FETCHES = re.compile(r"/gradio_api/call/\w+/(?P<call>\w+)")
_GONE = "There is no such answer, or it was fetched already, or nobody fetched it for some minutes; ask again."


class UnfetchedAnswers:
    """Lets go of what was answered and not fetched, and of what Gradio notes of calls that have ended.

    A call is begun by one request, which gives it an id, and its answer is fetched by another. Gradio's queue holds
    the answer until then, and the id until the process ends.

    Args:
        queue: the `Queue` of a Gradio application, whose sending is followed from now on.
        seconds: how long an answer is kept.
        most_of_one_caller: answers that are kept for one machine.
    """

    def __init__(
        self, queue: Any, *, seconds: float = SECONDS_KEPT, most_of_one_caller: int = MOST_OF_ONE_CALLER
    ) -> None:
        self._queue = queue
        self._seconds = seconds
        self._most_of_one_caller = most_of_one_caller
        # By caller, the session of each call that was answered, by its id, the oldest first.
        self._answered: dict[str, dict[str, str]] = {}
        self._send = queue.send_message
        queue.send_message = self._send_and_note

    def in_front_of(self, application: Application) -> Application:
        """An application that says so where an answer is fetched that is not there; Gradio's own breaks off.

        Args:
            application: what answers all else.
        """

        async def answer(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            asked = _FETCHES.fullmatch(scope["path"]) if scope.get("method") == "GET" else None
            if asked is None or self._is_held(asked["call"]):
                await application(scope, receive, send)
                return
            body = f"event: error\ndata: {json.dumps({'error': _GONE})}\n\n".encode()
            headers = [(b"content-type", b"text/event-stream"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return answer

    def __len__(self) -> int:
        """Answers that wait to be fetched."""
        return sum(self._waits(call, session) for calls in self._answered.values() for call, session in calls.items())

    def _send_and_note(self, event: Any, message: Any) -> None:
        self._send(event, message)
        if not isinstance(message, ProcessCompletedMessage):
            return
        if not event.alive:
            # Who asked has gone.
            self._let_go(event._id, event.session_hash)
            return
        caller = getattr(getattr(event.request, "client", None), "host", None) or ""
        calls = self._answered.setdefault(caller, {})
        calls[event._id] = event.session_hash
        if len(calls) > self._most_of_one_caller:
            self._make_room(calls)
        asyncio.get_running_loop().call_later(self._seconds, self._time_is_up, caller, event._id)

    def _make_room(self, calls: dict[str, str]) -> None:
        for call, session in list(calls.items()):
            if not self._waits(call, session):
                self._let_go(call, calls.pop(call))
        while len(calls) > self._most_of_one_caller:
            oldest = next(iter(calls))
            self._let_go(oldest, calls.pop(oldest))

    def _time_is_up(self, caller: str, call: str) -> None:
        calls = self._answered.get(caller, {})
        if call in calls:
            self._let_go(call, calls.pop(call))
        if not calls:
            self._answered.pop(caller, None)

    def _is_held(self, call: str) -> bool:
        """Whether a call is being answered, or its answer waits."""
        if call in self._queue.event_ids_to_events or self._waits(call, call):
            return True
        return any(call in calls for calls in self._queue.pending_event_ids_session.values())

    def _waits(self, call: str, session: str) -> bool:
        # Gradio takes the id out when it delivers the answer.
        return call in self._queue.pending_event_ids_session.get(session, ())

    def _let_go(self, call: str, session: str) -> None:
        """Drops the messages of a call, and its session once there is no other call in it."""
        of_session = self._queue.pending_event_ids_session.get(session, set())
        messages = self._queue.pending_messages_per_session.get(session)
        if call in of_session and messages is not None:
            kept = [messages.get_nowait() for _ in range(messages.qsize())]
            for message in kept:
                if message.event_id != call:
                    messages.put_nowait(message)
        of_session.discard(call)
        if not of_session:
            self._queue.pending_event_ids_session.pop(session, None)
            self._queue.pending_messages_per_session.pop(session, None)
