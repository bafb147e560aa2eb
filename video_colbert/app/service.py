"""What a server over indexes can do, without any web: searches, moments, what the indexes are, and their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from video_colbert.app.answers.answering import answer_query
from video_colbert.app.answers.search_answer import SearchAnswer
from video_colbert.app.answers.video_list import VideoList, list_newest
from video_colbert.app.background import IndexWork
from video_colbert.app.fair_queue import FairQueue
from video_colbert.app.index_state import IndexState
from video_colbert.app.media.made_files import MadeFiles
from video_colbert.app.media.stored_files import StoredFile, find_stored_file, find_stored_video
from video_colbert.app.reveal import can_reveal, reveal_file
from video_colbert.app.served_index import LoadEncoder, ServedIndex
from video_colbert.app.service_query import (
    MOST_HITS,
    ServiceQuery,
    StoredMoment,
    check_condition,
    check_number,
    check_text,
)
from video_colbert.dataset_builders.video_files import user_path
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.hits import SearchHit
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import NotServedError, QueryError
from video_colbert.index.filters import Membership
from video_colbert.index.passages.source_search import VIDEO
from video_colbert.index.video_index import VideoIndex

_Result = TypeVar("_Result")

# How long what is being added may take to write what is done of it.
_SECONDS_TO_STOP = 10.0


class SearchService:
    """Searches of several indexes, by name, with each model loaded once.

    An index is read as its latest commit left it: what another process adds is found by the next search.

    Args:
        indexes: location (folder or address) of each index, by the name that it is asked by; at least one.
        load_encoder: loads the encoder of an index's model, once for all indexes of one model; by default
            `VideoColBERTEncoder.from_pretrained`.
        device: torch device for models; by default the best there is.
        may_add: whether folders may be added while it runs.
        may_reveal: whether files may be shown in their folders on this machine's screen, where it has one.

    Attributes:
        may_add: as given.
        may_reveal: whether files can be shown in their folders.
        made_files: pictures, excerpts and cuts of what `media` finds.

    Raises:
        IndexStoreError: there is no index at a location, or it cannot be read or reached.
        ModelLoadError: a model cannot be loaded.
        QueryError: there is no index at all.

    Example:
        >>> from video_colbert import open_index
        >>> report = open_index("my_index", encoder).add(["my_videos"])
        >>> service = SearchService({"mine": "my_index"}, load_encoder=lambda stored: encoder)
        >>> sorted(found.name for found in service.search(ServiceQuery("a dog")).hits)
        ['c.mp4', 'd.mp4']
        >>> service.close()
    """

    def __init__(
        self,
        indexes: Mapping[str, str],
        *,
        load_encoder: LoadEncoder | None = None,
        device: str | None = None,
        may_add: bool = False,
        may_reveal: bool = False,
    ) -> None:
        if not indexes:
            raise QueryError("a server needs an index to serve")
        self.may_add = may_add
        self.may_reveal = may_reveal and can_reveal()
        encoders: dict[ModelReference, VideoColBERTEncoder] = {}

        def load_once(stored: VideoIndex) -> VideoColBERTEncoder:
            if stored.model not in encoders:
                encoders[stored.model] = (load_encoder or _loader(device))(stored)
            return encoders[stored.model]

        self._indexes = {
            name: ServedIndex(name, location, load_once, device=device) for name, location in indexes.items()
        }
        self.made_files = MadeFiles()
        # For what is made of files, of which two are made at a time; others are there already.
        self._media_queue = FairQueue(threads=4)
        # One thread: passes of a model use all cores as it is.
        self._queue = FairQueue()

    def names(self) -> list[str]:
        """The names of the indexes; the first is asked where none is named."""
        return list(self._indexes)

    def in_turn(self, client: str, work: Callable[[], _Result]) -> Future[_Result]:
        """Has something done when the client's turn comes: one piece of work of each client after the other.

        Args:
            client: who asks.
            work: such as a call of `search`.

        Raises:
            BusyError: too much is waiting already.
        """
        return self._queue.submit(client, work)

    def media_in_turn(self, client: str, work: Callable[[], _Result]) -> Future[_Result]:
        """Has a picture, an excerpt or a cut made when the client's turn comes, beside searches.

        Args:
            client: who asks.
            work: such as a call of `made_files.picture`.

        Raises:
            BusyError: too much is waiting already.
        """
        return self._media_queue.submit(client, work)

    def search(self, query: ServiceQuery) -> SearchAnswer:
        """Finds the videos that fit best.

        Raises:
            QueryError: the query is none, or too long; or the picture or clip cannot be read.
            NotServedError: there is no index of that name.
            FilterError: the condition is not understood, or asks for a column that the index does not have.
            IndexStoreError: the index holds nothing of a source, or cannot be read or reached.
        """
        query.check()
        return answer_query(self._served(query.index), query)

    def similar(
        self,
        index: str,
        video_id: str,
        start: float | None = None,
        end: float | None = None,
        *,
        top_k: int = 10,
        where: str = "",
    ) -> SearchAnswer:
        """Finds videos that are like a stored one, or like a moment of it, by its stored tokens.

        Args:
            index: name of the index; empty for the first.
            video_id: of a hit; its file may be gone.
            start: where the moment starts, in seconds; None for the beginning of the video.
            end: where it ends; None for its end.
            top_k: hits, at most; the video itself is none.
            where: a condition that hits must satisfy; empty for none.

        Raises:
            QueryError: the moment is no stretch of the video, or a number is out of range.
            NotServedError: there is no such index, or no such video in it.
            FilterError: as `search`.
            IndexStoreError: likewise.
        """
        moment = StoredMoment(video_id, start, end)
        return self.search(ServiceQuery(index=index, moment=moment, top_k=top_k, where=where))

    def moments(self, index: str, video_id: str, text: str) -> list[SearchHit]:
        """Where in one video a text matches: its windows, best first, each with its moments and ranges.

        Args:
            index: name of the index; empty for the first.
            video_id: of a hit.
            text: what to look for.

        Raises:
            QueryError: the text is empty or too long.
            NotServedError: there is no such index, or no such video in it.
            IndexStoreError: the index cannot be read or reached.
        """
        check_text(text)
        if not text.strip():
            raise QueryError("nothing is asked; say what to look for")
        served = self._served(index)
        video = find_stored_video(served.index.stored, video_id)
        encoded = served.encode(text, (VIDEO,))
        if encoded is None:
            return []
        [windows] = served.index.stored.search(
            encoded, top_k=MOST_HITS, where=Membership("path", (video.path,)), group_windows=False
        )
        return windows

    def videos(self, index: str = "", *, top_k: int = 10, where: str = "") -> VideoList:
        """The videos of an index, the newest first, where nothing is looked for.

        Args:
            index: name of the index; empty for the first.
            top_k: videos, at most.
            where: a condition that they must satisfy; empty for none.

        Raises:
            QueryError: a number is out of range, or the condition is too long.
            NotServedError: there is no such index.
            FilterError: the condition is not understood, or asks for a column that the index does not have.
            IndexStoreError: the index cannot be read or reached.
        """
        check_number("top_k", top_k)
        check_condition(where)
        served = self._served(index)
        return list_newest(served.name, served.index.stored, top_k, where)

    def info(self) -> list[IndexState]:
        """What each index is at the moment.

        Raises:
            IndexStoreError: one cannot be read or reached.
        """
        return [served.state() for served in self._indexes.values()]

    def add_folder(self, index: str, folder: str) -> None:
        """Starts to add the videos of a folder; `info` says how far it is.

        Args:
            index: name of the index; empty for the first.
            folder: its path on the server's machine.

        Raises:
            NotServedError: there is no such index, or nothing may be added.
            QueryError: there is no such folder.
            BusyError: files are being added already.
        """
        if not self.may_add:
            raise NotServedError("nothing may be added by this server; start it with --allow-add")
        served = self._served(index)
        if served.index.encoder is None:
            raise QueryError(f"the index {served.name} holds texts only and takes no videos")
        path = user_path(folder.strip()) if "\0" not in folder else Path()
        if not path.is_absolute() or not path.is_dir():
            raise QueryError(f"there is no folder {folder.strip()!r}; give its whole path on the server's machine")
        served.work.start(f"adding {path}", lambda: served.index.add(path))

    def run_in_background(self, index: str, name: str, work: IndexWork) -> None:
        """Starts work on an index whose progress `info` tells.

        Args:
            index: name of the index.
            name: what is done, in words.
            work: does it.

        Raises:
            NotServedError: there is no such index.
            BusyError: other work is not done yet.
        """
        self._served(index).work.start(name, work)

    def wait_for_background(self, seconds: float | None = None) -> bool:
        """Waits until what is being added is in.

        Args:
            seconds: how long to wait at most, for each index; None for ever.

        Returns:
            Whether nothing is being added any more.
        """
        return all(served.work.wait(seconds) for served in self._indexes.values())

    def media(self, index: str, video_id: str) -> StoredFile:
        """The file of a video: the only way from a request to a path.

        Args:
            index: name of the index.
            video_id: of a hit.

        Raises:
            NotServedError: there is no such index or video, or its file is not what was indexed.
            IndexStoreError: the index cannot be read or reached.
        """
        return find_stored_file(self._served(index).index.stored, video_id)

    def reveal(self, index: str, video_id: str) -> None:
        """Shows the file of a video in its folder, on the screen of this machine.

        Args:
            index: name of the index.
            video_id: of a hit.

        Raises:
            NotServedError: as `media`; or files cannot be shown, or may not.
        """
        if not self.may_reveal:
            raise NotServedError("this server shows no files in their folders; copy the path instead")
        reveal_file(self.media(index, video_id).path)

    def close(self) -> None:
        """Ends the queue and what is being added, of which what is done is kept, and lets go of the indexes."""
        self._queue.close()
        self._media_queue.close()
        self.made_files.close()
        for served in self._indexes.values():
            served.work.stop(_SECONDS_TO_STOP)
        for served in self._indexes.values():
            served.index.close()

    def _served(self, name: str) -> ServedIndex:
        if not name:
            return next(iter(self._indexes.values()))
        if name not in self._indexes:
            raise NotServedError(f"there is no index of this name; there are {', '.join(self._indexes)}")
        return self._indexes[name]


def _loader(device: str | None) -> LoadEncoder:
    def load(stored: VideoIndex) -> VideoColBERTEncoder:
        name = stored.model.name
        revision = None if Path(name).is_dir() else stored.model.commit
        return VideoColBERTEncoder.from_pretrained(name, revision=revision, device=device)

    return load
