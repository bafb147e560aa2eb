"""The functions of a server that programs and assistants call: each is an endpoint of the HTTP API and an MCP tool.

Their descriptions and annotations are what an assistant is told of them.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

from video_colbert.app.answers.search_answer import hit_json
from video_colbert.app.read_query import read_query
from video_colbert.app.service import SearchService
from video_colbert.errors import VideoColBERTError

_Result = TypeVar("_Result")


class SearchTools:
    """The functions over a service.

    Args:
        service: what answers.
    """

    def __init__(self, service: SearchService) -> None:
        self._service = service

    def of_everybody(self) -> tuple[Callable[..., Any], ...]:
        """The functions for programs, assistants and the page."""
        return (self.search, self.similar, self.moments, self.videos, self.info)

    def of_the_page(self) -> tuple[Callable[..., Any], ...]:
        """The functions for people at the page, as far as the service allows them."""
        allowed = ((self.add_folder, self._service.may_add), (self.reveal, self._service.may_reveal))
        return tuple(function for function, is_allowed in allowed if is_allowed)

    async def search(
        self,
        text: str = "",
        index: str = "",
        where: str = "",
        sources: list[str] | None = None,
        top_k: int = 10,
        image: str = "",
        clip: dict[str, Any] | None = None,
        clip_file: str = "",
        text_weight: float = 0.5,
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Finds the videos that fit a text, a picture or a clip best, and when in them each word is seen.

        Args:
            text: what to look for, in words, such as "a dog catches a ball".
            index: name of the index, as `info` gives it; empty for the first.
            where: a condition that hits must satisfy, such as "year >= 2020 and duration < 60"; empty for none.
            sources: what is asked, such as "video" for pictures and "speech"; none for all that the index holds.
            top_k: hits, at most 200.
            image: a picture to look for, in place of words or with them: a JPEG, PNG or WebP file in base64.
            clip: a moment to look for, in place of words or with them: `{"video": id, "start": 1.5, "end": 4.0}`.
            clip_file: a clip to look for, in place of words or with them: a video file in base64, at most some 15 MB.
            text_weight: the share of the words in the score where a picture or clip is given too, from 0 to 1.
            request: of the caller, by Gradio.

        Returns:
            The hits, best first: each with its video's id, name and folder, the score, the ranges in seconds that
            match, and the moment of each word.
        """
        asked = await _told(
            lambda: asyncio.to_thread(
                read_query,
                text=text,
                index=index,
                where=where,
                sources=sources,
                top_k=top_k,
                image=image,
                clip=clip,
                clip_file=clip_file,
                text_weight=text_weight,
            )
        )
        answer = await self._in_turn(request, lambda: self._service.search(asked))
        return answer.as_json()

    async def similar(
        self,
        video: str,
        start: float | None = None,
        end: float | None = None,
        index: str = "",
        where: str = "",
        top_k: int = 10,
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Finds the videos that look most like a video, or like a moment of it.

        Args:
            video: id of the video, as `search` gives it.
            start: where the moment starts, in seconds; none for the beginning of the video.
            end: where it ends, in seconds; none for the end of the video.
            index: name of the index; empty for the first.
            where: a condition that hits must satisfy; empty for none.
            top_k: hits, at most 200.
            request: of the caller, by Gradio.

        Returns:
            The hits, best first, as of `search`; the video itself is none.
        """
        answer = await self._in_turn(
            request, lambda: self._service.similar(index, video, start, end, top_k=top_k, where=where)
        )
        return answer.as_json()

    async def moments(
        self, video: str, text: str, index: str = "", request: gr.Request | None = None
    ) -> list[dict[str, Any]]:
        """Finds when in one video a text matches.

        Args:
            video: id of the video, as `search` gives it.
            text: what to look for, in words.
            index: name of the index; empty for the first.
            request: of the caller, by Gradio.

        Returns:
            The windows of the video, best first, each with its ranges and moments in seconds.
        """
        windows = await self._in_turn(request, lambda: self._service.moments(index, video, text))
        return [hit_json(window) for window in windows]

    async def videos(
        self, index: str = "", where: str = "", top_k: int = 10, request: gr.Request | None = None
    ) -> dict[str, Any]:
        """Lists the videos of an index, the newest first, where nothing is looked for.

        Args:
            index: name of the index, as `info` gives it; empty for the first.
            where: a condition that they must satisfy, such as "year >= 2020 and duration < 60"; empty for none.
            top_k: videos, at most 200.
            request: of the caller, by Gradio.

        Returns:
            In `total` how many there are, and in `videos` the newest of them: each with its id, name, folder and
            duration.
        """
        listed = await self._in_turn(request, lambda: self._service.videos(index, top_k=top_k, where=where))
        return listed.as_json()

    async def info(self) -> dict[str, Any]:
        """Says which indexes there are and what each holds.

        Returns:
            In `indexes` for each index its name, number of videos, what can be asked and filtered by, files that
            could not be read or are gone, and how far it is with what is being added. Beside them, whether folders
            may be added.
        """
        states = await _told(lambda: asyncio.to_thread(self._service.info))
        return {
            "indexes": [state.as_json() for state in states],
            "may_add": self._service.may_add,
            "may_reveal": self._service.may_reveal,
        }

    async def add_folder(self, folder: str, index: str = "") -> dict[str, Any]:
        """Starts to add the videos of a folder to an index; `info` says how far it is.

        Args:
            folder: whole path of the folder on the server's machine.
            index: name of the index; empty for the first.

        Returns:
            The folder.
        """
        await _told(lambda: asyncio.to_thread(self._service.add_folder, index, folder))
        return {"folder": folder}

    async def reveal(self, video: str, index: str = "") -> dict[str, Any]:
        """Shows the file of a video in its folder, on the screen of the server's machine.

        Args:
            video: id of the video, as `search` gives it.
            index: name of the index; empty for the first.

        Returns:
            The video.
        """
        await _told(lambda: asyncio.to_thread(self._service.reveal, index, video))
        return {"video": video}

    async def _in_turn(self, request: gr.Request | None, work: Callable[[], _Result]) -> _Result:
        result: _Result = await _told(lambda: asyncio.wrap_future(self._service.in_turn(_client(request), work)))
        return result


async def _told(ask: Callable[[], Any]) -> Any:
    """What is asked for; an error of the caller as one that callers are told of."""
    try:
        return await ask()
    # Values of another type than a function says come as they were sent.
    except (VideoColBERTError, ValueError, TypeError) as error:
        raise gr.Error(str(error), print_exception=False) from error


def _client(request: gr.Request | None) -> str:
    """Whose turn a request takes: a machine's; on the server's own machine, a session's, as of a browser's tab."""
    host = getattr(getattr(request, "client", None), "host", None) or ""
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = False
    return f"{host} {getattr(request, 'session_hash', None) or ''}" if is_here else host
